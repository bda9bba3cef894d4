"""A folder of candles to the figures of the report card: the current model, index, calibration."""

import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, JsonValue

from vision_ai import predict_cv_setup
from vision_ai.domain import (
    CHART_INTERVALS,
    HORIZONS,
    Bools,
    Floats,
    Interval,
    Ints,
    iso,
    parse_symbol,
    parse_time,
)
from vision_ai.errors import KlinesError
from vision_ai.evaluation import adaptive, card, report
from vision_ai.evaluation.card import ScoredCharts
from vision_ai.evaluation.sampling import ChartSample, VenueCandles
from vision_ai.market import files
from vision_ai.measures import scores, significance
from vision_ai.measures.purge import Extent, PurgeAndEmbargo, Spans, SplitRule, precedes
from vision_ai.pipeline import baselines
from vision_ai.pipeline import reader as readers
from vision_ai.pipeline.reader import Reader
from vision_ai.pipeline.workspace import Result, Workspace, progress
from vision_ai.predict_cv_setup import Answers, Evidence


@dataclass(frozen=True)
class EvaluateOptions:
    """What the caller of `evaluate` may choose.

    Attributes:
        klines: folder of candles.
        symbols: only these; None takes all.
        limit: at most so many charts.
        seed: which charts.
        learned_from: the candles that the exemplars were drawn from, for the baselines that need
            their pictures; None leaves those baselines out.
        report: folder for a Markdown report; None writes none.
        cache: folder in which baselines that train keep their networks; None is the data root's.
    """

    klines: Path
    symbols: Sequence[str] | None = None
    limit: int = 8000
    seed: int = 0
    learned_from: Path | None = None
    report: Path | None = None
    cache: Path | None = None


Figures = dict[str, JsonValue]
"""Figures by name: numbers, `{value, low, high}`, or a tree of them."""


class EvaluateResult(Result):
    """The report card: how well the model in use reads charts that it has not seen."""

    n: int = Field(description="charts")
    setup: Figures
    phase: Figures
    clear_cut: Figures = Field(description="charts on which the rule book itself is clear")
    confidence: Figures
    abstention: Figures
    bands: Figures
    outcome: Figures
    retrieval: Figures
    reading: Figures
    by: Figures = Field(description="the figures of parts: interval, venue, time, symbols")
    coverage: list[Figures] = Field(description="how often bands held, cell by cell")
    classes: Figures
    curves: Figures
    baselines: Figures
    method: Figures = Field(description="data, split, seed, model: what the figures are of")
    seconds: float
    report: str | None = Field(default=None, exclude=True, description="Markdown page, if written")


def evaluate(workspace: Workspace, options: EvaluateOptions) -> EvaluateResult:
    """Measure how well the current model reads charts that it has not seen.

    Raises:
        KlinesError: the folder holds no candles, or none of the symbols.
        LeakError: every chart shares time with what the model has learned from.
        StateError: model, index and calibration do not belong together.
    """
    started = time.monotonic()
    reader = workspace.reader
    embargo_ms = round(workspace.config.index.embargo_h * 3_600_000)
    extents = seen(reader)
    rule = SplitRule(embargo_ms, disjoint_symbols=False, in_order=False)
    markets = read_markets(options.klines, options.symbols)
    sample = ChartSample.of(markets, extents, rule, limit=options.limit, seed=options.seed)
    eligibility = PurgeAndEmbargo(embargo_ms)
    vectors = embed(reader, sample.bars)
    evidence = readers.weigh(reader, vectors, sample.spans, sample.outcomes.scale, eligibility)
    answers = predict_cv_setup.read(evidence, reader.calibration)
    charts = measured(sample, evidence, answers)
    cache = options.cache or workspace.paths.comparison_models
    inputs = baselines.BaselineInputs(reader, sample, vectors, evidence, eligibility, charts, cache)
    result = EvaluateResult(
        n=len(charts),
        **card.nest(card.estimates(charts) | card.noise(charts)),
        by=card.measure_groups(charts, groups(sample, extents)),
        coverage=bands(charts),
        classes=card.class_rows(charts),
        curves=card.curves(charts),
        baselines=baselines.baselines(inputs, options.learned_from),
        method=_method(reader, sample, extents, embargo_ms, options),
        seconds=round(time.monotonic() - started, 1),
    )
    if options.report is None:
        return result
    page = report.write(options.report, result.payload())
    return result.model_copy(update={"report": str(page)})


