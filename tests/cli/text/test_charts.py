"""Predictions, scans, decisions and searches as a trader reads them in a terminal."""

from pathlib import Path

import pytest

from vision_ai.cli.text import charts
from vision_ai.domain import Direction, Horizon, Interval, Phase, Setup
from vision_ai.pipeline.decide import DecideResult
from vision_ai.pipeline.demo import DemoResult
from vision_ai.pipeline.predict import PredictResult, ScanResult, SnapshotResult, SymbolResult
from vision_ai.pipeline.search import SearchResult, SimilarChart
from vision_ai.records import IntervalReading, Prediction
from vision_ai.records.predictions import AnnotationRecord, Unadjusted, example

ROOT = Path("data")


def prediction(**changes: object) -> Prediction:
    return example().model_copy(update=changes)


def with_reading(interval: Interval, **changes: object) -> Prediction:
    readings = dict(example().intervals)
    readings[interval] = readings[interval].model_copy(update=changes)
    return prediction(intervals=readings)


def symbol(found: Prediction, *, outdated: bool = False) -> list[str]:
    result = SymbolResult(prediction=found, path="p.json", would_be_other=outdated)
    return charts.format_symbol(result, ROOT)


def line_of(lines: list[str], start: str) -> str:
    (found,) = [line for line in lines if line.startswith(start)]
    return found


def test_the_head_tells_whose_chart_it_is_and_what_it_shows() -> None:
    lines = symbol(example())
    shown = example()
    assert lines[0] == f"{shown.symbol} as of {shown.as_of} ({shown.venue})"
    assert lines[1] == f"  Setup      {shown.setup} ({shown.direction})"
    assert lines[2] == f"  Phase      {shown.phase}"
    assert lines[3] == f"  Confidence {shown.confidence:.0%}"
    assert lines[-1] == "Prediction p.json"


def test_the_interval_that_leads_is_marked_and_no_other() -> None:
    lines = symbol(example())
    lead = example().lead_interval
    other = next(i for i in Interval if i in example().intervals and i is not lead)
    assert line_of(lines, f"{lead} (leads): ")
    assert line_of(lines, f"{other}: ")


def test_a_neutral_direction_is_not_spelled_out() -> None:
    lines = symbol(prediction(setup=Setup.RANGE, direction=Direction.NEUTRAL))
    assert lines[1] == "  Setup      range"


def test_an_abstaining_interval_says_why_and_shows_no_confidence() -> None:
    found = with_reading(
        Interval.H1, abstained=True, confidence=0.0, abstained_because="nothing is like it"
    )
    lines = symbol(found)
    assert line_of(lines, "1h").endswith(", abstains")
    assert "  abstains because nothing is like it" in lines


def test_bands_stand_with_their_probability_and_chance_of_a_rise() -> None:
    reading = next(r for r in example().intervals.values() if r.outcome)
    lines = symbol(example())
    for horizon, band in reading.outcome.items():
        assert (
            f"  {horizon}: {band.level:.0%} of outcomes between {band.low:+.2%} and "
            f"{band.high:+.2%}, up with {band.up_probability:.0%}"
        ) in lines


def test_similar_charts_stand_with_what_followed_or_that_it_is_unknown() -> None:
    reading = next(r for r in example().intervals.values() if r.neighbors)
    neighbor = reading.neighbors[0].model_copy(
        update={"moves": {Horizon.H2: 0.0125, Horizon.H6: None}, "direction": Direction.SHORT}
    )
    lines = symbol(with_reading(reading.interval, neighbors=[neighbor]))
    assert "  similar charts, and what price did in the next 2h and 6h:" in lines
    row = line_of(lines, f"    {neighbor.similarity:.3f}  {neighbor.symbol}")
    assert f"{neighbor.setup} (short)" in row
    assert row.endswith("2h +1.25%  6h unknown")


def test_without_similar_charts_there_is_no_heading_for_them() -> None:
    lines = symbol(prediction(intervals={
        interval: reading.model_copy(update={"neighbors": []})
        for interval, reading in example().intervals.items()
    }))  # fmt: skip
    assert not any(line.startswith("  similar charts") for line in lines)


