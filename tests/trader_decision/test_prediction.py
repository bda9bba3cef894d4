"""Which prediction the decision counts, and what the user's own ten lines get of it."""

import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.feedback.examples import AS_OF, H_MS, prediction
from vision_ai import storage
from vision_ai.config import DecisionConfig, DecisionRule, Paths
from vision_ai.domain import HORIZONS, Direction, Phase, Setup, parse_time, stamp
from vision_ai.records import ExternalPrediction, Prediction
from vision_ai.trader_decision import (
    find_cv_prediction,
    load_cv_prediction,
    simulate_trader_decision_advanced,
)

# The user's own lines, word for word.
SNIPPET = """
cv_data = load_cv_prediction(symbol)
if cv_data:
    setup_type = cv_data.get("setup")  # e.g. breakout, trap
    setup_conf = cv_data.get("confidence", 0)
    # Dostosuj scoring:
    if setup_type == "breakout" and setup_conf > 0.8:
        score += 0.1
        decision_reasons.append("CV Model: breakout with high confidence")
    elif setup_type == "trap" and setup_conf > 0.7:
        score -= 0.1
        decision_reasons.append("CV Model: possible trap")
"""
NAMED_MS = parse_time("2025-06-23T10:45:00Z")


def run_snippet(symbol: str, root: Path, now_ms: int) -> tuple[float, list[str], Any]:
    names: dict[str, Any] = {
        "load_cv_prediction": partial(load_cv_prediction, root=root, now_ms=now_ms),
        "symbol": symbol,
        "score": 0.5,
        "decision_reasons": [],
    }
    exec(SNIPPET, names)
    return round(names["score"], 6), names["decision_reasons"], names["cv_data"]


def leave(root: Path, name: str, content: Any) -> Path:
    path = root / "cv_predictions" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))
    return path


def bare(setup: str, confidence: float, **more: Any) -> dict[str, Any]:
    return {"setup": setup, "phase": "markup", "confidence": confidence, **more}


CASES = [
    ("breakout", 0.81, 0.6, ["CV Model: breakout with high confidence"]),
    ("breakout", 0.8, 0.5, []),
    ("trap", 0.71, 0.4, ["CV Model: possible trap"]),
    ("trap", 0.7, 0.5, []),
    ("range", 0.99, 0.5, []),
]


@pytest.mark.parametrize(("setup", "confidence", "score", "reasons"), CASES)
def test_the_users_lines_run_on_a_bare_file(setup, confidence, score, reasons, tmp_path) -> None:
    leave(tmp_path, "JSTUSDT_20250623_1045.json", bare(setup, confidence))
    found = run_snippet("JSTUSDT", tmp_path, NAMED_MS + H_MS)
    assert found[:2] == (score, reasons)
    assert found[2]["phase"] == "markup"
    # and the engine moves by the same rule
    ctx = simulate_trader_decision_advanced(
        {"symbol": "JSTUSDT"}, root=tmp_path, now_ms=NAMED_MS + H_MS
    )
    moved = {name: part for name, part in ctx["score_breakdown"].items() if "cv_" in name}
    assert sum(moved.values()) == pytest.approx(score - 0.5)


@pytest.mark.parametrize(("setup", "confidence", "score", "reasons"), CASES)
def test_the_users_lines_run_on_our_own_file(setup, confidence, score, reasons, tmp_path) -> None:
    call = prediction(symbol="JSTUSDT", setup=Setup(setup), confidence=confidence)
    storage.write_document(Paths(tmp_path).prediction("JSTUSDT", AS_OF), call)
    found = run_snippet("JSTUSDT", tmp_path, AS_OF + H_MS)
    assert found[:2] == (score, reasons)
    assert isinstance(found[2], Prediction)
    assert found[2]["phase"] == call.phase.value


def test_the_users_lines_do_nothing_without_a_file(tmp_path) -> None:
    assert run_snippet("JSTUSDT", tmp_path, NAMED_MS) == (0.5, [], None)


def test_what_is_returned_answers_as_a_dict_does(tmp_path) -> None:
    leave(tmp_path, "JSTUSDT_20250623_1045.json", bare("trap", 0.9))
    found = load_cv_prediction("jstusdt", root=tmp_path, now_ms=NAMED_MS)
    assert found is not None
    assert (found["setup"], found.get("confidence", 0)) == ("trap", 0.9)
    assert (found.get("weather", 0), found.get("model_config"), "setup" in found) == (0, None, True)
    assert ("weather" in found, found["as_of"]) == (False, "2025-06-23T10:45:00Z")
    with pytest.raises(KeyError, match="weather"):
        found["weather"]


