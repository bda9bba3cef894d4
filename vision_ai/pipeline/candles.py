"""Candles in: fetched from the exchange, imported from files, served again for offline work."""

import sys
from collections.abc import Sequence
from pathlib import Path

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
from vision_ai.market.bybit import Bybit, KlineRequest
from vision_ai.market.store import Store, import_candles
from vision_ai.pipeline.workspace import Report, Workspace

FETCHED = Interval.M15
"""1h candles are made from these, which halves the requests of a market scan."""

Fetched = dict[str, Klines | VisionError]


def history_ms(workspace: Workspace) -> int:
    """How far back a first fetch reaches; never less than the coarsest chart needs."""
    needed = (WINDOW + 1) * max(interval.ms for interval in CHART_INTERVALS)
    return max(needed, workspace.config.market.history * FETCHED.ms)


def sync(
    workspace: Workspace,
    exchange: Bybit,
    symbols: Sequence[str],
    as_of_ms: int,
    *,
    since_ms: int | None = None,
) -> Fetched:
    """Bring the cache up to date; the 15m candles of each symbol, or why there are none."""
    store = Store(workspace.paths, exchange.venue())
    start_ms = as_of_ms - history_ms(workspace) if since_ms is None else since_ms
    asked = {KlineRequest(symbol, FETCHED, start_ms, as_of_ms): symbol for symbol in symbols}
    found = store.sync_many(exchange, asked, workers=workspace.config.market.workers)
    return {asked[request]: result for request, result in found.items()}


def fetch(
    workspace: Workspace,
    symbols: Sequence[str] | None,
    *,
    top: int | None = None,
    since: str | None = None,
) -> Report:
    """Bring the cache of the named symbols, or of the top ones by turnover, up to date.

    Raises:
        SymbolError: a symbol is not valid.
        InputError: `since` lies ahead.
        TransientError: the exchange cannot be asked at all.
        VisionError: the error of the only symbol; those of several are named as missing.
    """
    checked = [parse_symbol(symbol) for symbol in symbols or ()]
    since_ms = None if since is None else parse_time(since)
    with Bybit(workspace.config.market) as exchange:
        now_ms = exchange.server_time()
        if since_ms is not None and since_ms >= now_ms:
            raise InputError(
                f"--from {iso(since_ms)} lies ahead: the exchange's clock says {iso(now_ms)}.",
                hint="Name a time in the past, or leave it out.",
            )
        wanted = checked or exchange.universe(top)
        found = sync(workspace, exchange, wanted, now_ms, since_ms=since_ms)
        venue = exchange.venue()
    rows, lines, missing = [], [], {}
    for symbol, result in found.items():
        if isinstance(result, VisionError):
            if len(found) == 1:
                raise result
            missing[symbol] = str(result)
            continue
        rows.append({"symbol": symbol, "venue": venue, **_span(result)})
        lines.append(f"{symbol}: {_described(result)}")
    return Report({"fetched": rows}, lines, missing)


def import_files(
    workspace: Workspace,
    paths: Sequence[Path],
    *,
    symbol: str | None = None,
    interval: str | None = None,
) -> Report:
    """Add the candles of files or folders to the cache.

    Raises:
        VisionError: the error of the only file; those of several are named as missing.
    """
    of_files = None if interval is None else _stored_interval(interval)
    name = "" if symbol is None else parse_symbol(symbol)
    rows, lines, failed = [], [], {}
    for source in paths:
        found = import_candles(workspace.paths, source, symbol=name, interval=of_files)
        for path, result in found.items():
            if isinstance(result, VisionError):
                failed[path] = result
                continue
            rows.append({"file": str(path), "symbol": result.symbol, **_span(result)})
            lines.append(f"{path.name}: {result.symbol} {result.interval}: {_described(result)}")
    if len(failed) == 1 and not rows:
        raise next(iter(failed.values()))
    return Report({"imported": rows}, lines, {str(path): str(why) for path, why in failed.items()})


def serve(
    klines: Path, *, now: str | None, port: int, freeze: bool, fault_rate: float, seed: int
) -> None:
    """Answer as Bybit does, from stored candles, until interrupted.

    Raises:
        KlinesError: no candles in the folder.
        ConfigError: the port is taken.
    """
    from vision_ai.market import faults
    from vision_ai.market.listing import Listing
    from vision_ai.market.replay import Clock, Replay

    listing = Listing.from_folder(klines)
    now_ms = listing.last_close_ms() if now is None else parse_time(now)
    server = Replay(listing, Clock(now_ms, frozen=freeze), port=port)
    server.faults = faults.switched(fault_rate, faults.ALL, seed=seed)
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


def _span(klines: Klines) -> dict[str, object]:
    if not len(klines):
        return {"candles": 0, "first": None, "until": None, "gaps": 0}
    return {
        "candles": len(klines),
        "first": iso(int(klines.open_ms[0])),
        "until": iso(int(klines.close_ms[-1])),
        "gaps": len(klines.gaps()),
    }


def _described(klines: Klines) -> str:
    if not len(klines):
        return "no candles"
    gaps = klines.gaps()
    said = (
        f"{len(klines)} candles, {iso(int(klines.open_ms[0]))} to {iso(int(klines.close_ms[-1]))}"
    )
    if not gaps:
        return said
    first, after = gaps[-1]
    return f"{said}, {len(gaps)} gaps, the last from {iso(first)} to {iso(after)}"
