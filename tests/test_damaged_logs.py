"""Lines of any log that are cut off, doubled, moved or edited are named and never counted."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.feedback.examples import AS_OF, H_MS, line
from vision_ai import feedback_loop_cv
from vision_ai.config import Paths
from vision_ai.domain import Horizon, iso
from vision_ai.feedback import journal as feedback_journal
from vision_ai.model import lineage
from vision_ai.model.lineage import Switch
from vision_ai.records import BadLine, Decision, GateAttempt
from vision_ai.trader_decision import journal

Found = tuple[list[str], list[BadLine]]
"""What counts, as JSON without place and checksum, and what does not."""


def texts(lines: list) -> list[str]:
    return [entry.model_dump_json(exclude={"line", "check"}) for entry in lines]


def decision(number: int, symbol: str = "BTCUSDT") -> Decision:
    return Decision(
        symbol=symbol,
        decided_at=iso(AS_OF + number * 60_000),
        decision="avoid",
        final_score=0.1,
        grade="very_poor",
        confidence=0.9,
        score_breakdown={"trend_strength": 0.1},
        decision_reasons=["none"],
    )


def attempt(number: int) -> GateAttempt:
    at = iso(AS_OF + number * H_MS)
    return GateAttempt(
        number=number, made_at=at, champion="m1", horizon=Horizon.H6, alpha=0.05,
        learned_until=at, judged_from=at, judged_until=at, learned=1, judged=1, days=1,
        parts=[], promote=False,
    )  # fmt: skip


def write_feedback(paths: Paths) -> Path:
    lines = [line(horizon=horizon) for horizon in Horizon]
    feedback_loop_cv.append(paths, lines)
    return paths.feedback("BTCUSDT", AS_OF)


def write_decisions(paths: Paths) -> Path:
    for number in range(4):
        journal.append(paths, decision(number))
    return paths.decisions_of("BTCUSDT", AS_OF)


def write_attempts(paths: Paths) -> Path:
    for number in range(1, 4):
        feedback_journal.append_attempt(paths, attempt(number))
    return paths.models / "attempts.jsonl"


def write_history(paths: Paths) -> Path:
    for number in range(4):
        switch = Switch(at=iso(AS_OF), kind="promote", was=f"m{number}", to=f"m{number + 1}")
        lineage.record_switch(paths, switch)
    return paths.models / "history.jsonl"


def read_history(paths: Paths) -> tuple[list[Switch], list[BadLine]]:
    return lineage.read_history(paths), lineage.damaged_history(paths)


LOGS: dict[str, tuple[Callable[[Paths], Path], Callable]] = {
    "feedback": (write_feedback, feedback_loop_cv.read_logs),
    "decisions": (write_decisions, journal.read),
    "attempts": (write_attempts, feedback_journal.read_attempts),
    "history": (write_history, read_history),
}


def edited(text: bytes, draw: Callable) -> bytes:
    """One value of a line, changed."""
    content = json.loads(text)
    names = sorted(name for name, value in content.items() if isinstance(value, str | int | float))
    name = draw(st.sampled_from(names))
    value = content[name]
    content[name] = f"{value}0" if isinstance(value, str) else value + 1
    return json.dumps(content, separators=(",", ":")).encode()


@pytest.mark.parametrize("name", LOGS)
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_damage_is_named_and_only_what_was_written_counts(
    name: str, data: st.DataObject, tmp_path_factory
) -> None:
    """Every way of damage leaves fewer lines that count, all of them as written, and names some."""
    write, read = LOGS[name]
    paths = Paths(tmp_path_factory.mktemp(name))
    path = write(paths)
    whole, bad = read(paths)
    assert bad == []
    lines = path.read_bytes().splitlines()
    at = data.draw(st.integers(0, len(lines) - 1))
    kind = data.draw(st.sampled_from(["cut", "doubled", "reordered", "edited", "inserted"]))
    if kind == "cut":
        lines[at] = lines[at][: data.draw(st.integers(1, len(lines[at]) - 1))]
    elif kind == "doubled":
        lines.insert(data.draw(st.integers(at + 1, len(lines))), lines[at])
    elif kind == "reordered":
        moved = lines.pop(at)
        lines.insert((at + data.draw(st.integers(1, len(lines)))) % (len(lines) + 1), moved)
    elif kind == "edited":
        lines[at] = edited(lines[at], data.draw)
    else:
        lines.insert(at, data.draw(st.sampled_from([b"{}", b"null", b"[" * 9999, b"\xff"])))
    path.write_bytes(b"\n".join(lines) + b"\n")
    found, bad = read(paths)
    assert bad, kind
    assert all(damaged.path == str(path) for damaged in bad)
    assert {damaged.number for damaged in bad} <= set(range(1, len(lines) + 1))
    counted = texts(found)
    assert len(set(counted)) == len(counted)
    assert set(counted) <= set(texts(whole))
    lost = {"doubled": 0, "inserted": 0}.get(kind, 1)
    assert len(counted) <= len(whole) - lost
    assert path.read_bytes() == b"\n".join(lines) + b"\n"


def test_a_decision_in_the_log_of_another_symbol_is_not_counted(tmp_path: Path) -> None:
    paths = Paths(tmp_path)
    for symbol in ("BTCUSDT", "ETHUSDT"):
        journal.append(paths, decision(0, symbol))
    own, other = (paths.decisions_of(symbol, AS_OF) for symbol in ("BTCUSDT", "ETHUSDT"))
    own.write_bytes(other.read_bytes())
    found, (bad,) = journal.read(paths)
    assert [one.symbol for one in found] == ["ETHUSDT"]
    assert bad.reason == f"belongs to {other.name}"