def seen(reader: Reader) -> tuple[Extent, Extent]:
    """What a model has learned from, and the later charts that its calibration was fitted on.

    The manifest says when training ended and which share of the time that was; the earliest
    exemplar says when it began, and so when the candles ended.
    """
    manifest = reader.model.manifest
    data = manifest.data
    until = parse_time(data.train_until)
    start = int(readers.exemplars(reader.model).first_ms.min())
    share = float(manifest.recipe.get("split", {}).get("train_share", 1.0))
    end = start + round((until - start) / share)
    if data.held_out_until:
        end = parse_time(data.held_out_until)
    held_out_from = parse_time(data.held_out_from)
    return (
        Extent("training", frozenset(data.train_symbols), start, until),
        Extent(
            "calibration",
            frozenset(data.held_out_symbols),
            held_out_from,
            max(end, held_out_from),
        ),
    )


def read_markets(klines: Path, symbols: Sequence[str] | None) -> list[VenueCandles]:
    """The candles of a folder in both charted intervals, coarser ones resampled.

    Raises:
        KlinesError: no candles, or none of the symbols.
    """
    wanted_symbols = {parse_symbol(symbol) for symbol in symbols or ()}
    markets = [
        VenueCandles(venue, candles)
        for venue, candles in files.read_folder(klines, symbols=wanted_symbols)
    ]
    if not markets:
        raise no_candles(klines, Interval.H1, wanted_symbols)
    return markets


def no_candles(folder: Path, coarsest: Interval, symbols: Collection[str]) -> KlinesError:
    """The error of a folder that holds no candles of an interval or finer, of these symbols."""
    of_symbols = f" of {', '.join(sorted(symbols))[:80]}" if symbols else ""
    return KlinesError(
        f"{folder} holds no candles of {coarsest} or finer{of_symbols}.",
        hint="Check the folder and --symbols.",
    )


def embed(reader: Reader, bars: NDArray[np.float64]) -> NDArray[np.float32]:
    """Vectors of charts (n, 96, 5), with a progress bar."""
    starts = range(0, len(bars), readers.CHUNK)
    return np.concatenate(
        [
            reader.vectors(bars[start : start + readers.CHUNK])
            for start in progress(starts, total=len(starts), what="Reading charts")
        ]
    )


def measured(sample: ChartSample, evidence: Evidence, answers: Answers) -> ScoredCharts:
    """What was predicted beside what is so."""
    bands = answers.bands
    move = np.expm1(sample.outcomes.move)
    series = adaptive.ChartSeries(
        sample.spans.as_of_ms,
        sample.outcomes.complete_ms,
        move,
        sample.outcomes.scale,
        _market(sample.spans),
    )
    tracked = adaptive.adapt_bands(bands, series)
    return ScoredCharts(
        block=significance.blocks(sample.spans.symbol, sample.spans.as_of_ms),
        reading=sample.labels.reading.astype(np.int64),
        phase=sample.labels.phase.astype(np.int64),
        clear=sample.labels.clear,
        predicted=answers.code,
        predicted_phase=answers.phase,
        confidence=answers.confidence,
        abstained=answers.abstained,
        neighbor_reading=np.where(evidence.rows >= 0, evidence.reading, -1),
        move=move,
        up=bands.up,
        low=bands.low,
        high=bands.high,
        level=bands.level,
        cell=_cells(series.market, sample.outcomes.scale),
        regime=series.regime,
        tracked_low=tracked.low,
        tracked_high=tracked.high,
    )


def groups(sample: ChartSample, extents: Sequence[Extent]) -> dict[str, NDArray[np.str_]]:
    """The parts that figures are given for: each a column that names the group of each chart."""
    spans = sample.spans
    known = sorted(set().union(*(extent.symbols for extent in extents)))
    earlier = precedes(spans.known_ms, min(extent.first_ms for extent in extents))
    later = precedes(max(extent.known_ms for extent in extents), spans.first_ms)
    return {
        "interval": spans.interval,
        "venue": sample.venue,
        "time": np.where(
            later, "after training", np.where(earlier, "before training", "between folds")
        ),
        "symbols": np.where(np.isin(spans.symbol, known), "trained earlier", "never trained"),
    }


