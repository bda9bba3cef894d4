"""Commands on what followed, and on what to do: feedback run, review and update; decide."""

from pathlib import Path
from typing import Annotated

import typer

from vision_ai.cli.console import JsonOption, emit, refuse_if_incomplete


def register(app: typer.Typer) -> None:
    """Add these commands to the tree."""
    app.add_typer(_feedback(), name="feedback", help="Check what followed each prediction.")
    app.command()(decide)


def _feedback() -> typer.Typer:
    tree = typer.Typer(no_args_is_help=True)

    @tree.command()
    def run(*, as_json: JsonOption = False) -> None:
        """Write down what followed each prediction whose 2 h or 6 h are over.

        Exits with 5 where a prediction whose outcomes are not all known is damaged; what followed
        all others is written down.

        Example: `vision-ai feedback run`
        """
        from vision_ai.cli.text import feedback as text
        from vision_ai.pipeline import feedback
        from vision_ai.pipeline.workspace import Workspace

        with Workspace.open() as workspace:
            result = feedback.run(workspace)
        emit(result, text.format_feedback_run(result), as_json=as_json)
        refuse_if_incomplete(result.missing, "not written down", hint="")

    @tree.command()
    def review(
        *,
        symbol: Annotated[list[str] | None, typer.Option(help="Only these; repeat it.")] = None,
        since: Annotated[str | None, typer.Option("--from", metavar="ISO")] = None,
        until: Annotated[str | None, typer.Option("--to", metavar="ISO")] = None,
        interval: Annotated[str | None, typer.Option(help="15m or 1h.")] = None,
        report: Annotated[
            Path | None, typer.Option(help="Also write Markdown with plots into this folder.")
        ] = None,
        as_json: JsonOption = False,
    ) -> None:
        """Hit rates with intervals, calibration, coverage, best and worst calls so far.

        Example: `vision-ai feedback review --symbol BTCUSDT --report review/`
        """
        from vision_ai.cli.text import feedback as text
        from vision_ai.pipeline import feedback
        from vision_ai.pipeline.workspace import Workspace

        with Workspace.open() as workspace:
            result = feedback.review(
                workspace,
                symbols=symbol or (),
                since=since,
                until=until,
                interval=interval,
                report=report,
            )
        emit(result, text.format_feedback_review(result), as_json=as_json)

    @tree.command()
    def update(
        *,
        mode: Annotated[
            str,
            typer.Option(
                help="log-only: nothing is changed. reweight: exemplar weights and bands. "
                "finetune: a model trained further. Both only where they prove better."
            ),
        ] = "log-only",
        rung: Annotated[
            str | None, typer.Option(hidden=True, help="The old name of --mode.")
        ] = None,
        klines: Annotated[
            Path | None,
            typer.Option(help="finetune: a folder of candles to replay beside the cached ones."),
        ] = None,
        device: Annotated[
            str | None, typer.Option(help="finetune: cuda, mps or cpu; the first present.")
        ] = None,
        steps: Annotated[
            int | None, typer.Option(min=1, help="finetune: instead of the usual ones.")
        ] = None,
        as_json: JsonOption = False,
    ) -> None:
        """Write down what the outcomes would change in the model, or change what proves better.

        With `--mode reweight` earlier outcomes make a challenger and later ones judge it; only
        what is better at the stated error rate becomes a new model version. With `--mode finetune`
        the challenger is trained from the current model's weights and mixed with them; that
        needs the `train` extra, takes minutes, and resumes where it was stopped. `vision-ai models
        rollback` takes either back.

        Example: `vision-ai feedback update --mode reweight`

        Example: `vision-ai feedback update --mode finetune --klines candles/`
        """
        from vision_ai.cli.text import feedback as text
        from vision_ai.pipeline.learning import update as work
        from vision_ai.pipeline.workspace import Workspace

        training = work.Training(klines=klines, device=device, steps=steps)
        with Workspace.open() as workspace:
            result = work.update(workspace, mode=rung or mode, training=training)
        emit(result, text.format_update(result), as_json=as_json)

    return tree


def decide(
    symbol: Annotated[str, typer.Argument(help="A symbol such as BTCUSDT.")],
    *,
    as_json: JsonOption = False,
) -> None:
    """Join, consider or avoid: candles and the newest prediction, every reason named.

    Example: `vision-ai decide BTCUSDT`
    """
    from vision_ai.cli.text import charts as text
    from vision_ai.pipeline import decide
    from vision_ai.pipeline.workspace import Workspace

    with Workspace.open() as workspace:
        result = decide.decide(workspace, symbol)
    emit(result, text.format_decision(result), as_json=as_json)
