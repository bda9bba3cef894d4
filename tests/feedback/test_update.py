"""`update_cv_model_weights`: what each mode does, refuses and leaves alone."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.feedback.examples import AS_OF, H_MS, line, prediction
from vision_ai import storage
from vision_ai.config import Paths
from vision_ai.domain import Horizon, iso
from vision_ai.errors import InputError
from vision_ai.feedback import journal
from vision_ai.feedback.challenge import EMBARGO_MS, days_needed
from vision_ai.feedback.tuning import Stages, Tuned
from vision_ai.feedback.update import Champion, update_cv_model_weights
from vision_ai.records import GateAttempt, UpdateProposal

DAY_MS = 24 * H_MS
DAYS = 120
NOW = AS_OF + DAYS * DAY_MS


class Registry:
    """Versions and the one in use: as much of a registry as feedback sees."""

    def __init__(self, tune: Callable[[Stages], Tuned | str] | None = None) -> None:
        self.current, self.since = "m1", ""
        self.published: dict[str, object] = {}
        self.tune = tune

    def champion(self, **changes: object) -> Champion:
        own: dict[str, object] = {
            "version": self.current,
            "exemplars": frozenset(),
            "publish": self.publish,
            "promote": self.promote,
            "was_cut_short": lambda version: version != self.current,
            "tune": self.tune,
            "since": self.since,
        }
        return Champion(**(own | changes))  # type: ignore[arg-type]

    def publish(self, found: object) -> str:
        name = f"m1-{len(self.published)}"
        self.published[name] = found
        return name

    def promote(self, version: str) -> None:
        self.current = version


@pytest.fixture(scope="module")
def origin(tmp_path_factory) -> Path:
    """A call a day whose outcome each time needed bands of another width."""
    paths = Paths(tmp_path_factory.mktemp("origin"))
    rng = np.random.default_rng(7)
    for day in range(DAYS):
        as_of_ms = AS_OF + day * DAY_MS
        call = prediction(as_of_ms=as_of_ms)
        storage.write_document(paths.prediction("BTCUSDT", as_of_ms), call)
        needed = float(abs(rng.normal()) / 1.2816)
        entry = line(as_of_ms=as_of_ms, success=bool(rng.random() < 0.4), width_factor=needed)
        journal.append(paths, [entry])
    return paths.root


@pytest.fixture
def paths(origin: Path, tmp_path: Path) -> Paths:
    shutil.copytree(origin, tmp_path / "root")
    return Paths(tmp_path / "root")


def trained(registry: Registry, gain: float, mix: float = 0.5) -> Callable[[Stages], Tuned | str]:
    def tune(stages: Stages) -> Tuned:
        days = np.array(sorted({(line_ms(one) // DAY_MS) for one in stages.judging}), np.int64)
        champion = np.linspace(-1, 0, len(days))
        figures = {"charts": float(len(days))}
        return Tuned(mix, champion, champion + gain, days, figures, registry.publish)

    return tune


def line_ms(entry: object) -> int:
    from vision_ai.domain import parse_time

    return parse_time(entry.as_of)  # type: ignore[attr-defined]


def files(root: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def test_log_only_writes_one_proposal_and_nothing_else(paths: Paths) -> None:
    before = files(paths.root)
    found = update_cv_model_weights(paths, NOW)
    after = files(paths.root)
    path = paths.proposal(NOW)
    assert set(after) - set(before) == {str(path)}
    assert {name: after[name] for name in before} == before
    assert storage.read_document(path, UpdateProposal, repair="") == found
    assert (found.mode, found.attempt, found.outcome) == ("log-only", None, "")
    assert found.lines == DAYS


@pytest.mark.parametrize("mode", ["reweight", "finetune"])
def test_a_mode_that_changes_the_model_needs_one(mode, paths: Paths) -> None:
    with pytest.raises(InputError, match=f"The mode {mode} needs the model in use") as caught:
        update_cv_model_weights(paths, NOW, mode)
    assert caught.value.hint == "Pass `champion`."
    assert not paths.proposal(NOW).exists()


def test_finetuning_needs_a_champion_that_can_be_trained(paths: Paths) -> None:
    with pytest.raises(InputError, match="cannot be trained"):
        update_cv_model_weights(paths, NOW, "finetune", champion=Registry().champion())


@pytest.mark.parametrize("mode", ["reweight", "finetune"])
def test_too_few_days_wait_and_say_how_many_are_needed(mode, paths: Paths) -> None:
    registry = Registry(tune=lambda _: "never called")
    early = AS_OF + 20 * DAY_MS
    found = update_cv_model_weights(paths, early, mode, champion=registry.champion())
    assert found.attempt is None
    needed = days_needed(1, parts=1 if mode == "finetune" else 3)
    assert found.outcome.endswith(f"{needed} are needed. Nothing was attempted.")
    assert journal.read_attempts(paths) == ([], [])


def test_outcomes_of_another_model_do_not_count(paths: Paths) -> None:
    registry = Registry()
    registry.current = "m2"
    found = update_cv_model_weights(paths, NOW, "reweight", champion=registry.champion())
    assert found.outcome.startswith("Model m2 stays: 0 days of its own outcomes")


def test_training_that_cannot_start_says_why_and_spends_nothing(paths: Paths) -> None:
    registry = Registry(tune=lambda _: "40 charts cannot be found.")
    found = update_cv_model_weights(paths, NOW, "finetune", champion=registry.champion())
    assert found.outcome == "Model m1 stays: 40 charts cannot be found. Nothing was attempted."
    assert journal.read_attempts(paths) == ([], [])


def test_a_mix_of_nothing_is_no_challenger(paths: Paths) -> None:
    registry = Registry()
    registry.tune = trained(registry, gain=1.0, mix=0.0)
    found = update_cv_model_weights(paths, NOW, "finetune", champion=registry.champion())
    assert "no mix with the trained weights" in found.outcome
    assert registry.published == {}


def test_training_sees_folds_that_share_no_candles(paths: Paths) -> None:
    seen: list[Stages] = []

    def tune(stages: Stages) -> str:
        seen.append(stages)
        return "Only looked."

    update_cv_model_weights(paths, NOW, "finetune", champion=Registry(tune=tune).champion())
    stages = seen[0]
    learned, choosing, judging = (
        [line_ms(one) for one in part] for part in (stages.learned, stages.choosing, stages.judging)
    )
    assert min(map(len, (learned, choosing, judging))) > 5
    assert max(learned) + Horizon.H6.ms <= stages.until_ms
    assert min(choosing) >= stages.until_ms + EMBARGO_MS
    assert max(choosing) + Horizon.H6.ms <= stages.chosen_until_ms
    assert min(judging) >= stages.chosen_until_ms + EMBARGO_MS


def test_a_better_reader_comes_into_use_and_its_attempt_is_kept(paths: Paths) -> None:
    registry = Registry()
    registry.tune = trained(registry, gain=0.1)
    found = update_cv_model_weights(paths, NOW, "finetune", champion=registry.champion())
    assert registry.current == "m1-0"
    assert found.outcome == "Model m1-0 is in use: better on the later fold (readings)."
    attempts, bad = journal.read_attempts(paths)
    assert bad == []
    assert [(one.mode, one.promote, one.version) for one in attempts] == [
        ("finetune", True, "m1-0")
    ]
    assert attempts[0].parts[0].figures["gain"] == pytest.approx(0.1)


def test_a_reader_that_is_no_better_spends_its_share_and_stays_out(paths: Paths) -> None:
    registry = Registry()
    registry.tune = trained(registry, gain=-0.1)
    found = update_cv_model_weights(paths, NOW, "finetune", champion=registry.champion())
    assert (registry.current, registry.published) == ("m1", {})
    assert found.outcome == "Model m1 stays: nothing proved better."
    assert found.attempt is not None
    assert found.attempt.number == 1
    # the next one has less to spend, and needs fresh days
    later = update_cv_model_weights(paths, NOW + H_MS, "finetune", champion=registry.champion())
    assert later.attempt is None
    assert "Nothing was attempted" in later.outcome


def test_numbers_count_over_both_modes(paths: Paths) -> None:
    registry = Registry()
    registry.tune = trained(registry, gain=-0.1)
    first = update_cv_model_weights(paths, NOW, "reweight", champion=registry.champion())
    second = update_cv_model_weights(paths, NOW + H_MS, "finetune", champion=registry.champion())
    assert first.attempt is not None
    assert second.attempt is not None
    assert (first.attempt.number, second.attempt.number) == (1, 2)
    assert second.attempt.parts[0].level < first.attempt.alpha


def test_the_same_instant_again_says_the_same_and_attempts_nothing_more(paths: Paths) -> None:
    registry = Registry()
    first = update_cv_model_weights(paths, NOW, "reweight", champion=registry.champion())
    again = update_cv_model_weights(paths, NOW, "reweight", champion=registry.champion())
    assert again == first
    assert len(journal.read_attempts(paths)[0]) == 1


def test_another_run_that_was_faster_is_noticed(paths: Paths) -> None:
    registry = Registry()
    slow = trained(registry, gain=-0.1)

    def tune(stages: Stages) -> Tuned | str:
        tuned = slow(stages)
        other = GateAttempt(
            number=1, mode="reweight", made_at=iso(NOW - 1000), champion="m1",
            horizon=Horizon.H6, alpha=0.05, learned_until=iso(AS_OF), judged_from=iso(AS_OF),
            judged_until=iso(AS_OF), learned=0, judged=0, days=0, parts=[], promote=False,
        )  # fmt: skip
        assert journal.append_attempt(paths, other)
        return tuned

    registry.tune = tune
    found = update_cv_model_weights(paths, NOW, "finetune", champion=registry.champion())
    assert found.outcome.startswith("Another run made this attempt meanwhile")
    assert [one.mode for one in journal.read_attempts(paths)[0]] == ["reweight"]


def test_a_promotion_that_died_is_finished_and_named(paths: Paths) -> None:
    registry = Registry()
    registry.tune = trained(registry, gain=0.1)

    def dies(_: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        update_cv_model_weights(paths, NOW, "finetune", champion=registry.champion(promote=dies))
    assert registry.current == "m1"
    found = update_cv_model_weights(paths, NOW + H_MS, "reweight", champion=registry.champion())
    assert found.outcome == "Model m1-0 is in use: its promotion was cut short earlier."
    assert registry.current == "m1-0"
    assert len(journal.read_attempts(paths)[0]) == 1
