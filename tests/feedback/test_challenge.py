import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.feedback.examples import H_MS, line, neighbor, prediction
from vision_ai import feedback_loop_cv as feedback
from vision_ai import storage
from vision_ai.config import Paths
from vision_ai.domain import Horizon, Interval, parse_time
from vision_ai.errors import InputError
from vision_ai.feedback import journal as feedback_journal
from vision_ai.feedback.challenge import DAY_MS, EMBARGO_MS, judge_bands, judge_exemplars
from vision_ai.feedback_loop_cv import Champion

START = 20_000 * DAY_MS
SYMBOLS = 8


def desk(days: int, *, signal: bool, seed: int = 0, width_factor: float = 1.0, first_day: int = 0):
    """A call of each symbol a day; with a signal, those of good neighbors reach their target."""
    rng = np.random.default_rng(seed)
    calls, lines = [], []
    for day in range(first_day, first_day + days):
        for symbol in range(SYMBOLS):
            at, good = START + day * DAY_MS + 2 * H_MS, bool(rng.integers(2))
            name = f"{'GOOD' if good else 'BAD'}{rng.integers(4)}USDT"
            call = prediction(symbol=f"S{symbol}USDT", as_of_ms=at, neighbors=[neighbor(name)])
            calls.append(call)
            chance = (0.9 if good else 0.1) if signal else 0.4
            for horizon in Horizon:
                needed = abs(rng.normal()) / 1.2816 * width_factor
                lines.append(
                    line(
                        symbol=f"S{symbol}USDT",
                        as_of_ms=at,
                        horizon=horizon,
                        success=bool(rng.random() < chance),
                        width_factor=float(needed),
                    )
                )
    return calls, lines


def exemplars():
    return {
        (f"{kind}{n}USDT", Interval.M15, "2024-01-01T00:00:00Z")
        for kind in ("GOOD", "BAD")
        for n in range(4)
    }


def tried(days: int = 50, **kind: Any):
    calls, lines = desk(days, **kind)
    split = feedback.fold(lines, "m1", [], START + days * DAY_MS)
    assert split is not None
    return feedback.challenge(calls, split, exemplars(), number=1)


def test_neighbors_whose_record_predicts_are_found_better() -> None:
    found = tried(signal=True)
    assert found.attempt.promote
    assert {place[0][:3] for place, factor in found.factors.items() if factor > 1} == {"GOO"}
    assert found.width_factor == {}


def test_outcomes_without_signal_change_nothing() -> None:
    for seed in range(10):
        found = tried(signal=False, seed=seed)
        assert (found.attempt.promote, found.factors, found.width_factor) == (False, {}, {})


def test_bands_that_are_too_narrow_are_widened_and_cover_again() -> None:
    found = tried(signal=False, width_factor=1.8)
    assert set(found.width_factor) == set(Horizon)
    figures = next(part.figures for part in found.attempt.parts if part.name == "bands 6h")
    assert figures["coverage_champion"] < 0.65
    assert figures["coverage_challenger"] == pytest.approx(0.8, abs=0.1)


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 60), st.lists(st.integers(0, 30), max_size=3), st.integers(1, 60))
def test_what_was_learned_never_judges_and_nothing_judges_twice(days, looks, last) -> None:
    _, lines = desk(days, signal=False)
    made, judged = [], set()
    for look in [*sorted(looks), last]:
        now = START + look * DAY_MS
        split = feedback.fold(lines, "m1", made, now)
        if split is None:
            continue
        assert all(parse_time(e.as_of) + e.horizon.ms <= split.until_ms for e in split.learned)
        assert all(parse_time(e.as_of) >= split.until_ms + EMBARGO_MS for e in split.judging)
        assert all(parse_time(e.as_of) + e.horizon.ms <= now for e in split.judging)
        keys = {feedback.key(entry) for entry in split.judging}
        assert not keys & judged
        judged |= keys
        made.append(feedback.challenge([], split, [], number=len(made) + 1).attempt)


