"""Model versions: listed, shown, brought into use, taken back and compared."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests import standin
from vision_ai import index, storage
from vision_ai.config import Config, ModelConfig, Paths
from vision_ai.domain import Interval
from vision_ai.errors import (
    ConfigError,
    CorruptFileError,
    StaleIndexError,
    StateError,
)
from vision_ai.market.simulate import simulate
from vision_ai.model import lineage, registry, vectors
from vision_ai.pipeline import models, reader
from vision_ai.pipeline.workspace import Workspace

NOW = 1_750_032_000_000
CHILD = "child-1"


@pytest.fixture(scope="module")
def model_root(tmp_path_factory) -> Path:
    """The stand-in in use, and a version made of it: heavier exemplars, wider bands."""
    paths = Paths(tmp_path_factory.mktemp("model"))
    market = simulate("OLDUSDT", Interval.M15, 700, seed=9, end_ms=NOW - 30 * 86_400_000)
    parent = standin.install(paths, [market])
    rows = reader.exemplars(parent)
    weight = rows.weight.copy()
    weight[:2] *= 4
    exemplars = paths.root / "exemplars.parquet"
    vectors.save(exemplars, replace(rows, model=CHILD, weight=weight))
    content = json.loads((parent.path / reader.CALIBRATION).read_text())
    content["model"] = CHILD
    manifest = parent.manifest.model_copy(
        update={
            "version": CHILD, "preset": "child", "files": {}, "figures": {"top1": 0.5, "f1": 0.25},
        }
    )  # fmt: skip
    files = {
        "exemplars.parquet": exemplars.read_bytes(),
        reader.CALIBRATION: json.dumps(content).encode(),
    }
    lineage.derive(paths, parent, manifest, files)
    exemplars.unlink()
    return paths.root


@pytest.fixture
def workspace(model_root: Path, tmp_path: Path) -> Workspace:
    shutil.copytree(model_root, tmp_path / "data")
    return Workspace(Config(), Paths(tmp_path / "data"), clock=lambda: NOW)


def fixed(workspace: Workspace, version: str) -> Workspace:
    return workspace.at(workspace.paths, Config(model=ModelConfig(version=version)))


def versions(workspace: Workspace) -> dict[str, models.ModelRow]:
    return {row.version: row for row in models.list_models(workspace).models}


def test_every_version_is_listed_and_the_one_in_use_marked(workspace: Workspace) -> None:
    rows = versions(workspace)
    assert {CHILD, standin.VERSION} <= set(rows)
    assert [name for name, row in rows.items() if row.in_use] == [standin.VERSION]
    assert [name for name, row in versions(fixed(workspace, CHILD)).items() if row.in_use] == [
        CHILD
    ]
    assert rows[CHILD].preset == "child"
    assert rows[CHILD].damage is None


def test_a_damaged_calibration_is_listed_with_what_is_wrong(workspace: Workspace) -> None:
    (workspace.paths.models / standin.VERSION / reader.CALIBRATION).write_text("{")
    rows = versions(workspace)
    assert "calibration.json" in (rows[standin.VERSION].damage or "")
    assert rows[CHILD].damage is None


def test_a_version_is_shown_without_its_vectors(workspace: Workspace) -> None:
    shown = models.show(workspace, CHILD)
    assert shown.figures == {"top1": 0.5, "f1": 0.25}
    assert shown.folder == str(workspace.paths.models / CHILD)
    assert "prototypes" not in shown.payload()
    assert "folder" not in shown.payload()
    assert shown.payload()["version"] == CHILD


def test_current_is_the_version_that_the_settings_name(workspace: Workspace) -> None:
    assert models.show(workspace, "current").version == standin.VERSION
    assert models.show(fixed(workspace, CHILD), "current").version == CHILD


@pytest.mark.parametrize("version", ["nothing-1", "../models", "a/b", ""])
def test_no_such_version_is_an_error_that_names_it(workspace: Workspace, version: str) -> None:
    for use_case in (models.show, models.promote):
        with pytest.raises(StateError):
            use_case(workspace, version)
    assert registry.resolve(workspace.paths).version == standin.VERSION


def test_a_promoted_version_is_in_use_and_goes_back_again(workspace: Workspace) -> None:
    promoted = models.promote(workspace, CHILD)
    assert promoted.version == registry.resolve(workspace.paths).version == CHILD
    assert promoted.fixed_at is None
    assert promoted.index_problem is None
    assert models.rollback(workspace).version == standin.VERSION
    assert registry.resolve(workspace.paths).version == standin.VERSION


def test_the_reader_is_loaded_anew_after_a_promotion(workspace: Workspace) -> None:
    assert workspace.reader.model.version == standin.VERSION
    models.promote(workspace, CHILD)
    assert workspace.reader.model.version == CHILD
    models.rollback(workspace)
    assert workspace.reader.model.version == standin.VERSION


def test_nothing_to_go_back_to_is_an_error(workspace: Workspace, monkeypatch) -> None:
    monkeypatch.setattr(registry, "SHIPPED", workspace.paths.root / "none")
    (workspace.paths.models / "history.jsonl").unlink()
    with pytest.raises(StateError, match="replaced no other: there is nothing to go back to"):
        models.rollback(workspace)
    assert registry.resolve(workspace.paths).version == standin.VERSION


def test_current_cannot_be_promoted(workspace: Workspace) -> None:
    with pytest.raises(ConfigError, match="'current' is not one"):
        models.promote(workspace, "current")


def test_a_damaged_version_does_not_come_into_use(workspace: Workspace) -> None:
    (workspace.paths.models / CHILD / "manifest.json").write_text("{")
    with pytest.raises(CorruptFileError):
        models.promote(workspace, CHILD)
    assert registry.resolve(workspace.paths).version == standin.VERSION


def test_a_promotion_says_that_the_settings_fix_another_version(workspace: Workspace) -> None:
    assert models.promote(fixed(workspace, standin.VERSION), CHILD).fixed_at == standin.VERSION
    assert models.promote(fixed(workspace, CHILD), CHILD).fixed_at is None


def foreign_index(workspace: Workspace) -> None:
    """An index that no installed version made."""
    rows = reader.exemplars(registry.resolve(workspace.paths))
    index.build(workspace.paths.index, replace(rows, model="gone-1"), now_ms=NOW)


def test_a_promotion_says_that_the_index_does_not_serve(workspace: Workspace) -> None:
    foreign_index(workspace)
    assert "'gone-1': expected 'child-1'" in (models.promote(workspace, CHILD).index_problem or "")


def test_a_version_made_here_takes_over_with_an_index_of_its_own(workspace: Workspace) -> None:
    foreign_index(workspace)
    before = (workspace.paths.index / "current").read_text()
    models.take_over(workspace, CHILD, NOW)
    assert registry.resolve(workspace.paths).version == CHILD
    opened = reader.open_index(workspace.paths, registry.resolve(workspace.paths))
    assert opened.rows.model == CHILD
    # the earlier index stays the marked one, for the version before
    assert (workspace.paths.index / "current").read_text() == before


def test_an_index_that_serves_both_is_not_built_again(workspace: Workspace) -> None:
    rows = reader.exemplars(registry.resolve(workspace.paths))
    index.build(workspace.paths.index, rows, now_ms=NOW)
    folders = sorted(workspace.paths.index.iterdir())
    models.take_over(workspace, CHILD, NOW)
    assert sorted(workspace.paths.index.iterdir()) == folders


def test_two_versions_are_compared_field_by_field(workspace: Workspace) -> None:
    result = models.diff(workspace, standin.VERSION, CHILD)
    assert result.fields == {"preset": ["stand-in", "child"]}
    assert result.figures == {"f1": [None, 0.25], "top1": [None, 0.5]}
    assert result.files == ["exemplars.parquet"]
    assert result.weights["weights_changed"] == 2
    assert (result.weights["lowest_factor"], result.weights["highest_factor"]) == (1, 4)
    assert result.weights["exemplars_shared"] == result.weights["exemplars_first"]


def test_a_version_does_not_differ_from_itself(workspace: Workspace) -> None:
    result = models.diff(workspace, "current", standin.VERSION)
    assert result.first == result.second == standin.VERSION
    assert (result.fields, result.files, result.figures, result.bands) == ({}, [], {}, {})
    assert result.weights["weights_changed"] == 0


def test_the_other_way_round_factors_are_turned_over(workspace: Workspace) -> None:
    result = models.diff(workspace, CHILD, standin.VERSION)
    assert (result.weights["lowest_factor"], result.weights["highest_factor"]) == (0.25, 1)


def test_wider_bands_are_named_with_both_factors(workspace: Workspace) -> None:
    parent = registry.resolve(workspace.paths, standin.VERSION)
    fitted = reader.calibration(parent)
    bands = {
        interval: {
            horizon: rule.model_copy(update={"width_factor": rule.width_factor * 2})
            for horizon, rule in rules.items()
        }
        for interval, rules in fitted.bands.items()
    }
    storage.write_document(
        parent.path / reader.CALIBRATION, fitted.model_copy(update={"bands": bands})
    )
    result = models.diff(workspace, standin.VERSION, CHILD)
    assert result.bands
    assert all(was == pytest.approx(2 * now) for was, now in result.bands.values())
    assert all(name.split()[0] in {"15m", "1h"} for name in result.bands)


def test_an_index_of_another_tower_is_stale(workspace: Workspace) -> None:
    foreign_index(workspace)
    with pytest.raises(StaleIndexError):
        _ = workspace.reader
    assert np.isfinite(reader.exemplars(registry.resolve(workspace.paths)).weight).all()
