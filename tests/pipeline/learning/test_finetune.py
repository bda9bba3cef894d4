"""The mode `finetune`: a model trained on its own resolved charts, mixed, judged and promoted."""

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

from tests import standin, tuner
from tests.calibration import folds
from tests.kills import kill_at_random
from vision_ai import index, predict_cv_setup
from vision_ai.cli.app import run
from vision_ai.config import Config, ModelConfig, Paths
from vision_ai.domain import Embeddings, Interval, Klines
from vision_ai.errors import ConfigError
from vision_ai.market.replay.listing import Listing
from vision_ai.market.replay.server import Clock, Replay
from vision_ai.market.simulate import simulate
from vision_ai.model import registry
from vision_ai.model.training.batches import Corpus
from vision_ai.pipeline import learning, reader
from vision_ai.pipeline.learning.curriculum import TuneConfig
from vision_ai.pipeline.workspace import Workspace
from vision_ai.predict_cv_setup import Answers

pytest.importorskip("open_clip")

import torch

from vision_ai.pipeline.learning import finetune

pytestmark = pytest.mark.train


@pytest.fixture(scope="module")
def desk(tmp_path_factory) -> Path:
    torch.set_num_threads(1)  # a tiny net gains nothing from more
    return tuner.champion(tmp_path_factory.mktemp("desk"))


@pytest.fixture
def root(desk: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(desk, tmp_path / "data"))


def in_use(root: Path) -> registry.ModelFolder:
    return registry.resolve(Paths(root))