def test_only_the_champions_own_lines_count() -> None:
    _, lines = desk(3, signal=False)
    other = [entry.model_copy(update={"model_version": "m0"}) for entry in lines]
    assert feedback.fold(other, "m1", [], START + 9 * DAY_MS) is None


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("factor", [0.5, 2.0])
def test_a_day_is_won_as_often_as_lost_whatever_its_hits(share: float, factor: float) -> None:
    """One look-alike in eight has a record: neither its side nor the share of hits may lean."""
    rng = np.random.default_rng(3)
    calls, lines = desk(300, signal=False)
    six = [entry for entry in lines if entry.horizon is Horizon.H6]
    six = [entry.model_copy(update={"success": bool(rng.random() < share)}) for entry in six]
    only = {("GOOD0USDT", Interval.M15, "2024-01-01T00:00:00Z"): factor}
    part = judge_exemplars(calls, six, only, level=0.01)
    assert part.wins / (part.wins + part.losses) == pytest.approx(0.5, abs=0.1)


@settings(max_examples=25, deadline=None)
@given(st.floats(0.5, 3), st.integers(0, 1000))
def test_bands_that_hold_are_not_changed(width_factor: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    lines = [
        line(as_of_ms=START + n * 6 * H_MS, width_factor=float(abs(rng.normal()) / 1.2816))
        for n in range(120)
    ]
    part = judge_bands(lines, Horizon.H6, width_factor, level=1e-3)
    assert not part.better


@given(st.lists(st.floats(-1, 4), max_size=50))
def test_capital_that_never_grew_promotes_nothing(gains: list[float]) -> None:
    trial = feedback.betting_test(np.minimum(np.array(gains, float), 0), level=0.05)
    assert trial.p_value == 1
    assert not trial.promote


def test_a_betting_test_without_edge_stays_within_its_level() -> None:
    """Gains that win a little in 80 % and lose much in 20 %: nought on average."""
    rng = np.random.default_rng(5)
    rich = [
        feedback.betting_test(np.where(rng.random(80) < 0.8, 0.25, -1.0), level=0.05).promote
        for _ in range(1000)
    ]
    assert np.mean(rich) <= 0.05


def test_a_loss_beyond_the_stake_is_refused() -> None:
    with pytest.raises(InputError, match="at least -1"):
        feedback.betting_test(np.array([-1.5]), level=0.05)


class Models:
    """Two versions and a pointer: as much of a registry as feedback sees."""

    def __init__(self, *, dies: bool = False) -> None:
        self.current, self.made, self.dies = "m1", {}, dies

    def champion(self) -> Champion:
        return Champion(
            version=self.current,
            exemplars=exemplars(),
            publish=self.publish,
            promote=self.promote,
            was_cut_short=lambda version: version != self.current,
        )

    def publish(self, found) -> str:
        name = f"m1-r{found.attempt.number}"
        self.made[name] = found
        return name

    def promote(self, version: str) -> None:
        if self.dies:
            raise KeyboardInterrupt
        self.current = version


_ROOTS = tempfile.TemporaryDirectory()  # made once for each kind: every line is synced to disk


def written(paths: Paths, days: int, **kind: Any) -> None:
    origin = Paths(Path(_ROOTS.name) / f"{days} {kind}")
    if not origin.root.exists():
        calls, lines = desk(days, **kind)
        for call in calls:
            storage.write_document(origin.prediction(call.symbol, parse_time(call.as_of)), call)
        for first, second in zip(lines[::2], lines[1::2], strict=True):
            feedback.append(origin, [first, second])
    shutil.copytree(origin.root, paths.root, dirs_exist_ok=True)


def test_a_better_challenger_is_promoted_and_the_attempt_is_kept(tmp_path: Path) -> None:
    paths, models = Paths(tmp_path), Models()
    written(paths, 50, signal=True)
    now = START + 50 * DAY_MS
    found = feedback.update_cv_model_weights(paths, now, "reweight", champion=models.champion())
    assert models.current == "m1-r1"
    assert found.attempt == feedback_journal.read_attempts(paths)[0][0].model_copy(
        update={"line": 0, "check": ""}
    )
    again = feedback.update_cv_model_weights(paths, now, "reweight", champion=models.champion())
    assert again == found
    later = now + DAY_MS
    again = feedback.update_cv_model_weights(paths, later, "reweight", champion=models.champion())
    assert "Nothing was attempted" in again.outcome
    assert len(feedback_journal.read_attempts(paths)[0]) == 1


def test_without_signal_the_champion_stays_and_the_rate_is_spent(tmp_path: Path) -> None:
    paths, models = Paths(tmp_path), Models()
    written(paths, 50, signal=False)
    now = START + 50 * DAY_MS
    found = feedback.update_cv_model_weights(paths, now, "reweight", champion=models.champion())
    assert (models.current, models.made) == ("m1", {})
    assert "nothing proved better" in found.outcome
    assert [attempt.promote for attempt in feedback_journal.read_attempts(paths)[0]] == [False]


def test_too_few_days_spend_nothing(tmp_path: Path) -> None:
    paths, models = Paths(tmp_path), Models()
    written(paths, 10, signal=True)
    now = START + 10 * DAY_MS
    found = feedback.update_cv_model_weights(paths, now, "reweight", champion=models.champion())
    assert "Nothing was attempted" in found.outcome
    assert feedback_journal.read_attempts(paths) == ([], [])


def test_a_promotion_that_was_cut_short_is_finished_later(tmp_path: Path) -> None:
    paths, models = Paths(tmp_path), Models(dies=True)
    written(paths, 50, signal=True)
    now = START + 50 * DAY_MS
    with pytest.raises(KeyboardInterrupt):
        feedback.update_cv_model_weights(paths, now, "reweight", champion=models.champion())
    assert models.current == "m1"
    models.dies = False
    later = now + DAY_MS
    found = feedback.update_cv_model_weights(paths, later, "reweight", champion=models.champion())
    assert "cut short earlier" in found.outcome
    assert models.current == "m1-r1"
    assert len(feedback_journal.read_attempts(paths)[0]) == 1


def test_an_attempt_that_cannot_be_read_stays_spent(tmp_path: Path, caplog) -> None:
    """Its share of the error rate is not spent again, and its line is named."""
    paths, models = Paths(tmp_path), Models()
    written(paths, 50, signal=True)
    now = START + 50 * DAY_MS
    paths.models.mkdir(parents=True)
    (paths.models / "attempts.jsonl").write_text("cut off\n")
    found = feedback.update_cv_model_weights(paths, now, "reweight", champion=models.champion())
    assert found.attempt is not None
    assert found.attempt.number == 2
    assert "attempts.jsonl line 1: truncated" in caplog.text


def test_lines_that_do_not_count_are_named(tmp_path: Path, caplog) -> None:
    paths = Paths(tmp_path)
    written(paths, 2, signal=True)
    logs = sorted(paths.feedback_logs.iterdir())
    logs[0].write_text("cut off\n")
    (paths.predictions / f"{logs[1].stem}.json").write_text("{")
    feedback.update_cv_model_weights(paths, START + 80 * DAY_MS)
    assert f"{logs[0]} line 1: truncated" in caplog.text
    assert f"{logs[1].stem}.json is damaged" in caplog.text


def test_reweighting_without_a_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="model in use"):
        feedback.update_cv_model_weights(Paths(tmp_path), START, "reweight")


@settings(max_examples=50, deadline=None)
@given(hours=st.lists(st.integers(0, 500), max_size=30))
def test_no_line_both_teaches_and_judges(hours: list[int]) -> None:
    """Learned from where the outcome was complete; judging where 96 h of candles lie after that."""
    lines = [line(as_of_ms=START + hour * H_MS) for hour in hours]
    learned, judging = feedback.later_fold(lines, START + 250 * H_MS)
    assert [_hour(one) for one in learned] == [hour for hour in hours if hour + 6 <= 250]
    assert [_hour(one) for one in judging] == [hour for hour in hours if hour >= 250 + 96]


def _hour(one) -> int:
    return (parse_time(one.as_of) - START) // H_MS
