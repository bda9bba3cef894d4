"""Decisions on disk."""

from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.feedback.examples import AS_OF
from vision_ai.config import Paths
from vision_ai.domain import iso
from vision_ai.records import Decision
from vision_ai.trader_decision import WEIGHTS, journal

DAY_MS = 86_400_000


def decision(minute: int = 0, symbol: str = "BTCUSDT", score: float = 0.1) -> Decision:
    return Decision(
        symbol=symbol,
        decided_at=iso(AS_OF + minute * 60_000),
        decision="avoid",
        final_score=score,
        grade="very_poor",
        confidence=0.9,
        score_breakdown=dict.fromkeys(WEIGHTS, score / len(WEIGHTS)),
        decision_reasons=["a reason"],
    )


moments = st.lists(
    st.tuples(st.integers(0, 3000), st.sampled_from(["BTCUSDT", "ETHUSDT"]), st.floats(-1, 1)),
    max_size=8,
)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(moments)
def test_the_first_decision_of_a_symbol_and_time_is_kept(tmp_path_factory, moments) -> None:
    paths = Paths(tmp_path_factory.mktemp("root"))
    expected: dict[tuple[str, str], Decision] = {}
    for moment in moments:
        one = decision(*moment)
        name = one.symbol, one.decided_at
        assert journal.append(paths, one) == (name not in expected)
        expected.setdefault(name, one)
    read, bad = journal.read(paths)
    assert bad == []
    plain = [one.model_copy(update={"line": 0, "check": ""}) for one in read]
    assert {(one.symbol, one.decided_at): one for one in plain} == expected


def test_each_symbol_has_a_log_a_day(tmp_path: Path) -> None:
    paths = Paths(tmp_path)
    for minute in (0, 1, DAY_MS // 60_000):
        journal.append(paths, decision(minute))
    journal.append(paths, decision(0, "ETHUSDT"))
    names = sorted(path.name for path in paths.decisions.iterdir())
    days = [iso(AS_OF)[:10].replace("-", ""), iso(AS_OF + DAY_MS)[:10].replace("-", "")]
    assert names == [f"BTCUSDT_{days[0]}.jsonl", f"BTCUSDT_{days[1]}.jsonl",
                     f"ETHUSDT_{days[0]}.jsonl"]  # fmt: skip


def test_a_line_of_another_log_is_named_and_not_counted(tmp_path: Path) -> None:
    paths = Paths(tmp_path)
    journal.append(paths, decision())
    own = paths.decisions_of("BTCUSDT", AS_OF)
    other = paths.decisions_of("ETHUSDT", AS_OF)
    other.write_bytes(own.read_bytes())
    read, bad = journal.read(paths)
    assert len(read) == 1
    assert [one.reason for one in bad] == [f"belongs to {own.name}"]
    assert journal.read_log(paths, other)[0] == []


def test_a_torn_line_stays_and_the_next_is_whole(tmp_path: Path) -> None:
    paths = Paths(tmp_path)
    journal.append(paths, decision())
    log = paths.decisions_of("BTCUSDT", AS_OF)
    log.write_bytes(log.read_bytes()[:-20])
    assert journal.append(paths, decision(1))
    read, bad = journal.read_log(paths, log)
    assert [one.decided_at for one in read] == [iso(AS_OF + 60_000)]
    assert len(bad) == 1


def test_no_folder_is_no_decision(tmp_path: Path) -> None:
    assert journal.read(Paths(tmp_path)) == ([], [])
