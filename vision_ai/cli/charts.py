"""Commands that read charts: demo, snapshot, predict, scan, schema."""

from pathlib import Path
from typing import Annotated

import typer

from vision_ai.cli.console import (
    AsOfOption,
    IntervalOption,
    JsonOption,
    emit,
    print_json,
    print_lines,
    refuse_if_incomplete,
)
from vision_ai.errors import InputError

SymbolsArgument = Annotated[list[str], typer.Argument(help="Symbols such as BTCUSDT.")]


def register(app: typer.Typer) -> None:
    """Add these commands to the tree."""
    for command in (demo, snapshot, predict, scan, schema):
        app.command()(command)


def demo(*, as_json: JsonOption = False) -> None:
    """Read charts of simulated candles: no keys, no network.

    Starts a replay server on this machine, draws the charts of one symbol and predicts.

    Example: `vision-ai demo`
    """
    from vision_ai.cli.text import charts
    from vision_ai.config import data_root
    from vision_ai.pipeline import demo as use_case

    result = use_case.run()
    emit(result, charts.format_demo(result, data_root()), as_json=as_json)


def snapshot(
    symbols: SymbolsArgument,
    *,
    interval: IntervalOption = None,
    as_of: AsOfOption = None,
    as_json: JsonOption = False,
) -> None:
    """Draw the newest charts as PNG; what is there already is kept.

    Example: `vision-ai snapshot BTCUSDT ETHUSDT --interval 1h`
    """
    from vision_ai.cli.text import charts
    from vision_ai.pipeline import predict
    from vision_ai.pipeline.workspace import Workspace

    with Workspace.open() as workspace:
        result = predict.snapshot(workspace, symbols, intervals=interval, as_of=as_of)
    emit(result, charts.format_snapshot(result), as_json=as_json)
    refuse_if_incomplete(result.missing)


def predict(
    symbol: Annotated[str | None, typer.Argument(help="A symbol such as BTCUSDT.")] = None,
    *,
    image: Annotated[
        Path | None, typer.Option("--image", help="Read a picture of a chart instead.")
    ] = None,
    as_of: AsOfOption = None,
    interval: Annotated[
        str | None, typer.Option("--interval", help="With --image: what the picture shows.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Say which setup and phase a symbol shows, how sure, and what similar charts did next.

    Predictions and charts that exist are kept as they were made. A picture of ours says itself
    what it shows, whatever SYMBOL and --interval say.

    Examples: `vision-ai predict BTCUSDT`,
    `vision-ai predict BTCUSDT --as-of 2025-06-15T12:00:00Z`,
    `vision-ai predict --image chart.png`
    """
    from vision_ai.cli.text import charts
    from vision_ai.pipeline import predict
    from vision_ai.pipeline.workspace import Workspace

    if image is None and interval is not None:
        raise InputError(
            "--interval says what a picture shows: expected --image FILE with it.",
            hint="Leave it out; a prediction holds both intervals.",
        )
    if image is not None and as_of is not None:
        raise InputError(
            "--as-of does not go with --image: a picture shows one time.", hint="Leave it out."
        )
    if image is None and symbol is None:
        raise InputError(
            "Nothing to read: expected a symbol or --image FILE.",
            hint="Try: vision-ai predict BTCUSDT",
        )
    with Workspace.open() as workspace:
        root = workspace.paths.root
        if image is not None:
            picture = predict.predict_image(workspace, image, symbol=symbol, interval=interval)
            lines = charts.format_image(picture, root, interval_given=interval is not None)
            emit(picture, lines, as_json=as_json)
        elif symbol is not None:
            result = predict.predict(workspace, symbol, as_of=as_of)
            emit(result, charts.format_symbol(result, root), as_json=as_json)


def scan(
    symbols: Annotated[list[str] | None, typer.Argument(help="Symbols; none with --all.")] = None,
    *,
    every: Annotated[bool, typer.Option("--all", help="Every USDT market, by turnover.")] = False,
    top: Annotated[int | None, typer.Option(min=1, help="The N markets of most turnover.")] = None,
    as_of: AsOfOption = None,
    charts: Annotated[bool, typer.Option(help="Draw a PNG for each chart.")] = True,
    as_json: JsonOption = False,
) -> None:
    """Read many symbols at once; what is there already is kept as it is.

    Examples: `vision-ai scan --top 50`, `vision-ai scan BTCUSDT SOLUSDT --no-charts`
    """
    from vision_ai.cli.text import charts as text
    from vision_ai.pipeline import predict
    from vision_ai.pipeline.workspace import Workspace

    if bool(symbols) + every + (top is not None) != 1:
        raise InputError(
            "Which symbols to scan is not clear: expected symbols, --all or --top N, and only one.",
            hint="Try: vision-ai scan --top 20",
        )
    with Workspace.open() as workspace:
        result = predict.scan(workspace, symbols or None, top=top, as_of=as_of, draw_charts=charts)
    emit(result, text.format_scan(result), as_json=as_json)
    refuse_if_incomplete(result.missing)


def schema(
    name: Annotated[
        str | None, typer.Argument(help="A file or a result; all names are listed without one.")
    ] = None,
) -> None:
    """Print the JSON Schema of a file that this program writes, or of what `--json` prints.

    Examples: `vision-ai schema`, `vision-ai schema prediction`, `vision-ai schema scan-result`
    """
    from vision_ai.pipeline import schemas

    if name is None:
        print_lines(schemas.names())
    else:
        print_json(schemas.schema(name))
