"""Candles that came in, and labels of candles, as lines for a terminal."""

from vision_ai.cli.text import candles
from vision_ai.domain import Interval
from vision_ai.pipeline.candles import FetchedCandles, FetchResult, ImportedCandles, ImportResult
from vision_ai.pipeline.labelling.statistics import (
    LabelShare,
    LabelStatisticsResult,
    SheetResult,
)

FIRST, UNTIL = "2025-06-01T00:00:00Z", "2025-06-02T00:00:00Z"
WHOLE = {"candles": 96, "first": FIRST, "until": UNTIL, "gaps": 0}
GAP = ("2025-06-01T05:00:00Z", "2025-06-01T06:00:00Z")
NOTHING = {"candles": 0, "first": None, "until": None, "gaps": 0}


def fetched(**values: object) -> str:
    row = FetchedCandles(symbol="BTCUSDT", venue="bybit-linear", **values)
    (line,) = candles.format_fetch(FetchResult(fetched=[row]))
    return line


def test_fetched_candles_are_counted_from_when_to_when() -> None:
    assert fetched(**WHOLE) == f"BTCUSDT: 96 candles, {FIRST} to {UNTIL}"


def test_the_newest_gap_is_named() -> None:
    line = fetched(**{**WHOLE, "gaps": 2, "last_gap": GAP})
    assert line.endswith(f", 2 gaps, the last from {GAP[0]} to {GAP[1]}")


def test_no_candles_are_said_to_be_none() -> None:
    assert fetched(**NOTHING) == "BTCUSDT: no candles"


def test_an_imported_file_is_named_without_its_folder() -> None:
    row = ImportedCandles(
        file="/a/b/bybit_ETHUSDT_15m.csv", symbol="ETHUSDT", interval=Interval.M15, **WHOLE
    )
    assert candles.format_import(ImportResult(imported=[row])) == [
        f"bybit_ETHUSDT_15m.csv: ETHUSDT 15m: 96 candles, {FIRST} to {UNTIL}"
    ]


def test_the_gap_and_the_interval_are_for_people_only() -> None:
    row = ImportedCandles(
        file="f", symbol="ETHUSDT", interval=Interval.M15, **{**WHOLE, "gaps": 1, "last_gap": GAP}
    )
    keys = ImportResult(imported=[row]).payload()["imported"][0].keys()
    assert keys == {"candles", "first", "until", "gaps", "file", "symbol"}


def test_the_table_of_labels_has_a_row_a_share() -> None:
    share = LabelShare(
        interval=Interval.H1, facet="setup", name="trap", share=0.0123, clear=0.4,
        median_bars=3.0, runs=12,
    )  # fmt: skip
    result = LabelStatisticsResult(rules="1", windows={Interval.H1: 500}, shares=[share])
    head, blank, columns, row = candles.format_label_statistics(result)
    assert head == "Rule book 1: 500 windows of 1h."
    assert blank == ""
    assert columns.split() == ["interval", "facet", "label", "share", "clear", "bars", "runs"]
    assert row.split() == ["1h", "setup", "trap", "1.23%", "40%", "3", "12"]
    assert len(row) == len(columns)


def test_a_sheet_says_where_it_is() -> None:
    result = SheetResult(label="trap", sheet="s.png", examples=["a", "b"])
    assert candles.format_sheet(result) == ["s.png: 2 examples"]
