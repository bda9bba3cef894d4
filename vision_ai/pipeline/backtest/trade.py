"""What following the loop's decisions on past candles would have earned, with and without parts."""

import hashlib
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import Field, JsonValue

from vision_ai.domain import Interval, iso, parse_symbol, parse_time
from vision_ai.errors import InputError, KlinesError, LeakError
from vision_ai.evaluation import performance, trades, trading
from vision_ai.evaluation.performance import DailyLedger, TradedPeriod
from vision_ai.market import files
from vision_ai.measures import purge
from vision_ai.pipeline import candles, evaluate
from vision_ai.pipeline.backtest import cycle, sandbox
from vision_ai.pipeline.backtest.cycle import DAY_H, H_MS, Schedule
from vision_ai.pipeline.backtest.memory import Arm, CachingReader, MemoryCycle, SymbolCandles
from vision_ai.pipeline.reader import Reader
from vision_ai.pipeline.workspace import Result, Workspace, progress

FEE = 0.00055
"""Bybit's taker fee of perpetuals without a discount."""

SLIPPAGE = 0.0002
"""A fill two hundredths of a percent worse than the candle's open: a guess, hence the sweep."""

FEES, SLIPPAGES = (0.0, 0.0002, 0.00055, 0.001), (0.0, 0.0002, 0.0005, 0.001)
"""What is swept."""


@dataclass(frozen=True)
class BacktestOptions:
    """What the caller of `backtest` may choose.

    Attributes:
        klines: folder of candles of 15m or finer.
        symbols: only these; None takes all.
        with_cv: only with the model's rules, or only without; None compares.
        learning: only learning, or only not; None compares.
        start: ISO time of the first hour; None takes the first fair one.
        days: how many at most; None takes all.
        learn_every_h: hours between two asks of the gate.
        fee: of each fill.
        slippage: of each fill.
        seed: of the resampling.
        report: folder for a Markdown page; None writes none.
    """

    klines: Path
    symbols: Sequence[str] | None = None
    with_cv: bool | None = None
    learning: bool | None = None
    start: str | None = None
    days: int | None = None
    learn_every_h: int = DAY_H
    fee: float = FEE
    slippage: float = SLIPPAGE
    seed: int = 0
    report: Path | None = None


Figures = dict[str, JsonValue]


class BacktestResult(Result):
    """What following the decisions would have earned, by arm."""

    arms: dict[str, Figures] = Field(description="decisions, trades and returns of each arm")
    differences: dict[str, JsonValue] = Field(description="each arm less one that lacks a thing")
    sweep: dict[str, JsonValue] = Field(description="the same over fees and slippages")
    method: Figures
    seconds: float
    report: str | None = Field(default=None, exclude=True, description="Markdown page, if written")


def backtest(workspace: Workspace, options: BacktestOptions) -> BacktestResult:
    """Walk forward through a folder of candles and account for the trades.

    Raises:
        InputError: no candles, none that are long or fine enough, or costs out of range.
        LeakError: the candles share time with what the model has learned from.
        StateError: model, index and calibration do not belong together.
    """
    started = time.monotonic()
    for name, cost in (("fee", options.fee), ("slippage", options.slippage)):
        if not 0 <= cost < 0.1:
            raise InputError(f"A {name} of {cost:g} is out of range: expected 0 to 0.1.")
    markets = read_markets(options.klines, options.symbols)
    schedule = _schedule(workspace, workspace.reader, markets, options)
    learning = (False, True) if options.learning is None else (options.learning,)
    arms = play(workspace, markets, schedule, learning)
    result = BacktestResult(
        **_content(arms, markets, schedule, options),
        seconds=round(time.monotonic() - started, 1),
    )
    if options.report is None:
        return result
    page = trading.write(options.report, result.payload())
    return result.model_copy(update={"report": str(page)})


def read_markets(klines: Path, symbols: Sequence[str] | None) -> dict[str, SymbolCandles]:
    """The finest candles of each symbol of a folder.

    Raises:
        KlinesError: no candles of 15m or finer, or none of the symbols.
    """
    wanted_symbols = {parse_symbol(symbol) for symbol in symbols or ()}
    markets: dict[str, SymbolCandles] = {}
    for path in files.candle_files(klines):
        name = files.parse_name(path)
        if wanted_symbols and name.symbol not in wanted_symbols:
            continue
        klines_of_file = files.read_file(path)
        finer = markets.get(klines_of_file.symbol)
        if klines_of_file.interval.ms > Interval.M15.ms or not len(klines_of_file):
            continue
        if finer is None or klines_of_file.interval.ms < finer.finest.interval.ms:
            markets[klines_of_file.symbol] = SymbolCandles.of(
                name.venue or files.IMPORTED, klines_of_file
            )
    if not markets:
        raise evaluate.no_candles(klines, Interval.M15, wanted_symbols)
    return dict(sorted(markets.items()))


