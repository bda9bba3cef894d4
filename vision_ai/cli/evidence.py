"""Commands that show what answers are worth and where they come from."""

from pathlib import Path
from typing import Annotated

import typer

from vision_ai.cli.console import JsonOption, KlinesOption, emit, refuse_if_incomplete, seed_option


def register(app: typer.Typer) -> None:
    """Add these commands to the tree."""
    app.command()(evaluate)
    app.command()(search)
    app.command()(simulate)
    app.command("rehearse", hidden=True)(simulate)  # its name until 0.1.0
    app.command()(backtest)


def evaluate(
    klines: KlinesOption,
    *,
    symbols: Annotated[
        list[str] | None,
        typer.Option(help="Only these symbols; repeat it, or separate them by commas."),
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many charts.")] = 8000,
    seed: Annotated[int, seed_option("Which charts.")] = 0,
    learned_from: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Candles that the model was trained on, for the baselines that need them.",
        ),
    ] = None,
    report: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Write a page with plots there.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Measure how well the current model reads charts that it has not seen.

    Every figure has a 95 % interval and the baselines beside it. Charts that share time with
    what the model has learned from are left out; where none is left, the command refuses.

    Examples: `vision-ai evaluate --klines candles/bench --json`,
    `vision-ai evaluate --klines candles/bench --learned-from candles/train --report card/`
    """
    from vision_ai.cli.text import measured
    from vision_ai.pipeline import evaluate
    from vision_ai.pipeline.workspace import Workspace

    options = evaluate.EvaluateOptions(
        klines=klines,
        symbols=split_symbols(symbols),
        limit=limit,
        seed=seed,
        learned_from=learned_from,
        report=report,
    )
    with Workspace.open() as workspace:
        result = evaluate.evaluate(workspace, options)
    emit(result, measured.format_evaluation(result), as_json=as_json)


def search(
    words: Annotated[str | None, typer.Argument(help="What the charts should show.")] = None,
    *,
    like: Annotated[
        str | None, typer.Option(metavar="SYMBOL", help="Like this symbol's newest chart instead.")
    ] = None,
    symbol: Annotated[str | None, typer.Option(help="Only charts of this symbol.")] = None,
    interval: Annotated[
        str | None, typer.Option(help="Only 15m or only 1h; with --like 15m when left out.")
    ] = None,
    k: Annotated[int, typer.Option("--k", min=1, max=200, help="How many.")] = 8,
    sheet: Annotated[
        Path | None,
        typer.Option(metavar="PNG", help="Draw the query and charts like it, with what followed."),
    ] = None,
    klines: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="With --sheet: candles to draw from; else the cache."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Find the charts of the index that are most like words, or like a symbol's newest chart.

    Examples: `vision-ai search "failed breakout at the top of a range"`,
    `vision-ai search --like BTCUSDT --sheet likes.png --klines candles/train`
    """
    from vision_ai.cli.text import charts
    from vision_ai.pipeline import search
    from vision_ai.pipeline.workspace import Workspace

    options = search.SearchOptions(
        words=words, like=like, symbol=symbol, interval=interval, k=k, sheet=sheet, klines=klines
    )
    with Workspace.open() as workspace:
        result = search.search(workspace, options)
    emit(result, charts.format_search(result), as_json=as_json)


def simulate(
    klines: KlinesOption,
    *,
    start: Annotated[
        str | None,
        typer.Option(metavar="ISO", help="First hour; the last days when left out."),
    ] = None,
    days: Annotated[int, typer.Option(min=1, help="How many.")] = 7,
    out: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Data root of its own; `rehearsal` under the real one."),
    ] = None,
    update_every: Annotated[
        int, typer.Option(min=0, metavar="HOURS", help="Ask the gate that often; 0 never asks.")
    ] = 24,
    mode: Annotated[str, typer.Option(help="How far an update may go.")] = "reweight",
    rung: Annotated[str | None, typer.Option(hidden=True, help="The old name of --mode.")] = None,
    charts: Annotated[bool, typer.Option(help="Draw the pictures too.")] = True,
    fault_rate: Annotated[
        float, typer.Option("--faults", min=0, max=0.5, help="Share of replies that go wrong.")
    ] = 0.0,
    seed: Annotated[int, seed_option("Which replies go wrong.")] = 0,
    as_json: JsonOption = False,
) -> None:
    """Work past days hour by hour as the live loop would: scan, feedback, update, decide.

    A replay server on this machine plays the exchange and is the only clock, so a second run
    writes the same bytes. One that was stopped resumes where it was; nothing outside its own
    folder is touched.

    Example: `vision-ai simulate --klines candles/ --start 2025-06-16T00:00:00Z --days 7`
    """
    from vision_ai.cli.text import measured
    from vision_ai.pipeline.backtest import simulate
    from vision_ai.pipeline.workspace import Workspace

    options = simulate.SimulateOptions(
        klines=klines,
        out=out,
        start=start,
        days=days,
        learn_every_h=update_every,
        mode=rung or mode,
        charts=charts,
        fault_rate=fault_rate,
        seed=seed,
    )
    with Workspace.open() as workspace:
        result = simulate.simulate(workspace, options)
    emit(result, measured.format_simulation(result), as_json=as_json)
    refuse_if_incomplete(
        result.missing, "not read", hint="All else was simulated and is kept.", most=3
    )


def backtest(
    klines: KlinesOption,
    *,
    symbols: Annotated[
        list[str] | None,
        typer.Option(help="Only these symbols; repeat it, or separate them by commas."),
    ] = None,
    with_cv: Annotated[
        bool | None,
        typer.Option(
            "--with-cv/--without-cv", help="The model's rules in the score; both when left out."
        ),
    ] = None,
    learning: Annotated[
        bool | None,
        typer.Option("--learning/--frozen", help="Updates by the gate; both when left out."),
    ] = None,
    start: Annotated[
        str | None, typer.Option(metavar="ISO", help="First hour; the first fair one if left out.")
    ] = None,
    days: Annotated[int | None, typer.Option(min=1, help="At most so many.")] = None,
    fee: Annotated[float, typer.Option(help="Of each fill, a fraction.")] = 0.00055,
    slippage: Annotated[float, typer.Option(help="Of each fill, a fraction.")] = 0.0002,
    seed: Annotated[int, seed_option("Of the resampling.")] = 0,
    report: Annotated[Path | None, typer.Option(metavar="DIR", help="Write a page there.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Walk forward through past candles and account for the trades that decisions led to.

    Hour by hour: charts, predictions, feedback, updates, decisions, in memory. Every figure has a
    95 % interval. Candles that share time with what the model has learned from are refused.

    Examples: `vision-ai backtest --klines candles/ --days 30`,
    `vision-ai backtest --klines candles/ --without-cv --frozen --report walk/`
    """
    from vision_ai.cli.text import measured
    from vision_ai.pipeline.backtest import trade
    from vision_ai.pipeline.workspace import Workspace

    options = trade.BacktestOptions(
        klines=klines,
        symbols=split_symbols(symbols),
        with_cv=with_cv,
        learning=learning,
        start=start,
        days=days,
        fee=fee,
        slippage=slippage,
        seed=seed,
        report=report,
    )
    with Workspace.open() as workspace:
        result = trade.backtest(workspace, options)
    emit(result, measured.format_backtest(result), as_json=as_json)


def split_symbols(texts: list[str] | None) -> list[str] | None:
    """Symbols of an option that is repeated, or holds several separated by commas."""
    return [name for text in texts or () for name in text.split(",") if name.strip()] or None