TERCILES = ("calm", "usual", "wild")


def _market(spans: Spans) -> Ints:
    """Number of each chart's interval among those that are charted."""
    names = [interval.value for interval in CHART_INTERVALS]
    codes: Ints = (spans.interval[:, None] == np.array(names)).argmax(axis=1)
    return codes


def _cells(market: Ints, scale: Floats) -> Ints:
    """Interval and volatility tercile among all charts of it, three codes an interval."""
    cell = np.zeros(len(market), np.int64)
    for number in np.unique(market):
        rows = np.flatnonzero(market == number)
        edges = np.quantile(scale[rows], [1 / 3, 2 / 3])
        cell[rows] = number * len(TERCILES) + np.searchsorted(edges, scale[rows])
    return cell


def bands(charts: ScoredCharts) -> list[dict[str, Any]]:
    """How often the bands held, by horizon, interval and volatility, and how wide they were.

    As they were given, and as they would have been had they followed drift. Terciles are of all
    charts (`hindsight`) or of the charts before each (`at the time`).
    """
    rows = []
    adaptive_charts = replace(charts, low=charts.tracked_low, high=charts.tracked_high)
    held, held_adaptive = card.band_hits(charts), card.band_hits(adaptive_charts)
    for terciles, column in (("hindsight", charts.cell), ("at the time", charts.regime)):
        shares = scores.coverage_intervals(held, column, charts.block)
        tracked = scores.coverage_intervals(held_adaptive, column, charts.block)
        for cell, share, adaptive_share in zip(
            scores.coverage_by_cell(held, column), shares, tracked, strict=True
        ):
            in_cell = column == cell.cell
            rows.append(
                {
                    "terciles": terciles,
                    "horizon": HORIZONS[cell.column].value,
                    "interval": CHART_INTERVALS[cell.cell // len(TERCILES)].value,
                    "volatility": TERCILES[cell.cell % len(TERCILES)],
                    "n": cell.count,
                    "meant": float(charts.level[0, cell.column]),
                    "held": card.to_json(share),
                    "width": _median_width(charts, in_cell, cell.column),
                    "held_adaptive": card.to_json(adaptive_share),
                    "width_adaptive": _median_width(adaptive_charts, in_cell, cell.column),
                }
            )
    return rows


def _median_width(charts: ScoredCharts, in_cell: Bools, column: int) -> float | None:
    return card.rounded(float(np.nanmedian((charts.high - charts.low)[in_cell, column])))


def _method(
    reader: Reader,
    sample: ChartSample,
    extents: Sequence[Extent],
    embargo_ms: int,
    options: EvaluateOptions,
) -> dict[str, Any]:
    spans = sample.spans
    per_interval = {i.value: int((spans.interval == i).sum()) for i in Interval}
    return {
        "klines": options.klines.name,
        "data": sample.data,
        "symbols": np.unique(spans.symbol).tolist(),
        "venues": np.unique(sample.venue).tolist(),
        "intervals": {name: count for name, count in per_interval.items() if count},
        "first": iso(int(spans.first_ms.min())),
        "until": iso(int(spans.known_ms.max())),
        "windows": sample.considered,
        "windows_leaking": sample.leaking,
        "seen": [
            {
                "what": extent.name,
                "symbols": len(extent.symbols),
                "first": iso(extent.first_ms),
                "until": iso(extent.known_ms),
            }
            for extent in extents
        ],
        "embargo_h": embargo_ms / 3_600_000,
        "seed": options.seed,
        "limit": options.limit,
        "blocks": int(significance.blocks(spans.symbol, spans.as_of_ms).max()) + 1,
        "draws": card.DRAWS,
        "model": reader.model.version,
        "index": reader.index.version,
        "exemplars": len(reader.index),
        "calibration": reader.calibration.digest[:16],
        "rules": sample.labels.rules,
    }
