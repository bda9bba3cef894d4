import shutil
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from tests import trainer
from tests.kills import kill_at_random
from vision_ai.config import Paths
from vision_ai.domain import WINDOW, Horizon
from vision_ai.errors import ConfigError, CorruptFileError, KlinesError, StateError

pytest.importorskip("open_clip")

import torch

from vision_ai import train_cv_model
from vision_ai.charts import raster
from vision_ai.labels import rules
from vision_ai.model import registry, vectors
from vision_ai.model.embed import Embedder
from vision_ai.model.training import checkpoint
from vision_ai.train_cv_model import TrainConfig

pytestmark = pytest.mark.train


@pytest.fixture(scope="module")
def klines(tmp_path_factory):
    return trainer.write_klines(tmp_path_factory.mktemp("klines"))


@pytest.fixture(scope="module")
def trained(klines, tmp_path_factory):
    """A data root in which one tiny run was finished, and its version."""
    torch.set_num_threads(1)
    paths = Paths(tmp_path_factory.mktemp("data"))
    return paths, run(klines, paths)


def run(klines, paths, **recipe: object):
    config = TrainConfig.model_validate(trainer.settings(**recipe))
    return train_cv_model.train(config, klines, paths, device="cpu", quiet=True)


def test_training_ends_with_a_whole_version_that_is_not_in_use_yet(trained):
    paths, model = trained
    assert registry.resolve(paths, model.version).version == model.version
    assert not (paths.models / "current").exists()
    names = {path.name for path in model.path.iterdir()}
    assert names == {
        "image.onnx", "text.onnx", "tokenizer.json", "model.safetensors", "exemplars.parquet",
        "manifest.json",
    }  # fmt: skip
    left = {path.name for path in paths.models.iterdir()}
    assert left == {model.version}


def test_the_manifest_says_what_made_the_model(trained):
    manifest = trained[1].manifest
    assert manifest.preset == "chart-clip-tiny"
    assert TrainConfig.model_validate(manifest.recipe) == TrainConfig.model_validate(
        trainer.settings()
    )
    assert set(manifest.data.train_symbols) | set(manifest.data.held_out_symbols) == set(
        trainer.SYMBOLS
    )
    assert not set(manifest.data.train_symbols) & set(manifest.data.held_out_symbols)
    assert len(manifest.prototypes) == 23
    assert manifest.figures["onnx_parity"] > 0.999
    assert {"prompts/setup_macro_f1", "votes/phase_macro_f1", "majority/setup_macro_f1"} <= set(
        manifest.figures
    )


def test_exemplars_come_from_training_symbols_before_the_wall(trained):
    paths, model = trained
    rows = vectors.load(model.exemplars)
    assert 0 < len(rows) <= 40
    assert set(rows.symbol) <= set(model.manifest.data.train_symbols)
    assert rows.model == model.version
    assert (rows.outcomes.complete_ms - rows.close_ms[:, None] == [h.ms for h in Horizon]).all()
    assert np.isfinite(rows.outcomes.move).all()
    held_out = vectors.load(paths.embeddings / f"{model.version}-held-out.parquet")
    assert not set(held_out.symbol) & set(rows.symbol)
    assert rows.outcomes.complete_ms.max() < held_out.first_ms.min()
    assert (paths.embeddings / f"{model.version}.parquet").read_bytes() == (
        model.exemplars.read_bytes()
    )


def test_exemplars_are_the_vectors_of_their_charts(trained, klines):
    _, model = trained
    rows = vectors.load(model.exemplars)
    tables = {(t.symbol, t.interval.value): t for t in train_cv_model.read_tables(klines)}
    table = tables[rows.symbol[3], rows.interval[3]]
    end = np.flatnonzero(table.open_ms == rows.last_ms[3])
    bars = table.windows(end)
    assert bars.shape == (1, WINDOW, 5)
    picture = raster.render(bars)
    assert (Embedder(model).images(picture) * rows.vectors[3]).sum() > 0.999
    assert rules.label(bars).reading[0] == rows.reading[3]


def test_texts_are_kept_with_what_they_mean(trained):
    paths, model = trained
    table = pq.read_table(paths.embeddings / f"{model.version}-texts.parquet")
    assert {"range:neutral", "phase:markup"} <= set(table.column("label").to_pylist())
    assert len(table) >= 23


def test_a_finished_run_is_not_run_again(trained, klines):
    paths, model = trained
    before = {p: p.stat().st_mtime_ns for p in model.path.iterdir()}
    assert run(klines, paths).version == model.version
    assert {p: p.stat().st_mtime_ns for p in model.path.iterdir()} == before


@pytest.mark.slow
def test_the_same_run_elsewhere_gives_the_same_weights(trained, klines, tmp_path):
    _, model = trained
    again = run(klines, Paths(tmp_path))
    assert again.version == model.version
    assert again.weights.read_bytes() == model.weights.read_bytes()
    assert again.manifest.figures == model.manifest.figures


@pytest.mark.slow
def test_another_seed_is_another_version(trained, klines, tmp_path):
    other = run(klines, Paths(tmp_path), seed=1, steps=2)
    assert other.version != trained[1].version


def test_a_run_under_way_is_not_started_twice(klines, tmp_path):
    config = TrainConfig.model_validate(trainer.settings())
    tables = train_cv_model.read_tables(klines)
    under_way = train_cv_model.Run(config, Paths(tmp_path), tables)
    with under_way.locked(), pytest.raises(StateError, match="under way"):
        run(klines, Paths(tmp_path))


