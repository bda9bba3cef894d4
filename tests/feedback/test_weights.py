from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.feedback.examples import AS_OF, H_MS, line, neighbor, prediction
from vision_ai import feedback_loop_cv as feedback
from vision_ai import storage
from vision_ai.config import Paths
from vision_ai.domain import Setup, parse_time
from vision_ai.feedback.weights import BOUNDS
from vision_ai.feedback_loop_cv import UpdateProposal


def judged(successes: list[bool], *, hours: int = 6, symbol: str = "BTCUSDT"):
    """Calls that do not overlap, and what became of them."""
    start = AS_OF // (6 * H_MS) * 6 * H_MS
    times = [start + i * hours * H_MS for i in range(len(successes))]
    calls = [prediction(as_of_ms=at, symbol=symbol) for at in times]
    return calls, [
        line(as_of_ms=at, success=success, symbol=symbol)
        for at, success in zip(times, successes, strict=True)
    ]


def test_without_evidence_no_vote_changes() -> None:
    calls, _ = judged([True] * 3)
    assert feedback.exemplar_weights(calls, []) == []
    _, lines = judged([True])
    (only,) = feedback.exemplar_weights(calls[:1], lines)
    assert only.factor == pytest.approx(1.0)  # it is as good as the overall rate


def test_a_small_sample_moves_a_vote_little_and_a_large_one_more() -> None:
    calls, lines = judged([False] * 40)
    good = [prediction(symbol="XRPUSDT", as_of_ms=AS_OF + i * 6 * H_MS) for i in range(40)]
    good = [call.model_copy(update={"neighbors": [neighbor("ADAUSDT")]}) for call in good]
    wins = [line(symbol="XRPUSDT", as_of_ms=AS_OF + i * 6 * H_MS) for i in range(40)]
    few = feedback.exemplar_weights(calls[:1] + good, lines[:1] + wins)
    many = feedback.exemplar_weights(calls + good, lines + wins)
    loser = {entry.symbol: entry.factor for entry in few}["ETHUSDT"]
    assert 0.94 < loser < 1
    assert {entry.symbol: entry.factor for entry in many}["ETHUSDT"] == BOUNDS[0]


@settings(max_examples=30, deadline=None)
@given(st.lists(st.booleans(), min_size=1, max_size=30))
def test_factors_stay_within_bounds(successes: list[bool]) -> None:
    for entry in feedback.exemplar_weights(*judged(successes)):
        assert BOUNDS[0] <= entry.factor <= BOUNDS[1]
        assert 0 <= entry.hits <= entry.samples <= len(successes)


def test_overlapping_outcomes_of_a_symbol_count_once() -> None:
    start = AS_OF // (6 * H_MS) * 6 * H_MS
    crowd = [line(as_of_ms=start + i * H_MS) for i in range(6)]
    assert sum(feedback.outcome_shares(crowd).values()) == pytest.approx(1)
    apart = [line(as_of_ms=start + i * 6 * H_MS) for i in range(6)]
    assert sum(feedback.outcome_shares(apart).values()) == pytest.approx(6)


def test_only_neighbors_that_voted_for_the_call_share_in_its_outcome() -> None:
    calls, lines = judged([True])
    mixed = [neighbor("AAAUSDT", 3.0), neighbor("BBBUSDT", 1.0), neighbor(setup=Setup.TRAP)]
    entries = feedback.exemplar_weights([calls[0].model_copy(update={"neighbors": mixed})], lines)
    assert {entry.symbol: entry.samples for entry in entries} == {"AAAUSDT": 0.75, "BBBUSDT": 0.25}


def test_a_gap_in_confidence_is_shrunk_by_the_sample() -> None:
    _, few = judged([True] * 2)
    _, many = judged([True] * 200)
    assert feedback.recalibration(few)[0].delta == pytest.approx(0.3 * 2 / 22, abs=1e-6)
    assert feedback.recalibration(many)[0].delta == pytest.approx(0.3 * 200 / 220, abs=1e-6)


def test_outcomes_later_than_the_clock_change_no_proposal() -> None:
    calls, lines = judged([True, False] * 10)
    now = AS_OF + 40 * H_MS
    known = [entry for entry in lines if parse_time(entry.as_of) + 6 * H_MS <= now]
    assert 0 < len(known) < len(lines)
    assert feedback.propose(calls, lines, now) == feedback.propose(calls, known, now)
    later = [line(as_of_ms=now), *lines]
    assert feedback.propose(calls, later, now) == feedback.propose(calls, lines, now)


def test_a_proposal_is_written_and_nothing_else_changes(tmp_path: Path) -> None:
    paths = Paths(tmp_path)
    calls, lines = judged([True, False])
    for call, entry in zip(calls, lines, strict=True):
        storage.write_document(paths.prediction(call.symbol, parse_time(call.as_of)), call)
        feedback.append(paths, [entry])
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    now = AS_OF + 100 * H_MS
    proposal = feedback.update_cv_model_weights(paths, now)
    assert (proposal.mode, proposal.lines, proposal.base_rate) == ("log-only", 2, 0.5)
    written = storage.read_document(paths.proposal(now), UpdateProposal, repair="")
    assert written == proposal
    assert all(path.read_bytes() == content for path, content in before.items())
    assert set(tmp_path.rglob("*.json")) - set(before) == {paths.proposal(now)}


def test_an_empty_log_proposes_nothing() -> None:
    proposal = feedback.propose([], [], AS_OF)
    assert (proposal.lines, proposal.base_rate, proposal.exemplars) == (0, None, [])


def test_coverage_recovers_after_a_drift() -> None:
    """Moves grow by 1.8 half way: fixed bands fall short for good, tracked ones come back."""
    rng = np.random.default_rng(7)
    scores = np.abs(rng.normal(0, 0.78, 4000))  # 80 % of them lie within 1
    scores[2000:] *= 1.8
    factors = np.array(feedback.track_width_factor(list(scores), 0.8)[:-1])
    fixed, tracked = scores <= 1, scores <= factors
    assert fixed[:2000].mean() == pytest.approx(0.8, abs=0.02)
    assert fixed[2000:].mean() < 0.6
    assert tracked[:2000].mean() == pytest.approx(0.8, abs=0.02)
    assert tracked[2100:].mean() == pytest.approx(0.8, abs=0.02)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.floats(0, 5), min_size=50, max_size=200), st.sampled_from([0.5, 0.8, 0.9]))
def test_coverage_tends_to_the_level_whatever_the_outcomes(scores, level: float) -> None:
    """The bound of quantile tracking: excess misses <= (largest score + gain) / (gain n)."""
    gain = 0.5
    factors = feedback.track_width_factor(scores, level, gain=gain)[:-1]
    misses = np.mean([score > factor for score, factor in zip(scores, factors, strict=True)])
    assert misses - (1 - level) <= (5 + gain) / (gain * len(scores)) + 1e-9
