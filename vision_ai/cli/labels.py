"""Commands on descriptions and labels: describe, review, labels."""

from pathlib import Path
from typing import Annotated

import typer

from vision_ai.cli.console import IntervalOption, JsonOption, emit, refuse_if_incomplete
from vision_ai.errors import InputError

NAMED = 20
"""Charts that an error names; all of them stand in `--json`."""

KEPT = "The rest is kept."


def register(app: typer.Typer) -> None:
    """Add these commands to the tree."""
    app.command()(describe)
    app.add_typer(
        _review(),
        name="review",
        help="Look at doubtful labels and settle them. Charts come here from predict, scan and "
        "describe; take one with next, then accept, correct or skip it.",
    )
    app.add_typer(
        _labels(),
        name="labels",
        help="Take people's labels out and in: to share a review's work, or to label in a table.",
    )


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
    limit: Annotated[
        int | None, typer.Option(min=1, help="At most so many that have no description.")
    ] = None,
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
        bool,
        typer.Option("--report", help="Only say what is described, and how GPT agrees."),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Have GPT put the rule book's facts about charts into words.

    Every chart without a description is sent once, with its facts; the reply is stored with
    model, prompt version, tokens, cost and time. The key comes from `OPENAI_API_KEY`, the address
    from `OPENAI_BASE_URL`; model and prices stand under `[gpt]` in the settings.

    Needs `pip install -e '.[gpt]'`.

    Examples: `vision-ai describe --dry-run --limit 500`,
    `vision-ai describe --symbols BTCUSDT --limit 500 --max-cost 2`,
    `vision-ai describe --charts shots/ --language pl`, `vision-ai describe --batch --no-wait`
    """
    from vision_ai.cli.text import labels as text
    from vision_ai.pipeline.labelling import describe
    from vision_ai.pipeline.labelling.select import ChartSelection
    from vision_ai.pipeline.workspace import Workspace

    with Workspace.open() as workspace:
        if report:
            ledger = describe.report(workspace)
            emit(ledger, text.format_ledger(ledger), as_json=as_json)
            return
        selection = ChartSelection.of(
            symbols, since, until, interval, klines=klines, charts=charts, stride=stride
        )
        options = describe.DescribeOptions(
            describe.language(language), limit, max_cost, again, wait
        )
        if dry_run:
            estimate = describe.estimate(workspace, selection, options, in_batch=in_batch)
            missing = estimate.missing
            emit(estimate, text.format_estimate(estimate), as_json=as_json)
        elif in_batch:
            batches = describe.describe_in_batches(workspace, selection, options)
            missing = batches.missing
            emit(batches, text.format_batches(batches), as_json=as_json)
        else:
            described = describe.describe(workspace, selection, options)
            missing = described.missing
            emit(described, text.format_described(described), as_json=as_json)
    refuse_if_incomplete(
        missing,
        "not described",
        hint="The rest is kept; run it again for these, with --again for refused ones.",
        most=NAMED,
    )


ChartArgument = Annotated[str, typer.Argument(help="First digits, as `review next` shows them.")]
WhoOption = Annotated[
    str | None, typer.Option(help="Whose word it is; VISION_AI_REVIEWER or the user if left out.")
]
WordsOption = Annotated[str | None, typer.Option(help="The chart in your own words.")]


def _review() -> typer.Typer:
    tree = typer.Typer(no_args_is_help=True)

    @tree.command("next")
    def next_(
        *,
        limit: Annotated[int, typer.Option(min=1, help="How many.")] = 5,
        as_json: JsonOption = False,
    ) -> None:
        """Show the charts that most need a person: disagreement first, then the model's doubt.

        Example: `vision-ai review next --limit 10`
        """
        from vision_ai.cli.text import labels as text
        from vision_ai.pipeline.labelling import review
        from vision_ai.pipeline.workspace import Workspace

        with Workspace.open() as workspace:
            result = review.upcoming(workspace, limit)
        emit(result, text.format_queue(result, workspace.paths.root), as_json=as_json)

    @tree.command()
    def accept(
        chart: ChartArgument,
        *,
        words: WordsOption = None,
        who: WhoOption = None,
        as_json: JsonOption = False,
    ) -> None:
        """Say that the rule book's label is right; from then on it is your word, as with correct.

        Example: `vision-ai review accept 3f9a01c2`
        """
        _decide(chart, "accept", {}, who, words, as_json=as_json)

    @tree.command()
    def correct(
        chart: ChartArgument,
        *,
        setup: Annotated[str | None, typer.Option(help="What it shows instead, see above.")] = None,
        direction: Annotated[str | None, typer.Option(help="long, short or neutral.")] = None,
        phase: Annotated[str | None, typer.Option(help="The phase instead, see above.")] = None,
        words: WordsOption = None,
        who: WhoOption = None,
        as_json: JsonOption = False,
    ) -> None:
        """Give a chart another label; it counts from the next prediction on, without training.

        What is not given stays as the rule book has it. The setups: breakout,
        breakout-continuation, pullback, support-retest, resistance-rejection, fakeout, trap,
        exhaustion, reversal, range, none. The phases: markup, markdown, accumulation,
        distribution, range.

        Examples: `vision-ai review correct 3f9a01c2 --setup trap --direction short`,
        `vision-ai review correct 3f9a01c2 --phase range --words "no trend yet"`
        """
        changes = {"setup": setup, "direction": direction, "phase": phase}
        if not any(changes.values()):
            raise InputError(
                "Nothing to correct: expected --setup, --direction or --phase.",
                hint="Use vision-ai review accept where the label is right.",
            )
        _decide(chart, "correct", changes, who, words, as_json=as_json)

    @tree.command()
    def skip(chart: ChartArgument, *, who: WhoOption = None, as_json: JsonOption = False) -> None:
        """Leave a chart undecided and out of the queue; its label stays as it was.

        Example: `vision-ai review skip 3f9a01c2`
        """
        _decide(chart, "skip", {}, who, None, as_json=as_json)

    @tree.command()
    def stats(*, as_json: JsonOption = False) -> None:
        """How much was reviewed, by whom, and how often the rule book was right.

        Example: `vision-ai review stats`
        """
        from vision_ai.cli.text import labels as text
        from vision_ai.pipeline.labelling import review
        from vision_ai.pipeline.workspace import Workspace

        with Workspace.open() as workspace:
            result = review.stats(workspace)
        emit(result, text.format_review_stats(result), as_json=as_json)

    return tree


def _decide(
    chart: str,
    action: str,
    changes: dict[str, str | None],
    who: str | None,
    words: str | None,
    *,
    as_json: bool,
) -> None:
    from vision_ai.cli.text import labels as text
    from vision_ai.labels.review import Action
    from vision_ai.pipeline.labelling import review
    from vision_ai.pipeline.workspace import Workspace

    with Workspace.open() as workspace:
        result = review.decide(workspace, chart, Action(action), changes, who=who, words=words)
    emit(result, text.format_decided(result), as_json=as_json)


def _labels() -> typer.Typer:
    tree = typer.Typer(no_args_is_help=True)

    @tree.command()
    def export(
        out: Annotated[Path, typer.Argument(help="A .csv or .jsonl file.")],
        *,
        as_json: JsonOption = False,
    ) -> None:
        """Write every correction to a file.

        Example: `vision-ai labels export labels.csv`
        """
        from vision_ai.cli.text import labels as text
        from vision_ai.pipeline.labelling import review
        from vision_ai.pipeline.workspace import Workspace

        with Workspace.open() as workspace:
            result = review.export(workspace, out)
        emit(result, text.format_export(result), as_json=as_json)
        refuse_if_incomplete(result.missing, "not exported", hint=KEPT, most=NAMED)

    @tree.command("import")
    def import_(
        source: Annotated[Path, typer.Argument(help="A .csv or .jsonl file.")],
        *,
        who: WhoOption = None,
        as_json: JsonOption = False,
    ) -> None:
        """Add the corrections of a file; importing twice adds nothing twice.

        Columns: digest, symbol, interval, as_of, setup, direction, phase; optional: words, who,
        at, action.

        Example: `vision-ai labels import labels.csv --who anna`
        """
        from vision_ai.cli.text import labels as text
        from vision_ai.pipeline.labelling import review
        from vision_ai.pipeline.workspace import Workspace

        with Workspace.open() as workspace:
            result = review.import_(workspace, source, who=who)
        emit(result, text.format_labels_import(result), as_json=as_json)
        refuse_if_incomplete(result.missing, "not imported", hint=KEPT, most=NAMED)

    return tree
