"""Commands on candles: fetch, import, replay, label."""

from pathlib import Path
from typing import Annotated

import typer

from vision_ai.cli.console import (
    IntervalOption,
    JsonOption,
    KlinesOption,
    emit,
    refuse_if_incomplete,
    seed_option,
)
from vision_ai.errors import InputError


def register(app: typer.Typer) -> None:
    """Add these commands to the tree."""
    app.command()(fetch)
    app.command("import")(import_)
    app.command()(replay)
    app.command()(label)


def fetch(
    symbols: Annotated[list[str] | None, typer.Argument(help="Symbols; none with --top.")] = None,
    *,
    top: Annotated[int | None, typer.Option(min=1, help="The N markets of most turnover.")] = None,
    since: Annotated[
        str | None, typer.Option("--from", metavar="ISO", help="Oldest candle wanted.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Bring the cache of 15m candles up to date; only what is missing is asked for.

    Example: `vision-ai fetch BTCUSDT --from 2025-01-01`
    """
    from vision_ai.cli.text import candles as text
    from vision_ai.pipeline import candles
    from vision_ai.pipeline.workspace import Workspace

    if bool(symbols) == (top is not None):
        raise InputError(
            "Which symbols to fetch is not clear: expected symbols or --top N.",
            hint="Try: vision-ai fetch BTCUSDT",
        )
    with Workspace.open() as workspace:
        result = candles.fetch(workspace, symbols or None, top=top, since=since)
    emit(result, text.format_fetch(result), as_json=as_json)
    refuse_if_incomplete(result.missing, "not fetched", hint="")


def import_(
    paths: Annotated[list[Path], typer.Argument(help="Parquet or CSV files, or folders of them.")],
    *,
    symbol: Annotated[str | None, typer.Option(help="Where the file name does not say it.")] = None,
    interval: Annotated[
        str | None, typer.Option(help="Where the file name does not say it: 1m, 5m, 15m or 1h.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Add candles of Parquet or CSV files to the cache.

    Columns: open_ms (or timestamp), open, high, low, close, volume. 15m candles named as
    in the example are read without a connection where they reach 400 back from then:
    `vision-ai predict BTCUSDT --as-of 2025-06-15T12:00:00Z`

    Example: `vision-ai import bybit-linear_BTCUSDT_15m.parquet`
    """
    from vision_ai.cli.text import candles as text
    from vision_ai.pipeline import candles
    from vision_ai.pipeline.workspace import Workspace

    with Workspace.open() as workspace:
        result = candles.import_files(workspace, paths, symbol=symbol, interval=interval)
    emit(result, text.format_import(result), as_json=as_json)
    refuse_if_incomplete(result.missing, "not imported", hint="")


def replay(
    klines: KlinesOption,
    *,
    now: Annotated[
        str | None, typer.Option(metavar="ISO", help="What the server's clock says at first.")
    ] = None,
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 picks a free one.")] = 8787,
    freeze: Annotated[bool, typer.Option(help="Hold the clock until it is moved.")] = True,
    fault_rate: Annotated[
        float, typer.Option("--faults", min=0, max=1, help="Share of replies that go wrong.")
    ] = 0.0,
    seed: Annotated[int, seed_option("Which replies go wrong.")] = 0,
) -> None:
    """Serve stored candles as Bybit's v5 market API would, on this machine only.

    Move the clock with `curl -X POST 'http://127.0.0.1:8787/clock?advance=3600'`.

    Example: `vision-ai replay --klines candles/ --now 2025-06-15T12:00:00Z`
    """
    from vision_ai.pipeline import candles

    candles.serve(klines, now=now, port=port, freeze=freeze, fault_rate=fault_rate, seed=seed)


def label(
    klines: KlinesOption,
    *,
    stats: Annotated[bool, typer.Option("--stats", help="How often, and for how long.")] = False,
    contact_sheet: Annotated[
        str | None,
        typer.Option(
            metavar="LABEL", help="Draw up to 24 random examples, such as `breakout:long`."
        ),
    ] = None,
    out: Annotated[Path, typer.Option(help="Where the sheet goes.")] = Path("sheet.png"),
    interval: IntervalOption = None,
    limit: Annotated[
        int | None, typer.Option(min=1, help="Only N files: the first, or random ones for a sheet.")
    ] = None,
    seed: Annotated[int, seed_option("Which examples.")] = 0,
    as_json: JsonOption = False,
) -> None:
    """Ask the rule book what it sees in stored candles.

    Examples: `vision-ai label --klines candles/ --stats`,
    `vision-ai label --klines candles/ --contact-sheet fakeout:short`
    """
    from vision_ai.cli.text import candles as text
    from vision_ai.pipeline.labelling import statistics

    if contact_sheet is not None:
        sheet = statistics.contact_sheet(
            klines, contact_sheet, out=out, intervals=interval, limit=limit, seed=seed
        )
        emit(sheet, text.format_sheet(sheet), as_json=as_json)
    elif stats:
        table = statistics.statistics(klines, intervals=interval, limit=limit)
        emit(table, text.format_label_statistics(table), as_json=as_json)
    else:
        raise InputError(
            "Nothing to do: expected --stats or --contact-sheet LABEL.",
            hint="Try: vision-ai label --klines candles/ --stats",
        )