def test_people_are_named_with_what_they_called_a_similar_chart() -> None:
    note = AnnotationRecord(
        who="anna", at="2025-06-01T00:00:00Z", symbol="ETHUSDT", interval=Interval.M15,
        as_of="2025-05-31T10:00:00Z", similarity=0.9123, setup=Setup.TRAP,
        direction=Direction.SHORT, phase=Phase.RANGE, transfer_probability=0.4,
    )  # fmt: skip
    effect = Unadjusted(
        annotations=[note], setup=Setup.RANGE, direction=Direction.NEUTRAL,
        phase=Phase.MARKUP, confidence=0.61, abstained=False,
    )  # fmt: skip
    lines = symbol(with_reading(Interval.M15, unadjusted=effect))
    assert (
        "  anna called ETHUSDT 2025-05-31T10:00:00Z (similarity 0.912) trap (short): "
        "holds here with 40%"
    ) in lines
    assert "  without people's annotations: range, markup, 61%" in lines


def test_a_chart_is_named_below_the_data_root() -> None:
    lines = symbol(with_reading(Interval.M15, chart="charts/a.png"))
    assert f"Chart      {ROOT / 'charts/a.png'}" in lines


def test_a_stored_prediction_that_would_be_another_says_so_at_the_end() -> None:
    lines = symbol(example(), outdated=True)
    assert lines[-1].startswith(f"The prediction of {example().created_at} is kept as it was")
    assert "never rewritten" in lines[-1]


def test_a_demo_says_first_that_nothing_traded() -> None:
    result = DemoResult(prediction=example(), path="p", would_be_other=False, seed=7)
    lines = charts.format_demo(result, ROOT)
    assert lines[0] == "These candles are simulated (seed 7): nothing here ever traded."
    assert lines[1] == ""


@pytest.mark.parametrize(
    ("given", "expected"), [(True, "15m is as given"), (False, "15m is a guess")]
)
def test_a_bare_picture_says_where_its_interval_is_from(given: bool, expected: str) -> None:
    reading = example().intervals[Interval.M15].model_copy(update={"last_close": None})
    found = prediction(lead_interval=Interval.M15, intervals={Interval.M15: reading})
    result = PredictResult(prediction=found, path=None)
    text = "\n".join(charts.format_image(result, ROOT, interval_given=given))
    assert expected in text
    assert "no price scale" in text
    assert "Prediction p" not in text


def test_a_picture_of_ours_needs_no_caution() -> None:
    reading = example().intervals[Interval.M15].model_copy(update={"last_close": 101.5})
    found = prediction(lead_interval=Interval.M15, intervals={Interval.M15: reading})
    lines = charts.format_image(
        PredictResult(prediction=found, path=None), ROOT, interval_given=False
    )
    assert not any("bare picture" in line for line in lines)


def scanned(*found: Prediction, outdated: list[str] | None = None) -> list[str]:
    documents = {p.symbol: p for p in found}
    result = ScanResult(
        venue="bybit-linear", charts=0, predictions=dict.fromkeys(documents, "p.json"),
        would_be_other=outdated or [], documents=documents,
    )  # fmt: skip
    return charts.format_scan(result)


def test_a_scan_lists_the_surest_setups_first_and_no_setup_last() -> None:
    none = {"setup": Setup.NONE, "direction": Direction.NEUTRAL, "confidence": 0.99}
    lines = scanned(
        prediction(symbol="AAAUSDT", confidence=0.5),
        prediction(symbol="BBBUSDT", **none),
        prediction(symbol="CCCUSDT", confidence=0.9),
        prediction(symbol="DDDUSDT", confidence=0.5),
    )
    assert [line.split()[0] for line in lines[1:]] == ["CCCUSDT", "AAAUSDT", "DDDUSDT", "BBBUSDT"]
    assert lines[0].split() == ["symbol", "on", "setup", "phase", "confidence", "as", "of"]