def play(
    workspace: Workspace,
    markets: dict[str, SymbolCandles],
    schedule: Schedule,
    learning: Sequence[bool],
) -> list[Arm]:
    """Work every hour; one arm for each of `learning`, on model versions of its own.

    Raises:
        StateError: model, index and calibration do not belong together.
    """
    memory: dict[bytes, Any] = {}

    def open_reader(own: Workspace) -> Reader:
        return CachingReader(**vars(own.load_reader(own.config, own.paths)), memory=memory)

    with tempfile.TemporaryDirectory(prefix="backtest-") as folder:
        arms = []
        for learns in learning:
            name = "learning" if learns else "frozen"
            own = sandbox.copy_model(workspace, Path(folder) / name, schedule.first_ms)
            arms.append(Arm(name, own, open_reader(own), learns))
        worker = MemoryCycle(markets, arms, open_reader)
        hours = range(schedule.hours)
        for number in progress(hours, total=schedule.hours, what="Working hours"):
            cycle.run_hour(worker, schedule, schedule.at(number))
    return arms


def _schedule(
    workspace: Workspace,
    reader: Reader,
    markets: dict[str, SymbolCandles],
    options: BacktestOptions,
) -> Schedule:
    """From the first hour whose charts the model cannot have seen to the last hour of candles."""
    extents = evaluate.seen(reader)
    embargo_ms = round(workspace.config.index.embargo_h * H_MS)
    seen_ms = max(extent.known_ms for extent in extents)
    fair_ms = purge.earliest_as_of(seen_ms, embargo_ms=embargo_ms)
    all_bars_15m = [market.bars_15m for market in markets.values()]
    enough_ms = min(int(k.open_ms[0]) for k in all_bars_15m) + candles.history_ms(workspace)
    last_ms = max(int(k.close_ms[-1]) for k in all_bars_15m)
    asked_ms = max(fair_ms, enough_ms) if options.start is None else parse_time(options.start)
    if asked_ms < fair_ms or fair_ms >= last_ms:
        raise LeakError(
            f"The model has learned from candles until {iso(seen_ms)}: a fair walk starts at "
            f"{iso(fair_ms)} at the earliest, and these candles end at {iso(last_ms)}.",
            hint="Give later candles, or a later --start.",
        )
    first_ms = -(-asked_ms // H_MS) * H_MS if options.start is None else asked_ms
    hours = (last_ms - first_ms) // H_MS
    if hours < 1:
        raise KlinesError(
            f"The candles end at {iso(last_ms)}: too early for charts at {iso(first_ms)}.",
            hint="Give a longer history, or an earlier --start.",
        )
    if options.days is not None:
        hours = min(hours, options.days * DAY_H)
    return Schedule(first_ms, hours, options.learn_every_h)


def _content(
    arms: Sequence[Arm],
    markets: dict[str, SymbolCandles],
    schedule: Schedule,
    options: BacktestOptions,
) -> dict[str, Any]:
    span = TradedPeriod(schedule.first_ms, schedule.at(schedule.hours), len(markets))
    rules = (True, False) if options.with_cv is None else (options.with_cv,)
    finest = [market.finest for market in markets.values()]
    arm_figures: dict[str, Any] = {}
    ledgers: dict[str, DailyLedger] = {}
    sweeps: dict[str, Any] = {}
    for arm in arms:
        for with_cv in rules:
            name = trading.arm(with_cv=with_cv, learning=arm.learns)
            arm_trades = trades.follow_all(finest, arm.calls[with_cv])
            ledgers[name] = DailyLedger.of(
                arm_trades, span, fee=options.fee, slippage=options.slippage
            )
            arm_figures[name] = {
                "decisions": dict(Counter(d.decision for d in arm.decisions[with_cv])),
                "calls": len(arm.calls[with_cv]),
                "ends": dict(sorted(Counter(trade.ended for trade in arm_trades).items())),
                **performance.estimates(ledgers[name], seed=options.seed),
            }
            sweeps[name] = performance.sweep(arm_trades, span, FEES, SLIPPAGES)
    return {
        "arms": arm_figures,
        "differences": _differences(ledgers, options.seed),
        "sweep": sweeps,
        "method": _method(arms, markets, schedule, options),
    }


def _differences(ledgers: dict[str, DailyLedger], seed: int) -> dict[str, Any]:
    """Each arm less the next one that lacks one thing."""
    differences = {}
    for more, less in trading.PAIRS:
        if more in ledgers and less in ledgers:
            pair = performance.difference(ledgers[more], ledgers[less], seed=seed)
            differences[f"{more} less {less}"] = pair
    return differences


def _method(
    arms: Sequence[Arm],
    markets: dict[str, SymbolCandles],
    schedule: Schedule,
    options: BacktestOptions,
) -> dict[str, Any]:
    settings = arms[0].workspace.config
    digests = "".join(market.finest.digest for market in markets.values())
    return {
        "klines": options.klines.name,
        "data": hashlib.sha256(digests.encode()).hexdigest(),
        "symbols": list(markets),
        "first": iso(schedule.first_ms),
        "until": iso(schedule.at(schedule.hours)),
        "hours": schedule.hours,
        "predictions": len(arms[0].predictions),
        "fee": options.fee,
        "slippage": options.slippage,
        "target": settings.feedback.target,
        "stop": settings.feedback.stop,
        "atr_multiple": settings.feedback.atr_multiple,
        "hold": trades.HOLD.value,
        "learn_every_h": schedule.learn_every_h,
        "promotions": [list(change) for arm in arms for change in arm.versions],
        "block_days": performance.BLOCK_DAYS,
        "draws": performance.DRAWS,
        "seed": options.seed,
        "model": arms[0].reader.model.version,
        "index": arms[0].reader.index.version,
    }
