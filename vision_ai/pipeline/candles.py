"""Candles in: fetched from the exchange, imported from files, served again for offline work."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import Field

from vision_ai.domain import (
    CHART_INTERVALS,
    WINDOW,
    Interval,
    Klines,
    iso,
    parse_symbol,
    parse_time,
)
from vision_ai.errors import InputError, IntervalError, VisionError
from vision_ai.market.bybit import KlineRequest
from vision_ai.market.store import import_candles
from vision_ai.pipeline.workspace import Result, Workspace
from vision_ai.records import IsoTime, Record

FETCHED_INTERVAL = Interval.M15
"""1h candles are made from these, which halves the requests of a market scan."""

CandlesBySymbol = dict[str, Klines | VisionError]


def history_ms(workspace: Workspace) -> int:
    """How far back a first fetch reaches; never less than the coarsest chart needs."""
    needed = (WINDOW + 1) * max(interval.ms for interval in CHART_INTERVALS)
    return max(needed, workspace.config.market.history * FETCHED_INTERVAL.ms)


def sync(
    workspace: Workspace,
    symbols: Sequence[str],
    as_of_ms: int,
    *,
    since_ms: int | None = None,
) -> CandlesBySymbol:
    """Bring the cache up to date; the 15m candles of each symbol, or why there are none."""
    start_ms = as_of_ms - history_ms(workspace) if since_ms is None else since_ms
    requests = {
        KlineRequest(symbol, FETCHED_INTERVAL, start_ms, as_of_ms): symbol for symbol in symbols
    }
    results = workspace.store.sync_many(
        workspace.exchange, requests, workers=workspace.config.market.workers
    )
    return {requests[request]: result for request, result in results.items()}


class CandleCount(Record):
    """How many candles there are, and from when to when."""

    candles: int
    first: IsoTime | None = Field(description="open of the oldest; null: there are none")
    until: IsoTime | None = Field(description="close of the newest; null: there are none")
    gaps: int
    last_gap: tuple[IsoTime, IsoTime] | None = Field(
        default=None, exclude=True, description="the newest gap: its first open, the next candle"
    )

    @classmethod
    def values_of(cls, klines: Klines) -> dict[str, Any]:
        """The fields for some candles."""
        if not len(klines):
            return {"candles": 0, "first": None, "until": None, "gaps": 0}
        gaps = klines.gaps()
        return {
            "candles": len(klines),
            "first": iso(int(klines.open_ms[0])),
            "until": iso(int(klines.close_ms[-1])),
            "gaps": len(gaps),
            "last_gap": (iso(gaps[-1][0]), iso(gaps[-1][1])) if gaps else None,
        }


class FetchedCandles(CandleCount):
    """Candles of one symbol in the cache."""

    symbol: str
    venue: str


class FetchResult(Result):
    """What was brought up to date."""

    fetched: list[FetchedCandles]


class ImportedCandles(CandleCount):
    """Candles of one file."""

    file: str
    symbol: str
    interval: Interval = Field(exclude=True)


class ImportResult(Result):
    """What was added from files."""

    imported: list[ImportedCandles]


def fetch(
    workspace: Workspace,
    symbols: Sequence[str] | None,
    *,
    top: int | None = None,
    since: str | None = None,
) -> FetchResult:
    """Bring the cache of the named symbols, or of the top ones by turnover, up to date.

    Raises:
        SymbolError: a symbol is not valid.
        InputError: `since` lies ahead.
        TransientError: the exchange cannot be asked at all.
        VisionError: the error of the only symbol; those of several are named as missing.
    """
    checked = [parse_symbol(symbol) for symbol in symbols or ()]
    since_ms = None if since is None else parse_time(since)
    exchange = workspace.exchange
    now_ms = exchange.server_time()
    if since_ms is not None and since_ms >= now_ms:
        raise InputError(
            f"--from {iso(since_ms)} lies ahead: the exchange's clock says {iso(now_ms)}.",
            hint="Name a time in the past, or leave it out.",
        )
    names = checked or exchange.universe(top)
    results = sync(workspace, names, now_ms, since_ms=since_ms)
    venue = exchange.venue()
    fetched, missing = [], {}
    for symbol, result in results.items():
        if not isinstance(result, VisionError):
            span = CandleCount.values_of(result)
            fetched.append(FetchedCandles(symbol=symbol, venue=venue, **span))
        elif len(results) == 1:
            raise result
        else:
            missing[symbol] = str(result)
    return FetchResult(fetched=fetched, missing=missing)


def import_files(
    workspace: Workspace,
    paths: Sequence[Path],
    *,
    symbol: str | None = None,
    interval: str | None = None,
) -> ImportResult:
    """Add the candles of files or folders to the cache.

    Raises:
        VisionError: the error of the only file; those of several are named as missing.
    """
    of_files = None if interval is None else _stored_interval(interval)
    name = "" if symbol is None else parse_symbol(symbol)
    imported, failed = [], {}
    for source in paths:
        results = import_candles(workspace.paths, source, symbol=name, interval=of_files)
        for path, result in results.items():
            if isinstance(result, VisionError):
                failed[path] = result
                continue
            imported.append(
                ImportedCandles(
                    file=str(path),
                    symbol=result.symbol,
                    interval=result.interval,
                    **CandleCount.values_of(result),
                )
            )
    if len(failed) == 1 and not imported:
        raise next(iter(failed.values()))
    missing = {str(path): str(error) for path, error in failed.items()}
    return ImportResult(imported=imported, missing=missing)


def serve(
    klines: Path, *, now: str | None, port: int, freeze: bool, fault_rate: float, seed: int
) -> None:
    """Answer as Bybit does, from stored candles, until interrupted.

    Raises:
        KlinesError: no candles in the folder.
        ConfigError: the port is taken.
    """
    from vision_ai.market.replay import faults
    from vision_ai.market.replay.listing import Listing
    from vision_ai.market.replay.server import Clock, Replay

    listing = Listing.from_folder(klines)
    now_ms = listing.last_close_ms() if now is None else parse_time(now)
    server = Replay(listing, Clock(now_ms, frozen=freeze), port=port)
    server.faults = faults.faults_at_rate(fault_rate, faults.ALL, seed=seed)
    sys.stderr.write(
        f"Replaying {klines} at {iso(now_ms)}{' (frozen)' if freeze else ''}.\n"
        f"In another shell: export VISION_AI_BYBIT_URL={server.url}\n"
        f"Move the clock:   curl -X POST '{server.url}/clock?advance=3600'\n"
    )
    sys.stderr.flush()
    try:
        server.serve_forever()
    finally:
        server.close()


def _stored_interval(text: str) -> Interval:
    try:
        return Interval(text.strip().lower())
    except ValueError as error:
        raise IntervalError(
            f"Interval {text[:40]!r} is not known: expected one of {', '.join(Interval)}."
        ) from error