def test_columns_of_a_scan_stay_aligned_for_long_symbols() -> None:
    lines = scanned(prediction(symbol="A" * 30), prediction(symbol="BBUSDT"))
    starts = {line.index(example().lead_interval) for line in lines[1:]}
    assert starts == {lines[0].index("on")}


def test_a_scan_names_stored_predictions_that_would_be_others() -> None:
    lines = scanned(prediction(symbol="AAAUSDT"), outdated=["AAAUSDT", "BBBUSDT"])
    assert lines[-1].startswith("AAAUSDT, BBBUSDT: each is kept as it was stored")


def test_a_scan_of_nothing_is_its_heading() -> None:
    assert len(scanned()) == 1


def test_a_snapshot_lists_paths_in_order() -> None:
    result = SnapshotResult(venue="v", charts={"A": ["a15", "a1h"], "B": ["b15"]})
    assert charts.format_snapshot(result) == ["a15", "a1h", "b15"]


def test_a_decision_shows_every_contribution_and_reason() -> None:
    result = DecideResult(
        symbol="BTCUSDT", final_score=0.613,
        score_breakdown={"trend_strength": 0.25, "psych_score": -0.01},
        decision="consider", grade="B", confidence=0.4, decision_reasons=["one", "two"],
        decided_at="2025-06-15T12:00:00Z",
    )  # fmt: skip
    lines = charts.format_decision(result)
    assert lines[0] == "BTCUSDT: consider, score 0.61, grade B"
    assert lines[1] == f"  {'trend_strength':<28}+0.250"
    assert lines[2].startswith(f"  {'psych_score':<28}-0.010  (pressure against the trend")
    assert lines[3:] == ["Because:", "  one", "  two"]


def similar(**changes: object) -> SimilarChart:
    values = {
        "similarity": 0.9876, "symbol": "SOLUSDT", "interval": Interval.H1,
        "as_of": "2024-05-01T00:00:00Z", "setup": Setup.FAKEOUT, "direction": Direction.LONG,
        "phase": Phase.RANGE, "moves": {Horizon.H2: -0.002, Horizon.H6: None},
    }  # fmt: skip
    return SimilarChart(**{**values, **changes})


def test_a_search_by_words_names_words_that_were_not_understood() -> None:
    result = SearchResult(
        query="zorp at the top", model="m", found=[similar()], sheet=None, unknown_words=["zorp"]
    )
    lines = charts.format_search(result)
    assert lines[0] == ("Charts most like 'zorp at the top' (unknown words, not understood: zorp):")
    assert lines[1].split()[:3] == ["0.988", "SOLUSDT", "1h"]
    assert "fakeout (long)" in lines[1]
    assert lines[1].endswith("2h -0.20%  6h unknown")


def test_a_search_by_symbol_names_its_chart_and_the_sheet() -> None:
    result = SearchResult(
        query="btcusdt", model="m", found=[similar(), similar()], sheet="s.png", drawn=1,
        as_of="2025-06-15T12:00:00Z", interval=Interval.M15,
    )  # fmt: skip
    lines = charts.format_search(result)
    assert lines[0] == "Charts most like BTCUSDT 15m as of 2025-06-15T12:00:00Z:"
    assert lines[-1] == "s.png: the candles of 1 of 2 were here"


def test_only_a_search_with_a_sheet_prints_how_many_were_drawn() -> None:
    without = SearchResult(query="q", model="m", found=[], sheet=None)
    beside = SearchResult(query="q", model="m", found=[], sheet="s.png", drawn=0)
    assert "drawn" not in without.payload()
    assert beside.payload()["drawn"] == 0


def test_readings_are_shown_in_the_order_of_the_record() -> None:
    lines = symbol(example())
    heads = [line for line in lines if line.startswith(("15m", "1h"))]
    assert [head.split()[0].rstrip(":") for head in heads] == [str(i) for i in example().intervals]
    assert all(isinstance(r, IntervalReading) for r in example().intervals.values())