@pytest.mark.slow
def test_what_learned_to_read_is_promoted_and_taken_back(root: Path, monkeypatch, capsys) -> None:
    monkeypatch.setenv("VISION_AI_DATA", str(root))
    paths, workspace = Paths(root), Workspace(Config(model=ModelConfig(threads=1)), Paths(root))
    parent = in_use(root)
    built = index.build(paths.index, reader.exemplars(parent), now_ms=tuner.now_ms())
    found = tuner.tune(root)
    child = in_use(root)
    assert found.attempt is not None
    part = found.attempt.parts[0]
    assert (part.name, part.better, found.attempt.mode) == ("readings", True, "finetune")
    assert child.version == found.attempt.version != parent.version
    manifest = child.manifest
    assert manifest.parents == [parent.version]
    assert manifest.changes["mix"] == part.figures["mix"] in (0.5, 1.0)
    assert manifest.changes["mixes"]["mix_0.00"] < max(manifest.changes["mixes"].values())
    assert manifest.changes["gate"]["parts"][0]["wins"] == part.wins
    assert manifest.figures["onnx_parity"] > 0.999
    assert manifest.data.train_until == found.attempt.learned_until
    assert not list(paths.models.glob(".*"))
    rows = reader.exemplars(child)
    assert rows.model == child.version
    assert len(rows) == len(set(rows.keys))
    assert set(reader.exemplars(parent).keys) <= set(rows.keys)
    assert reader.Reader.open(workspace.config, workspace.paths).index.rows.model == child.version
    assert run(["models", "show", child.version, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["changes"]["by"] == "feedback, mode finetune"
    assert run(["models", "show", child.version]) == 0
    assert f"parents {parent.version}" in capsys.readouterr().out
    assert run(["models", "diff", parent.version, child.version, "--json"]) == 0
    assert "image.onnx" in json.loads(capsys.readouterr().out)["files"]
    assert tuner.tune(root, steps=100_000) == found
    assert "days of its own outcomes" in tuner.tune(root, later_ms=tuner.DAY_MS).outcome
    assert run(["models", "rollback"]) == 0
    assert reader.Reader.open(workspace.config, workspace.paths).index.version == built.version
    (paths.models / "history.jsonl").unlink()  # as if the promotion had never come
    again = tuner.tune(root, later_ms=2 * tuner.DAY_MS, steps=100_000)
    assert "cut short earlier" in again.outcome
    assert in_use(root).version == child.version


@pytest.mark.slow
def test_what_learned_nothing_changes_nothing(root: Path) -> None:
    parent = in_use(root)
    found = tuner.tune(root, rate=1e-12, steps=2)
    assert "Nothing was attempted" in found.outcome
    assert found.attempt is None
    assert in_use(root).version == parent.version
    assert not (root / "vision_ai" / "models" / "attempts.jsonl").exists()


@pytest.mark.slow
def test_charts_without_candles_are_counted_and_named(root: Path) -> None:
    shutil.rmtree(Paths(root).klines_folder)
    found = tuner.tune(root)
    assert "0 charts to learn from have their candles here, 50 are needed" in found.outcome


@pytest.mark.slow
def test_without_the_extra_it_is_one_sentence(root: Path, monkeypatch, capsys) -> None:
    monkeypatch.setenv("VISION_AI_DATA", str(root))
    monkeypatch.delattr(learning, "finetune", raising=False)
    monkeypatch.setitem(sys.modules, "vision_ai.pipeline.learning.finetune", None)
    market = simulate("AAAUSDT", Interval.M5, 300, seed=0, end_ms=tuner.now_ms())
    listing = Listing.from_klines("simulated-tuning", [market])
    with Replay(listing, Clock(tuner.now_ms(), frozen=True)) as replay:
        monkeypatch.setenv("VISION_AI_BYBIT_URL", replay.url)
        assert run(["feedback", "update", "--mode", "finetune"]) == 2
    error = capsys.readouterr().err
    assert "The mode finetune needs a library that is not installed" in error
    assert "[train]'" in error


@pytest.mark.slow
def test_killed_at_any_instant_one_whole_model_is_in_use_and_the_next_run_ends_it(
    desk: Path, tmp_path: Path
) -> None:
    root = tmp_path / "data"
    shutil.copytree(desk, root)
    parent = in_use(root).version
    shutil.copytree(desk, tmp_path / "other")
    expected = in_use_after(tmp_path / "other")

    def begin_again() -> None:
        if in_use(root).version != parent:
            shutil.rmtree(root)
            shutil.copytree(desk, root)

    def check() -> None:
        now = in_use(root)
        assert now.version in (parent, expected.version)
        assert reader.exemplars(now).model == now.version
        for version in registry.versions(Paths(root)):
            if version.version == expected.version:
                assert version.weights.read_bytes() == expected.weights.read_bytes()

    command = [sys.executable, "-m", "tests.tuner", str(root), "60"]
    struck = kill_at_random(command, check, kills=12, seed=5, before=begin_again)
    assert struck >= 6
    begin_again()
    assert in_use_after(root).weights.read_bytes() == expected.weights.read_bytes()


def in_use_after(root: Path) -> registry.ModelFolder:
    tuner.tune(root)
    return in_use(root)


# The parts of it that need no training.


def test_the_recipe_is_of_the_champions_kind_of_net() -> None:
    config = finetune._settings(TuneConfig(replay=7), "chart-clip-tiny", 9)
    assert (config.recipe.preset, config.recipe.steps, config.replay) == ("chart-clip-tiny", 9, 7)
    usual = finetune._settings(TuneConfig(), "chart-clip-tiny", None)
    assert usual.recipe.steps == TuneConfig().recipe.steps


def test_steps_out_of_range_are_refused() -> None:
    with pytest.raises(ValidationError):
        finetune._settings(TuneConfig(), "chart-clip-tiny", 0)


@pytest.fixture(scope="module")
def read_charts() -> tuple[Answers, Embeddings]:
    exemplars, rows = folds.charts(400, seed=1), folds.charts(80, seed=2, start_h=9000)
    evidence = folds.evidence(rows, exemplars)
    fitted = predict_cv_setup.fit(evidence, rows, exemplars, level=0.8)
    return predict_cv_setup.read(evidence, fitted), rows


def test_a_charts_score_is_its_two_quadratic_scores(read_charts) -> None:
    """Brier's, negative: squared distances from the label's own 1 and 0, so that 0 is the best."""
    answers, rows = read_charts
    scores = finetune._scores(answers, rows)
    assert scores.shape == (len(rows),)
    for row in range(len(rows)):
        by_hand = 0.0
        for chances, truth in (
            (answers.probabilities.reading[row], rows.reading[row]),
            (answers.probabilities.phase[row], rows.phase[row]),
        ):
            by_hand -= ((chances - np.eye(len(chances))[truth]) ** 2).sum()
        assert scores[row] == pytest.approx(by_hand)
        assert -4 <= scores[row] <= 0


def test_charts_that_are_read_right_score_higher(read_charts) -> None:
    answers, rows = read_charts
    right = answers.probabilities.reading.argmax(axis=1) == rows.reading
    scores = finetune._scores(answers, rows)
    assert scores[right].mean() > scores[~right].mean() + 0.2


def test_the_digest_of_candles_knows_no_order() -> None:
    tables = tuple(
        simulate(f"S{seed}USDT", Interval.M5, 200, seed=seed, end_ms=tuner.now_ms())
        for seed in range(2)
    )
    none = np.empty(0, np.int32)
    blank = none.astype(np.int8)

    def digest(*parts: Klines) -> str:
        return finetune._digest(Corpus(parts, none, none, blank, blank))

    assert digest(*tables) == digest(*tables[::-1])
    assert digest(*tables) != digest(tables[0])


def test_a_fixed_model_is_refused_before_anything_is_trained(tmp_path: Path) -> None:
    pytest.importorskip("onnx", reason="the stand-in model is made with onnx")
    paths = Paths(tmp_path)
    market = simulate("AAAUSDT", Interval.M15, 600, seed=1, end_ms=tuner.now_ms())
    standin.install(paths, [market])
    fixed = Workspace(Config(model=ModelConfig(version=standin.VERSION)), paths)
    with pytest.raises(ConfigError, match="fix the model"):
        finetune.update(fixed, tuner.now_ms(), TuneConfig().model_copy(), device="cpu", steps=2)
    assert not (paths.models / ".finetune").exists()
