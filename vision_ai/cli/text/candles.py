"""Candles and labels of candles as lines for a terminal."""

from vision_ai.pipeline.candles import CandleCount, FetchResult, ImportResult
from vision_ai.pipeline.labelling.statistics import LabelStatisticsResult, SheetResult


def format_fetch(result: FetchResult) -> list[str]:
    """A line a symbol."""
    return [f"{candles.symbol}: {_count(candles)}" for candles in result.fetched]


def format_import(result: ImportResult) -> list[str]:
    """A line a file."""
    return [
        f"{candles.file.rpartition('/')[2]}: {candles.symbol} {candles.interval}: {_count(candles)}"
        for candles in result.imported
    ]


def format_label_statistics(result: LabelStatisticsResult) -> list[str]:
    """The table of shares."""
    counts = ", ".join(f"{count} windows of {i}" for i, count in result.windows.items())
    head = f"{'interval':<9}{'facet':<9}{'label':<28}"
    head += f"{'share':>8}{'clear':>8}{'bars':>6}{'runs':>9}"
    return [
        f"Rule book {result.rules}: {counts}.",
        "",
        head,
        *(
            f"{s.interval:<9}{s.facet:<9}{s.name:<28}{s.share:>8.2%}{s.clear:>8.0%}"
            f"{s.median_bars:>6g}{s.runs:>9}"
            for s in result.shares
        ),
    ]


def format_sheet(result: SheetResult) -> list[str]:
    """Where the contact sheet is."""
    return [f"{result.sheet}: {len(result.examples)} examples"]


def _count(candles: CandleCount) -> str:
    if not candles.candles:
        return "no candles"
    text = f"{candles.candles} candles, {candles.first} to {candles.until}"
    if candles.last_gap is None:
        return text
    first, after = candles.last_gap
    return f"{text}, {candles.gaps} gaps, the last from {first} to {after}"