def test_checkpoints_that_are_all_damaged_name_the_repair(klines, tmp_path):
    config = TrainConfig.model_validate(trainer.settings())
    folder = train_cv_model.Run(config, Paths(tmp_path), train_cv_model.read_tables(klines)).folder
    checkpoint.save(folder, checkpoint.Checkpoint(2, {"a": torch.ones(2)}, {}))
    next(folder.glob("step-*")).write_bytes(b"torn")
    with pytest.raises(CorruptFileError) as caught:
        run(klines, Paths(tmp_path))
    assert str(folder) in caught.value.hint
    shutil.rmtree(folder)


@pytest.mark.parametrize(
    ("change", "error"),
    [({"preset": "resnet"}, ConfigError), ({"device": "tpu"}, ConfigError)],
)
def test_a_preset_or_device_that_is_not_here_is_refused(klines, tmp_path, change, error):
    device = change.pop("device", "cpu")
    config = TrainConfig.model_validate(trainer.settings(**change))
    with pytest.raises(error) as caught:
        train_cv_model.train(config, klines, Paths(tmp_path), device=device, quiet=True)
    assert caught.value.hint


def test_too_few_candles_are_refused_before_anything_is_written(tmp_path):
    short = trainer.write_klines(tmp_path / "klines", days=2)
    with pytest.raises(KlinesError):
        run(short, Paths(tmp_path / "data"))
    assert not list((tmp_path / "data").rglob("*.safetensors"))


def identity(tmp_path, tables=(), weights=None, **recipe: object):
    config = TrainConfig.model_validate(trainer.settings(**recipe))
    return train_cv_model.Run(config, Paths(tmp_path), tables, weights).version


def test_a_runs_name_depends_on_settings_candles_and_weights_alone(klines, tmp_path):
    tables = train_cv_model.read_tables(klines)
    (tmp_path / "w.safetensors").write_bytes(b"weights")
    names = {
        identity(tmp_path, tables),
        identity(tmp_path, tables, seed=1),
        identity(tmp_path, tables[1:]),
        identity(tmp_path, tables, tmp_path / "w.safetensors"),
    }
    assert len(names) == 4
    assert identity(tmp_path / "elsewhere", tables[::-1]) == identity(tmp_path, tables)


def test_the_same_run_has_the_name_it_had_in_version_0_1_0(tmp_path, monkeypatch):
    """A run interrupted before an update resumes after it: its folder bears this name."""
    monkeypatch.setattr(rules, "RULES_VERSION", "r")
    monkeypatch.setattr(raster, "STYLE_HASH", "s")
    assert identity(tmp_path) == "chart-clip-tiny-81d52b14c1"


def test_a_folder_in_the_way_of_the_version_is_refused_before_training(klines, tmp_path):
    config = TrainConfig.model_validate(trainer.settings())
    run = train_cv_model.Run(config, Paths(tmp_path), ())
    run.check_target()
    (run.paths.models / run.version).mkdir(parents=True)
    with pytest.raises(StateError, match="no whole model version") as caught:
        run.check_target()
    assert str(run.version) in caught.value.hint


def test_prototypes_are_named_by_class_and_rounded():
    rows = np.full((23, 2), 0.12345678, np.float32)
    named = train_cv_model.prototypes_by_name(rows)
    assert list(named) == list(train_cv_model.CLASS_NAMES)
    assert set(map(tuple, named.values())) == {(0.123457, 0.123457)}


@pytest.mark.slow
def test_training_killed_at_any_instant_loses_nothing_and_ends_as_if_it_were_not(
    trained, klines, tmp_path
):
    expected, paths = trained[1], Paths(tmp_path)
    steps = [0]

    def check() -> None:
        for version in registry.versions(paths):
            assert version.weights.read_bytes() == expected.weights.read_bytes() or (
                version.path == registry.SHIPPED
            )
        if (paths.models / expected.version).exists():
            return  # finished, and perhaps killed while it swept up
        for folder in paths.models.glob(".run-*"):
            saved = checkpoint.load(folder)
            assert (saved.step if saved else 0) >= steps[0]
            steps[0] = saved.step if saved else 0

    def begin_again() -> None:
        if (paths.models / expected.version).exists():  # finished: nothing left to be killed in
            shutil.rmtree(tmp_path / "vision_ai")
        if not list(paths.models.glob(".run-*")):
            steps[0] = 0

    command = [sys.executable, "-m", "tests.trainer", str(klines), str(tmp_path)]
    struck = kill_at_random(command, check, kills=20, seed=7, before=begin_again, reach=0.6)
    assert struck >= 12
    assert run(klines, paths).weights.read_bytes() == expected.weights.read_bytes()


@pytest.mark.slow
@pytest.mark.klines
def test_real_candles_split_without_a_leak():
    folder = Path("../shared/klines/train")
    if not folder.is_dir():
        pytest.skip(f"real candles are not here: expected {folder}")
    tables = train_cv_model.read_tables(folder)
    parts = train_cv_model.split.divide(tables, TrainConfig().split)
    assert not set(parts.train.symbol) & set(parts.held_out.symbol)
    assert (parts.train.close_ms + Horizon.H6.ms).max() <= parts.train_until_ms
    assert parts.held_out.first_ms.min() >= parts.held_out_from_ms
