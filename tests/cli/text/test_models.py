"""Models, indexes and the doctor's checks as lines for a terminal."""

import pytest

from vision_ai.cli.text import models
from vision_ai.config import Config, Paths
from vision_ai.errors import ExchangeUnavailableError, StateError
from vision_ai.model import registry
from vision_ai.model.registry import SHIPPED
from vision_ai.pipeline import models as use_cases
from vision_ai.pipeline.doctor import Check, DoctorResult
from vision_ai.pipeline.index import IndexResult
from vision_ai.pipeline.learning.train import TrainResult
from vision_ai.pipeline.models import ActiveModelResult, ModelDiffResult, ModelRow, ModelsResult
from vision_ai.pipeline.workspace import Workspace

INDEX = IndexResult(
    version="abc", model="m-1", charts=30, symbols=4, intervals={"15m": 20, "1h": 10}, folder="f"
)


def test_an_index_is_described_in_a_sentence() -> None:
    assert models.format_index(INDEX) == [
        "Index abc: 30 charts of 4 symbols (20 of 15m, 10 of 1h), vectors by m-1."
    ]


def test_an_index_with_other_charts_cautions_about_confidence() -> None:
    lines = models.format_index(INDEX, other_charts=True)
    assert len(lines) == 2
    assert "calibrated for the model's own exemplars" in lines[1]


def test_the_model_in_use_is_marked_and_damage_is_told_below_it() -> None:
    rows = [
        ModelRow(version="a", preset="chart-clip", in_use=False, damage=None, created_at="then"),
        ModelRow(version="b", preset="chart-clip", in_use=True, damage="cut off", created_at="now"),
    ]
    lines = models.format_models(ModelsResult(models=rows))
    assert lines[0].startswith("  a ")
    assert lines[1].startswith("* b ")
    assert lines[2] == "    cut off"
    assert len(lines) == 3


@pytest.mark.skipif(not (SHIPPED / "manifest.json").exists(), reason="no model is shipped")
def test_a_model_shows_its_folder_and_its_figures_in_order(tmp_path) -> None:
    result = use_cases.show(Workspace(Config(), Paths(tmp_path)), "current")
    lines = models.format_model(result)
    manifest = registry.resolve(Paths(tmp_path)).manifest
    assert lines[0] == f"{manifest.version} ({manifest.preset}), made {manifest.created_at}"
    assert lines[1] == f"folder  {SHIPPED}"
    names = [line.split()[0] for line in lines[-len(manifest.figures) :]]
    assert names == sorted(manifest.figures)
    assert "prototypes" not in result.payload()
    assert "folder" not in result.payload()


def test_parents_and_the_share_of_weights_are_told_where_there_are_some(tmp_path) -> None:
    result = use_cases.show(Workspace(Config(), Paths(tmp_path)), "current")
    derived = result.model_copy(
        update={"parents": ["a", "b"], "changes": {"by": "finetune", "mix": 0.4}}
    )
    lines = models.format_model(derived)
    assert "parents a, b" in lines
    assert "made by finetune, mix 0.4 of the trained weights" in lines
    plain = models.format_model(result.model_copy(update={"parents": [], "changes": {}}))
    assert not any(line.startswith(("parents", "made by")) for line in plain)


def test_what_keeps_a_promoted_model_from_use_is_told() -> None:
    result = ActiveModelResult(
        version="b", path="p", fixed_at="a", index_problem="The index was built by model 'a'."
    )
    assert models.format_active_model(result) == [
        "Model b is now the current one.",
        "The settings fix the model at a: remove model.version to use it.",
        "The index was built by model 'a'.",
    ]
    assert models.format_active_model(ActiveModelResult(version="b", path="p")) == [
        "Model b is now the current one."
    ]


def test_each_difference_of_two_models_has_a_line() -> None:
    result = ModelDiffResult(
        first="a", second="b", fields={"rules": ["1", "2"]}, files=["image.onnx"],
        figures={"ece": [0.1, None]}, weights={"weights_changed": 3}, bands={"15m 2h": [1.0, 1.1]},
    )  # fmt: skip
    lines = models.format_model_diff(result)
    assert lines[0] == "a to b"
    assert [line.split() for line in lines[1:]] == [
        ["rules", "1", "->", "2"],
        ["image.onnx", "differs"],
        ["ece", "0.1", "->", "None"],
        ["weights_changed", "3"],
        ["bands", "15m", "2h", "1.0", "->", "1.1"],
    ]


def test_a_trained_model_shows_its_figures_in_order() -> None:
    lines = models.format_train(TrainResult(version="v", path="p", figures={"b": 0.5, "a": 1.0}))
    assert lines[0] == "Model v in p is now the current one."
    assert [line.split() for line in lines[1:]] == [["a", "1.0000"], ["b", "0.5000"]]


def checked(*checks: Check) -> DoctorResult:
    return DoctorResult(ok=all(c.ok or not c.needed for c in checks), checks=list(checks))


def test_the_doctor_tells_fine_broken_and_optional_apart() -> None:
    result = checked(
        Check(name="numpy", ok=True, found="2.1"),
        Check(name="model", ok=False, found="no such version"),
        Check(name="train", ok=False, found="pip install", needed=False),
    )
    assert [line[:4] for line in models.format_doctor(result)] == ["ok  ", "FAIL", "none"]
    with pytest.raises(StateError, match="Not well: model"):
        result.raise_if_broken()


def test_a_failure_that_may_pass_exits_as_one() -> None:
    gone = Check(name="exchange", ok=False, found="no answer", may_pass=True)
    with pytest.raises(ExchangeUnavailableError, match="exchange"):
        checked(gone).raise_if_broken()
    broken = Check(name="data", ok=False, found="cannot be written")
    with pytest.raises(StateError, match="data, exchange"):
        checked(broken, gone).raise_if_broken()


def test_nothing_is_raised_where_only_an_extra_is_absent() -> None:
    checked(Check(name="gpt", ok=False, found="pip install", needed=False)).raise_if_broken()
