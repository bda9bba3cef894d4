"""One update through the use case: which mode, at whose clock, and what it hands back."""

import json
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

pytest.importorskip("onnx", reason="the stand-in model is made with onnx")

from tests import standin
from tests.feedback.examples import AS_OF
from vision_ai.config import Config, ModelConfig, Paths
from vision_ai.domain import Interval, iso
from vision_ai.errors import ConfigError, InputError, TransientError
from vision_ai.market.simulate import simulate
from vision_ai.model import registry
from vision_ai.pipeline import learning
from vision_ai.pipeline.learning import update
from vision_ai.pipeline.workspace import Workspace
from vision_ai.records import UpdateProposal


@dataclass
class Exchange:
    """An exchange that knows the time and nothing else."""

    time_ms: int | None = AS_OF

    def server_time(self) -> int:
        if self.time_ms is None:
            raise TransientError("The exchange does not answer.")
        return self.time_ms

    def close(self) -> None: ...


def opened(root: Path, exchange: Exchange, **settings: object) -> Workspace:
    return Workspace(Config(**settings), Paths(root), connect=lambda _: exchange)


@pytest.fixture(scope="module")
def origin(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("origin")
    market = simulate("AAAUSDT", Interval.M15, 600, seed=1, end_ms=AS_OF)
    standin.install(Paths(root), [market])
    return root


def test_the_first_mode_writes_a_proposal_at_the_exchanges_time(tmp_path: Path) -> None:
    """It needs no model: nothing is changed."""
    workspace = opened(tmp_path, Exchange())
    result = update.update(workspace)
    assert result.path == str(workspace.paths.proposal(AS_OF))
    assert json.loads(Path(result.path).read_text())["made_at"] == iso(AS_OF)
    assert result.proposal.attempt is None
    assert result.payload()["proposal"] == result.proposal.model_dump(mode="json")


def test_an_update_of_the_same_instant_is_the_one_that_was_written(tmp_path: Path) -> None:
    workspace = opened(tmp_path, Exchange())
    first = update.update(workspace)
    written = Path(first.path).read_bytes()
    assert update.update(workspace).proposal == first.proposal
    assert Path(first.path).read_bytes() == written


def test_without_outcomes_reweighting_attempts_nothing(origin: Path) -> None:
    result = update.update(opened(origin, Exchange()), mode="reweight")
    assert result.proposal.attempt is None
    assert "Nothing was attempted" in result.proposal.outcome
    assert registry.resolve(Paths(origin)).version == standin.VERSION


def test_the_reader_is_loaded_anew_after_an_update(tmp_path: Path) -> None:
    readers = iter(["before", "after"])
    workspace = Workspace(
        Config(),
        Paths(tmp_path),
        connect=lambda _: Exchange(),
        load_reader=lambda *_: next(readers),
    )
    assert workspace.reader == "before"
    update.update(workspace)
    assert workspace.reader == "after"


def test_an_unknown_mode_is_refused_before_the_exchange_is_asked(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="No such mode: 'dream'") as refused:
        update.update(opened(tmp_path, Exchange(None)), mode="dream")
    assert all(mode in refused.value.hint for mode in update.UPDATE_MODES)


def test_an_exchange_that_does_not_answer_leaves_nothing_behind(tmp_path: Path) -> None:
    with pytest.raises(TransientError):
        update.update(opened(tmp_path, Exchange(None)))
    assert not Paths(tmp_path).proposals.exists()


@pytest.mark.parametrize("mode", ["reweight"])
def test_a_fixed_model_cannot_be_updated(origin: Path, mode: str) -> None:
    fixed = opened(origin, Exchange(), model=ModelConfig(version=standin.VERSION))
    with pytest.raises(ConfigError, match=f"fix the model at {standin.VERSION}") as refused:
        update.update(fixed, mode=mode)
    assert "vision_ai.toml" in refused.value.hint


def test_training_settings_reach_the_mode_that_trains(tmp_path: Path, monkeypatch) -> None:
    """The room that needs torch is replaced as a whole; what it is handed is looked at."""
    handed: dict[str, object] = {}
    proposal = UpdateProposal.model_validate(
        update.update(opened(tmp_path, Exchange())).proposal.model_dump()
    )

    class Room:
        @staticmethod
        def update(workspace: Workspace, now_ms: int, **options: object) -> UpdateProposal:
            handed.update(options, now_ms=now_ms)
            return proposal

    monkeypatch.setattr(learning, "finetune", Room, raising=False)
    monkeypatch.setitem(sys.modules, "vision_ai.pipeline.learning.finetune", Room)
    chosen = update.Training(klines=tmp_path / "more", device="cpu", steps=7)
    result = update.update(opened(tmp_path, Exchange()), mode="finetune", training=chosen)
    assert result.proposal == proposal
    assert handed == {
        "klines": tmp_path / "more", "device": "cpu", "steps": 7, "now_ms": AS_OF,
    }  # fmt: skip


def test_without_the_training_stack_the_cure_is_the_extra(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.delattr(learning, "finetune", raising=False)
    monkeypatch.setitem(sys.modules, "vision_ai.pipeline.learning.finetune", None)
    with pytest.raises(InputError, match="The mode finetune needs a library") as refused:
        update.update(opened(tmp_path, Exchange()), mode="finetune")
    assert "[train]" in str(refused.value)
