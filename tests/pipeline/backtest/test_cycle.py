"""The order of an hour's work, and which hours are worked."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vision_ai.domain import parse_time
from vision_ai.errors import InputError
from vision_ai.pipeline.backtest.cycle import DAY_H, H_MS, Schedule, run_hour

NOON = parse_time("2025-06-16T12:00:00Z")

on_the_hour = st.integers(400_000, 500_000).map(lambda hour: hour * H_MS)


@dataclass
class Recorder:
    """Steps that do nothing but write down what was asked of them, and when."""

    symbols: Sequence[str]
    calls: list[tuple[str, int]] = field(default_factory=list)

    def scan(self, now_ms: int) -> Sequence[str]:
        self.calls.append(("scan", now_ms))
        return self.symbols

    def resolve_outcomes(self, now_ms: int) -> None:
        self.calls.append(("resolve", now_ms))

    def learn(self, now_ms: int) -> None:
        self.calls.append(("learn", now_ms))

    def decide(self, symbol: str, now_ms: int) -> None:
        self.calls.append((f"decide {symbol}", now_ms))


def names(recorder: Recorder) -> list[str]:
    return [name for name, _ in recorder.calls]


def test_an_hour_scans_resolves_learns_and_then_decides_each_symbol() -> None:
    steps = Recorder(["AAAUSDT", "BBBUSDT"])
    run_hour(steps, Schedule(NOON, 1, learn_every_h=12), NOON)
    assert names(steps) == ["scan", "resolve", "learn", "decide AAAUSDT", "decide BBBUSDT"]
    assert {at for _, at in steps.calls} == {NOON}


def test_an_hour_between_updates_does_not_ask_the_gate() -> None:
    steps = Recorder(["AAAUSDT"])
    run_hour(steps, Schedule(NOON, 2, learn_every_h=12), NOON + H_MS)
    assert names(steps) == ["scan", "resolve", "decide AAAUSDT"]


def test_outcomes_are_resolved_where_nothing_could_be_predicted() -> None:
    steps = Recorder([])
    run_hour(steps, Schedule(NOON, 1, learn_every_h=0), NOON)
    assert names(steps) == ["scan", "resolve"]


def test_only_symbols_that_were_predicted_are_decided() -> None:
    steps = Recorder(["BBBUSDT"])
    run_hour(steps, Schedule(NOON, 1, learn_every_h=0), NOON)
    assert [name for name in names(steps) if name.startswith("decide")] == ["decide BBBUSDT"]


@given(first_ms=on_the_hour, number=st.integers(0, 10_000))
def test_hours_follow_one_another(first_ms: int, number: int) -> None:
    schedule = Schedule(first_ms, 1)
    assert schedule.at(0) == first_ms
    assert schedule.at(number + 1) - schedule.at(number) == H_MS


@given(first_ms=on_the_hour, every=st.sampled_from([1, 2, 3, 4, 6, 8, 12, 24]))
def test_the_gate_is_asked_at_the_same_hours_of_every_day(first_ms: int, every: int) -> None:
    """Wherever a schedule begins: hours of the UTC calendar, midnight among them."""
    schedule = Schedule(first_ms, 2 * DAY_H, every)
    due = [schedule.at(n) for n in range(2 * DAY_H) if schedule.is_update_due(schedule.at(n))]
    assert len(due) == 2 * DAY_H // every
    hours = {datetime.fromtimestamp(at / 1000, UTC).hour for at in due}
    assert hours == set(range(0, DAY_H, every))


@given(first_ms=on_the_hour)
def test_zero_never_asks_the_gate(first_ms: int) -> None:
    schedule = Schedule(first_ms, DAY_H, 0)
    assert not any(schedule.is_update_due(schedule.at(n)) for n in range(DAY_H))


def test_the_gate_is_asked_at_midnight_unless_said_otherwise() -> None:
    schedule = Schedule(NOON, DAY_H)
    due = [n for n in range(DAY_H) if schedule.is_update_due(schedule.at(n))]
    assert due == [12]


@pytest.mark.parametrize("start", ["2025-06-16T12:30:00Z", "2025-06-16T12:00:01Z"])
def test_a_start_beside_the_hour_is_refused_with_the_value_and_a_cure(start: str) -> None:
    with pytest.raises(InputError, match=start) as refused:
        Schedule(parse_time(start), 1)
    assert "2025-06-16T00:00:00Z" in str(refused.value)  # what is expected, by an example
    assert refused.value.hint == "Leave out minutes and seconds."


@pytest.mark.parametrize(("hours", "every"), [(0, 24), (-1, 24), (1, -1)])
def test_numbers_out_of_range_are_refused_by_value(hours: int, every: int) -> None:
    with pytest.raises(InputError, match=rf"was {hours} and {every}"):
        Schedule(NOON, hours, every)
