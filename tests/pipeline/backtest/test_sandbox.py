"""A copy of the model in use on a data root of its own, and what killed writers leave there."""

from pathlib import Path

import pytest

pytest.importorskip("onnx", reason="the stand-in model is made with onnx")

from tests import standin
from tests.feedback.examples import AS_OF, H_MS
from vision_ai import index
from vision_ai.config import Config, ModelConfig, Paths
from vision_ai.domain import Interval, iso
from vision_ai.errors import MissingModelError, StorageError
from vision_ai.market.simulate import simulate
from vision_ai.model import lineage, registry
from vision_ai.pipeline import reader
from vision_ai.pipeline.backtest import sandbox
from vision_ai.pipeline.workspace import Workspace


@pytest.fixture(scope="module")
def origin(tmp_path_factory) -> Workspace:
    """A data root with a stand-in model and an index, which nothing may change."""
    paths = Paths(tmp_path_factory.mktemp("origin"))
    standin.install(paths, [simulate("AAAUSDT", Interval.M15, 600, seed=1, end_ms=AS_OF)])
    index.build(paths.index, reader.exemplars(registry.resolve(paths)), now_ms=AS_OF)
    return Workspace(Config(), paths)


def files(root: Path) -> dict[str, bytes]:
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }


def test_model_and_index_are_copied_whole_and_come_into_use(origin, tmp_path: Path) -> None:
    before = files(origin.paths.root)
    copy = sandbox.copy_model(origin, tmp_path / "out", AS_OF)
    theirs, ours = origin.paths.models / standin.VERSION, copy.paths.models / standin.VERSION
    assert files(ours) == files(theirs)
    assert files(copy.paths.index) == files(origin.paths.index)
    assert registry.resolve(copy.paths).version == standin.VERSION
    (switch,) = lineage.read_history(copy.paths)
    assert (switch.to, switch.at) == (standin.VERSION, iso(AS_OF))
    assert files(origin.paths.root) == before
    assert not list(copy.paths.root.rglob(".borrowed-*"))


def test_a_second_copy_leaves_what_is_there(origin, tmp_path: Path) -> None:
    """A sandbox that has learned since keeps its own current version and its own index."""
    copy = sandbox.copy_model(origin, tmp_path, AS_OF)
    note = copy.paths.index / "note"
    note.write_text("built since")
    before = files(tmp_path)
    sandbox.copy_model(origin, tmp_path, AS_OF + H_MS)
    assert files(tmp_path) == before


def test_a_root_without_an_index_gets_none(tmp_path: Path) -> None:
    paths = Paths(tmp_path / "origin")
    standin.install(paths, [simulate("AAAUSDT", Interval.M15, 600, seed=1, end_ms=AS_OF)])
    copy = sandbox.copy_model(Workspace(Config(), paths), tmp_path / "out", AS_OF)
    assert not copy.paths.index.exists()


def test_the_shipped_model_is_used_where_it_lies(tmp_path: Path, monkeypatch, origin) -> None:
    monkeypatch.setattr(registry, "SHIPPED", origin.paths.models / standin.VERSION)
    empty = Workspace(Config(), Paths(tmp_path / "empty"))
    copy = sandbox.copy_model(empty, tmp_path / "out", AS_OF)
    assert not copy.paths.models.exists()
    assert registry.resolve(copy.paths).version == standin.VERSION


def test_a_fixed_version_is_copied_and_may_be_replaced_there(origin, tmp_path: Path) -> None:
    fixed = Config(model=ModelConfig(version=standin.VERSION, threads=1))
    copy = sandbox.copy_model(Workspace(fixed, origin.paths), tmp_path, AS_OF)
    assert copy.config.model.version == registry.CURRENT
    assert copy.config.model.threads == 1
    assert fixed.model.version == standin.VERSION


def test_clock_and_exchange_go_with_the_settings(origin, tmp_path: Path) -> None:
    ticking = Workspace(origin.config, origin.paths, clock=lambda: AS_OF)
    copy = sandbox.copy_model(ticking, tmp_path, AS_OF)
    assert copy.clock() == AS_OF
    assert copy.connect is ticking.connect
    assert copy.load_reader is ticking.load_reader


def test_a_missing_version_leaves_nothing_behind(origin, tmp_path: Path) -> None:
    wrong = Workspace(Config(model=ModelConfig(version="nosuch")), origin.paths)
    with pytest.raises(MissingModelError, match="nosuch"):
        sandbox.copy_model(wrong, tmp_path / "out", AS_OF)
    assert not (tmp_path / "out").exists()


def test_a_root_that_is_a_file_is_a_storage_error_that_names_it(origin, tmp_path: Path) -> None:
    (tmp_path / "out").write_text("not a folder")
    with pytest.raises(StorageError, match="out"):
        sandbox.copy_model(origin, tmp_path / "out", AS_OF)


def test_sweeping_takes_half_written_files_and_nothing_else(tmp_path: Path) -> None:
    halves = ["vision_ai/.a.json.x.tmp", "models/.derived-1/image.onnx", ".borrowed-2/manifest"]
    whole = ["vision_ai/a.json", "models/m1/image.onnx", "a.tmp", ".lock"]
    for name in (*halves, *whole):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    sandbox.sweep(tmp_path)
    assert sorted(files(tmp_path)) == sorted(whole)
    sandbox.sweep(tmp_path)
    assert sorted(files(tmp_path)) == sorted(whole)
    sandbox.sweep(tmp_path / "nowhere")
