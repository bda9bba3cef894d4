import pytest
import torch

from tests.model import tiny
from vision_ai.model.training import checkpoint
from vision_ai.model.training.fit import TrainingState, fit

pytestmark = pytest.mark.train


class PulledPlugError(Exception):
    """Stands for a machine that goes away."""


class Unplugged:
    """Batches that end in mid-run."""

    def __init__(self, source, last):
        self.source, self.last = source, last

    @property
    def sampler(self):
        return self.source.sampler

    def draw(self, step, rows):
        if step >= self.last:
            raise PulledPlugError
        return self.source.draw(step, rows)


def rising(average):
    """A validation that depends on the weights, so that a resumed one must agree."""
    mean = float(sum(p.abs().mean() for p in average.parameters()))
    return {"score": mean, "setup_macro_f1": mean, "phase_macro_f1": mean}


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    whole = tiny.trainer()
    return whole, fit(whole, tiny.batches(), tmp_path_factory.mktemp("whole"), rising, quiet=True)


@pytest.mark.parametrize(
    "lost_at", [3, *(pytest.param(step, marks=pytest.mark.slow) for step in (1, 2, 5, 7))]
)
def test_an_interrupted_run_ends_as_an_uninterrupted_one(tmp_path, uninterrupted, lost_at):
    whole, expected = uninterrupted
    folder = tmp_path / "torn"
    with pytest.raises(PulledPlugError):
        fit(tiny.trainer(), Unplugged(tiny.batches(), lost_at), folder, rising, quiet=True)
    again = tiny.trainer()
    found = fit(again, tiny.batches(), folder, rising, quiet=True)
    assert found.losses == expected.losses
    assert found.checks == expected.checks
    for name, value in whole.average.state_dict().items():
        assert torch.equal(value, again.average.state_dict()[name]), name


def test_a_finished_run_takes_no_further_step(tmp_path):
    first = fit(tiny.trainer(), tiny.batches(), tmp_path, rising, quiet=True)
    again = fit(tiny.trainer(), Unplugged(tiny.batches(), 0), tmp_path, rising, quiet=True)
    assert again.losses == first.losses


def test_a_run_resumes_from_the_checkpoint_before_a_damaged_one(tmp_path, uninterrupted):
    with pytest.raises(PulledPlugError):
        fit(tiny.trainer(), Unplugged(tiny.batches(), 5), tmp_path, rising, quiet=True)
    newest = sorted(tmp_path.glob("step-*"))[-1]
    newest.write_bytes(newest.read_bytes()[:100])
    saved = checkpoint.load(tmp_path)
    assert saved is not None
    assert saved.step == 2
    found = fit(tiny.trainer(), tiny.batches(), tmp_path, rising, quiet=True)
    assert found.losses == uninterrupted[1].losses


def test_training_stops_when_validation_no_longer_gets_better(tmp_path):
    scores = iter([0.5, 0.4, 0.3, 0.2, 0.1])

    def falling(_):
        score = next(scores)
        return {"score": score, "setup_macro_f1": score, "phase_macro_f1": score}

    student = tiny.trainer(steps=50, check_every=2, patience=2)
    course = fit(student, tiny.batches(), tmp_path, falling, quiet=True)
    assert course.step == 6
    assert course.best_score == 0.5


def test_the_best_average_is_the_one_that_stays(tmp_path):
    seen = []

    def peak_at_the_first(average):
        seen.append({k: v.clone() for k, v in average.state_dict().items()})
        score = 1.0 / len(seen)
        return {"score": score, "setup_macro_f1": score, "phase_macro_f1": score}

    student = tiny.trainer()
    fit(student, tiny.batches(), tmp_path, peak_at_the_first, quiet=True)
    assert len(seen) > 1
    for name, value in student.average.state_dict().items():
        assert torch.equal(value, seen[0][name]), name


@pytest.mark.parametrize(
    ("scores", "stale"),
    [([], False), ([1.0], False), ([1.0, 0.5], False), ([1.0, 0.5, 0.6], True), ([1, 2, 3], False)],
)
def test_staleness_looks_at_the_last_validations(scores, stale):
    course = TrainingState(checks=[{"score": score} for score in scores])
    assert course.is_stale(patience=2) is stale


def test_a_new_run_has_no_best_score_yet():
    assert TrainingState().best_score == -float("inf")


def test_every_validation_and_loss_is_kept_with_its_step(tmp_path, uninterrupted):
    _, state = uninterrupted
    assert state.step == len(state.losses) == 8
    assert [check["step"] for check in state.checks] == [3, 6, 8]
    assert state.best_score == max(check["score"] for check in state.checks)


def test_checkpoints_hold_what_a_resumed_run_needs(tmp_path):
    fit(tiny.trainer(steps=2), tiny.batches(), tmp_path, rising, quiet=True)
    saved = checkpoint.load(tmp_path)
    assert saved is not None
    kinds = {name.split("/")[0] for name in saved.tensors}
    assert kinds == {"now", "mean", "optimizer", "practice", "best"}
    assert set(saved.notes) == {"losses", "checks", "bf16"}
