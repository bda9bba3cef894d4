"""Training from the command line: a model is in use only once it can predict."""

from pathlib import Path

import pytest

from tests import trainer
from vision_ai import train_cv_model
from vision_ai.cli.app import run
from vision_ai.config import Config, Paths
from vision_ai.errors import InputError
from vision_ai.model import registry
from vision_ai.pipeline.learning import train
from vision_ai.pipeline.reader import Reader
from vision_ai.pipeline.workspace import Workspace

pytestmark = pytest.mark.train


@pytest.fixture(scope="module")
def candles(tmp_path_factory) -> Path:
    return trainer.write_klines(tmp_path_factory.mktemp("candles"), days=80)


def trained(workspace: Workspace, candles: Path, **measured: int) -> registry.ModelFolder:
    settings = trainer.settings(steps=2) | measured
    settings["split"] = {"held_out_share": 0.34, "train_share": 0.5, "stride_15m": 16}
    config = train_cv_model.TrainConfig.model_validate(settings)
    return train_cv_model.train(config, candles, workspace.paths, device="cpu", quiet=True)


def test_a_trained_model_is_in_use_once_it_is_calibrated(tmp_path: Path, candles) -> None:
    workspace = Workspace(Config(), Paths(tmp_path))
    model = trained(workspace, candles, measured=600, exemplars=300)
    assert not (workspace.paths.models / "current").exists()
    figures = train.activate_trained(workspace, model)
    assert 0 <= figures["calibrated_ece"] <= 1
    assert Reader.open(workspace.config, workspace.paths).model.version == model.version


def test_a_model_that_cannot_be_calibrated_is_not_in_use(tmp_path: Path, candles) -> None:
    workspace = Workspace(Config(), Paths(tmp_path))
    model = trained(workspace, candles, measured=30)
    with pytest.raises(InputError):
        train.activate_trained(workspace, model)
    assert not (workspace.paths.models / "current").exists()


def test_an_unknown_preset_is_one_sentence(tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.setenv("VISION_AI_DATA", str(tmp_path))
    assert run(["train", "--klines", str(tmp_path), "--preset", "gpt"]) == 2
    assert capsys.readouterr().err.startswith("Error: ")
