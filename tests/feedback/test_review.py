import json
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.feedback.examples import AS_OF, H_MS, line
from vision_ai import feedback_loop_cv as feedback
from vision_ai.domain import Horizon, Setup, iso
from vision_ai.feedback.review import coverage_plot
from vision_ai.feedback_loop_cv import Filters, wilson
from vision_ai.records import BadLine, Feedback

lines = st.lists(
    st.builds(
        lambda hour, horizon, success, confidence, setup, covered: line(
            as_of_ms=AS_OF + hour * H_MS,
            horizon=horizon,
            success=success,
            confidence=confidence,
            setup=setup,
            covered=covered,
        ),
        st.integers(0, 200),
        st.sampled_from(list(Horizon)),
        st.sampled_from([True, False, None]),
        st.floats(0, 1),
        st.sampled_from([Setup.BREAKOUT, Setup.TRAP]),
        st.sampled_from([True, False, None]),
    ),
    max_size=40,
)


@given(n=st.integers(1, 5000), share=st.floats(0, 1))
def test_the_interval_holds_the_share_and_stays_within_bounds(n: int, share: float) -> None:
    rate = wilson(round(share * n), n)
    assert rate.low is not None
    assert rate.rate is not None
    assert rate.high is not None
    assert 0 <= rate.low <= rate.rate <= rate.high <= 1


def test_the_interval_agrees_with_published_figures() -> None:
    # Newcombe 1998, table I, method 3: 81/263 and 15/148 and 0/20 and 1/29
    for hits, n, low, high in [
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ]:
        assert (wilson(hits, n).low, wilson(hits, n).high) == (low, high)


def test_nothing_counted_has_no_rate() -> None:
    assert wilson(0, 0).rate is None


@settings(max_examples=40, deadline=None)
@given(lines)
def test_every_judged_line_is_in_each_facet_once(found: list[Feedback]) -> None:
    review = feedback.review(found)
    judged = [entry for entry in found if entry.success is not None]
    for facet in {cut.facet for cut in review.cuts}:
        own = [cut for cut in review.cuts if cut.facet == facet]
        assert sum(cut.hits.n for cut in own) == len(judged)
        assert sum(cut.hits.hits for cut in own) == sum(bool(entry.success) for entry in judged)
    assert sum(b.hits.n for b in review.calibration) == len(judged)
    assert sum(review.unjudged.values()) == len(found) - len(judged)


@settings(max_examples=25, deadline=None)
@given(lines, st.randoms())
def test_the_order_of_lines_changes_no_figure(found: list[Feedback], random) -> None:
    shuffled = list(found)
    random.shuffle(shuffled)
    first, second = feedback.review(found), feedback.review(shuffled)
    assert first.cuts == second.cuts
    assert first.calibration == second.calibration
    assert first.coverage == second.coverage


def test_horizons_are_never_mixed() -> None:
    review = feedback.review([line(horizon=Horizon.H2), line(horizon=Horizon.H6, success=False)])
    rates = {cut.horizon: cut.hits.rate for cut in review.cuts if cut.facet == "all"}
    assert rates == {Horizon.H2: 1.0, Horizon.H6: 0.0}


def test_filters_choose_lines() -> None:
    found = [line(), line(symbol="ETHUSDT", as_of_ms=AS_OF + H_MS), line(horizon=Horizon.H2)]
    for filters, count in [
        (Filters(), 3),
        (Filters(symbols=("ETHUSDT",)), 1),
        (Filters(since=iso(AS_OF + H_MS)), 1),
        (Filters(until=iso(AS_OF + H_MS)), 2),
        (Filters(horizon=Horizon.H2), 1),
    ]:
        assert feedback.review(found, filters).lines == count


def test_perfect_confidence_has_no_calibration_error() -> None:
    hits = [line(as_of_ms=AS_OF + i * H_MS, success=i < 7, confidence=0.7) for i in range(10)]
    assert feedback.review(hits).calibration_error == {Horizon.H6: 0.0}
    misses = [entry.model_copy(update={"confidence": 0.95}) for entry in hits]
    assert feedback.review(misses).calibration_error == {Horizon.H6: 0.25}


def test_best_and_worst_calls_are_ranked_in_their_own_direction() -> None:
    found = [line(as_of_ms=AS_OF + i * H_MS, move=move) for i, move in enumerate([0.03, -0.05, 0])]
    review = feedback.review(found, calls=1)
    assert (review.best[0].gain, review.worst[0].gain) == (0.03, -0.05)
    few = feedback.review(found)
    assert [call.gain for call in few.best] == [0.03]  # no loss is among the best, nor nothing
    assert [call.gain for call in few.worst] == [-0.05]


def test_the_report_is_markdown_with_plots_that_are_xml(tmp_path: Path) -> None:
    found = [
        line(
            as_of_ms=AS_OF + i * 5 * H_MS,
            horizon=horizon,
            success=i % 3 == 0,
            confidence=i % 10 / 10,
            chart="charts/a|b.png",
        )
        for i in range(30)
        for horizon in Horizon
    ]
    bad = [BadLine(path="x.jsonl", number=3, reason="edited | by hand")]
    path = feedback.write(tmp_path, feedback.review(found, bad=bad))
    text = path.read_text()
    assert "edited \\| by hand" in text
    assert all((tmp_path / name).exists() for name in ("calibration.svg", "coverage.svg"))
    for name in ("calibration.svg", "coverage.svg"):
        assert name in text
        ET.fromstring((tmp_path / name).read_text())


def test_days_stand_where_they_lie_in_time_and_say_what_they_rest_on() -> None:
    found = [line(as_of_ms=AS_OF + days * 24 * H_MS) for days in (0, 90, 90, 100)]
    plot = ET.fromstring(coverage_plot(feedback.review(found).coverage))
    dots = [dot for dot in plot.iter() if dot.tag.endswith("circle")]
    left, middle, right = (float(dot.get("cx", "0")) for dot in dots)
    assert (middle - left) / (right - left) == pytest.approx(0.9, abs=0.01)
    assert [dot[0].text.split(": ")[1] for dot in dots] == ["100% of 1", "100% of 2", "100% of 1"]


@pytest.mark.parametrize("found", [[], [line(success=None)]])
def test_an_empty_review_is_still_a_report(tmp_path: Path, found: list[Feedback]) -> None:
    review = feedback.review(found)
    assert "None." in feedback.markdown(review)
    assert json.loads(review.model_dump_json())["cuts"] == []
    feedback.write(tmp_path, review)
