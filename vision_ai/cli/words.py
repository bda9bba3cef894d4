"""Commands on words and labels: describe, review, labels."""

from pathlib import Path
from typing import Annotated

import typer

from vision_ai.cli.console import IntervalOption, JsonOption, emit
from vision_ai.errors import IncompleteError

NAMED = 20
"""Charts that an error names; all of them stand in `--json`."""


def register(app: typer.Typer) -> None:
    """Add these commands to the tree."""
    app.command()(describe)


def describe(
    *,
    symbols: Annotated[
        list[str] | None, typer.Option("--symbols", help="Only these; repeat it.")
    ] = None,
    since: Annotated[
        str | None, typer.Option("--from", metavar="ISO", help="Oldest chart.")
    ] = None,
    until: Annotated[str | None, typer.Option("--to", metavar="ISO", help="Newest chart.")] = None,
    interval: IntervalOption = None,
    klines: Annotated[
        Path | None, typer.Option(help="Folder of candle files instead of the cache.")
    ] = None,
    charts: Annotated[
        Path | None, typer.Option(help="Folder of chart PNGs instead of candles.")
    ] = None,
    stride: Annotated[int, typer.Option(min=1, help="Candles from one chart to the next.")] = 96,
    limit: Annotated[int | None, typer.Option(min=1, help="At most so many charts.")] = None,
    language: Annotated[
        str | None, typer.Option(help="en, pl or de; the configured one when left out.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Count charts, tokens and cost; send nothing.")
    ] = False,
    max_cost: Annotated[
        float | None, typer.Option(min=0, metavar="USD", help="Stop before this is spent.")
    ] = None,
    in_batch: Annotated[
        bool, typer.Option("--batch", help="Use the Batch API: half the price, within a day.")
    ] = False,
    wait: Annotated[bool, typer.Option(help="With --batch: stay until it is done.")] = True,
    again: Annotated[
        bool, typer.Option("--again", help="Also charts that were refused or contradicted.")
    ] = False,
    report: Annotated[
        bool, typer.Option("--report", help="Only say what stands, and how GPT agrees with us.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Have GPT put the rule book's facts about charts into words.

    Every chart without a description is sent once, with its facts; the reply is stored with
    model, prompt version, tokens, cost and time. The key comes from `OPENAI_API_KEY`, the address
    from `OPENAI_BASE_URL`; model and prices stand under `[gpt]` in the settings.

    Needs `pip install 'vision-ai[gpt]'`.

    Examples: `vision-ai describe --dry-run --limit 500`,
    `vision-ai describe --symbols BTCUSDT --limit 500 --max-cost 2`,
    `vision-ai describe --charts shots/ --language pl`, `vision-ai describe --batch --no-wait`
    """
    from vision_ai.pipeline import describing
    from vision_ai.pipeline.charting import Wanted
    from vision_ai.pipeline.workspace import Workspace

    workspace = Workspace.open()
    if report:
        found = describing.report(workspace)
        emit(found.payload(), found.text(), as_json=as_json)
        return
    wanted = Wanted.of(symbols, since, until, interval, klines=klines, charts=charts, stride=stride)
    terms = describing.Terms(describing.language(language), limit, max_cost, again, wait)
    if dry_run:
        found = describing.estimate(workspace, wanted, terms, in_batch=in_batch)
    elif in_batch:
        found = describing.describe_in_batches(workspace, wanted, terms)
    else:
        found = describing.describe(workspace, wanted, terms)
    emit(found.payload(), found.text(), as_json=as_json)
    _refuse_if_incomplete(found.missing, "not described")


def _refuse_if_incomplete(missing: dict[str, str], what: str) -> None:
    if not missing:
        return
    named = "; ".join(f"{name}: {why}" for name, why in sorted(missing.items())[:NAMED])
    more = len(missing) - NAMED
    raise IncompleteError(
        f"{len(missing)} {what}: {named}{f'; and {more} more' if more > 0 else ''}",
        hint="The rest is kept; run the same command again for these.",
    )