@pytest.mark.parametrize(
    ("age_h", "reason"),
    [(2.0, ""), (2.01, "is stale"), (-0.02, "there is no prediction")],
    ids=["two hours", "a little older", "of the future"],
)
def test_a_bare_file_is_as_old_as_its_name(age_h: float, reason: str, tmp_path) -> None:
    path = leave(tmp_path, "JSTUSDT_20250623_1045.json", bare("trap", 0.9))
    path.touch()  # written just now, for a time long ago
    found = find_cv_prediction("JSTUSDT", root=tmp_path, now_ms=NAMED_MS + round(age_h * H_MS))
    assert (found.prediction is None) == bool(reason)
    assert reason in found.reason


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("{", "expected a JSON object"),
        ('["trap"]', "expected a JSON object, was list"),
        ('{"phase": "markup", "confidence": 0.9}', "setup: Field required"),
        ('{"setup": "moon", "phase": "markup", "confidence": 0.9}', "setup: Input should be"),
        ('{"setup": "trap", "phase": "markup", "confidence": 1.2}', "less than or equal to 1"),
        ('{"setup": "trap", "phase": "markup", "confidence": NaN}', "confidence"),
        ('{"schema_version": 1, "setup": "trap", "phase": "markup", "confidence": 0.9}', "symbol"),
        ('{"setup": "trap", "phase": "markup", "confidence": 1, "symbol": "BTCUSDT"}', "BTCUSDT"),
    ],
)
def test_a_damaged_file_says_what_is_wrong_and_counts_nothing(
    content: str, expected: str, tmp_path
) -> None:
    path = leave(tmp_path, "JSTUSDT_20250623_1045.json", {})
    path.write_text(content)
    leave(tmp_path, "JSTUSDT_20250623_1030.json", bare("trap", 0.9))  # must not replace it
    found = find_cv_prediction("JSTUSDT", root=tmp_path, now_ms=NAMED_MS)
    assert found.prediction is None
    assert found.reason.startswith("the prediction is damaged: ")
    assert expected in found.reason


@pytest.mark.parametrize(
    "name",
    ["JSTUSDT_20251323_1045.json", "JSTUSDT_20250623_2560.json", "JSTUSDT_00000000_0000.json"],
)
def test_a_name_that_is_no_time_is_damage(name: str, tmp_path) -> None:
    leave(tmp_path, name, bare("trap", 0.9))
    found = find_cv_prediction("JSTUSDT", root=tmp_path, now_ms=NAMED_MS + 400 * 24 * H_MS)
    assert found.prediction is None
    assert "Time" in found.reason


def test_other_names_are_not_looked_at(tmp_path) -> None:
    for name in ("JSTUSDT.json", "JSTUSDT_2025_1045.json", "JSTUSDT_20250623_1045.json.bak",
                 "XJSTUSDT_20250623_1045.json", "JSTUSDT_20250623_1045x.json"):  # fmt: skip
        leave(tmp_path, name, bare("trap", 0.9))
    assert load_cv_prediction("JSTUSDT", root=tmp_path, now_ms=NAMED_MS) is None


minutes = st.lists(st.integers(0, 600), max_size=6, unique=True)


@settings(max_examples=25)
@given(ours=minutes, theirs=minutes, now=st.integers(0, 600))
def test_the_newest_of_both_folders_wins(ours, theirs, now, tmp_path_factory) -> None:
    root = tmp_path_factory.mktemp("root")
    config = DecisionConfig(stale_after_h=100)
    for minute in ours:
        at = AS_OF + minute * 60_000
        call = prediction(as_of_ms=at)
        storage.write_document(Paths(root).prediction("BTCUSDT", at), call)
    for minute in theirs:
        leave(root, f"BTCUSDT_{stamp(AS_OF + minute * 60_000)}.json", bare("trap", 0.9))
    found = load_cv_prediction("BTCUSDT", root=root, config=config, now_ms=AS_OF + now * 60_000)
    past = [minute for minute in [*ours, *theirs] if minute <= now]
    if not past:
        assert found is None
        return
    assert found is not None
    assert parse_time(found.as_of) == AS_OF + max(past) * 60_000
    # at the same minute our own says more
    assert isinstance(found, Prediction) == (max(past) in ours)


def test_a_file_of_another_program_may_say_more(tmp_path) -> None:
    more = {"direction": "short", "phase": "range", "model": "somebody's", "abstained": False}
    leave(tmp_path, "JSTUSDT_20250623_1045.json", bare("trap", 0.9) | more)
    found = load_cv_prediction("JSTUSDT", root=tmp_path, now_ms=NAMED_MS)
    assert isinstance(found, ExternalPrediction)
    assert (found.direction, found.phase) == (Direction.SHORT, Phase.RANGE)
    leave(tmp_path, "JSTUSDT_20250623_1045.json", bare("trap", 0.9, abstained=True))
    reading = find_cv_prediction("JSTUSDT", root=tmp_path, now_ms=NAMED_MS)
    assert reading.reason == "the prediction abstained: no reason was given"


def test_a_full_prediction_may_lie_in_the_other_folder(tmp_path) -> None:
    call = prediction(symbol="JSTUSDT")
    storage.write_document(tmp_path / "cv_predictions" / f"JSTUSDT_{stamp(AS_OF)}.json", call)
    assert load_cv_prediction("JSTUSDT", root=tmp_path, now_ms=AS_OF) == call


def test_a_rule_about_a_direction_needs_one(tmp_path) -> None:
    leave(tmp_path, "JSTUSDT_20250623_1045.json", bare("fakeout", 0.9))
    rules = [
        DecisionRule(direction=direction, min_confidence=0.5, delta=0.05, reason=direction.value)
        for direction in Direction
    ]
    ctx = simulate_trader_decision_advanced(
        {"symbol": "JSTUSDT"},
        root=tmp_path,
        config=DecisionConfig(rules=tuple(rules)),
        now_ms=NAMED_MS,
    )
    assert not any(name.startswith("cv_rule") for name in ctx["score_breakdown"])
    assert ctx["decision_reasons"][-1] == "CV Model: fakeout at 0.90 meets no rule"


def test_the_feedback_loop_never_reads_the_other_folder(tmp_path) -> None:
    from vision_ai.feedback_loop_cv import open_journal

    leave(tmp_path, "JSTUSDT_20250623_1045.json", bare("trap", 0.9))
    journal = open_journal(Paths(tmp_path), NAMED_MS + max(h.ms for h in HORIZONS))
    assert (journal.pending, journal.damaged) == ([], {})
