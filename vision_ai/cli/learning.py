"""Commands that make and look after models: train, index, models, doctor."""

from pathlib import Path
from typing import Annotated

import typer

from vision_ai.cli.console import JsonOption, KlinesOption, emit, seed_option


def register(app: typer.Typer) -> None:
    """Add these commands to the tree."""
    app.command()(train)
    app.add_typer(_index(), name="index", help="Build and inspect the index of look-alikes.")
    app.add_typer(_models(), name="models", help="List, inspect, promote and take back models.")
    app.command()(doctor)


def train(
    klines: KlinesOption,
    *,
    preset: Annotated[str, typer.Option(help="chart-clip or clip-vit-b16.")] = "chart-clip",
    weights: Annotated[
        Path | None, typer.Option(help="Local starting weights (safetensors or openai's file).")
    ] = None,
    device: Annotated[
        str | None, typer.Option(help="cuda, mps or cpu; the first present when left out.")
    ] = None,
    seed: Annotated[int, seed_option("Everything random follows from it.")] = 0,
    steps: Annotated[int | None, typer.Option(min=1, help="Instead of the preset's own.")] = None,
    rate: Annotated[
        float | None, typer.Option(min=1e-9, max=1, help="Peak learning rate, likewise.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Train a model on labelled charts, export it to ONNX, embed and calibrate it.

    A run that was stopped goes on where its last checkpoint stands. The new model becomes the
    current one. The shipped weights took four runs, each on the weights of the one before.

    Needs `pip install -e '.[train]'`.

    Examples: `vision-ai train --klines candles/train`,
    `vision-ai train --klines candles/train --weights model.safetensors --steps 12000 --rate 3e-3`
    """
    from vision_ai.pipeline.learning import train
    from vision_ai.pipeline.workspace import Workspace

    wanted = train.Wanted(
        preset=preset, weights=weights, device=device, seed=seed, steps=steps, rate=rate
    )
    report = train.train(Workspace.open(), klines, wanted)
    emit(report.payload(), report.text(), as_json=as_json)


def _index() -> typer.Typer:
    tree = typer.Typer(no_args_is_help=True)

    @tree.command()
    def build(
        *,
        klines: Annotated[
            Path | None, typer.Option(help="Add charts of these candles to the exemplars.")
        ] = None,
        stride: Annotated[int, typer.Option(min=1, help="Candles from one chart to the next.")] = 8,
        as_json: JsonOption = False,
    ) -> None:
        """Build the search index of the current model; the old one serves until it is done.

        Example: `vision-ai index build --klines candles/`
        """
        from vision_ai.pipeline import index
        from vision_ai.pipeline.workspace import Workspace

        report = index.build(Workspace.open(), klines=klines, stride=stride)
        emit(report.payload(), report.text(), as_json=as_json)

    @tree.command()
    def show(*, as_json: JsonOption = False) -> None:
        """Say which index is in use and what it was made of.

        Example: `vision-ai index show`
        """
        from vision_ai.pipeline import index
        from vision_ai.pipeline.workspace import Workspace

        report = index.show(Workspace.open())
        emit(report.payload(), report.text(), as_json=as_json)

    return tree


def _models() -> typer.Typer:
    tree = typer.Typer(no_args_is_help=True)

    @tree.command("list")
    def list_(*, as_json: JsonOption = False) -> None:
        """List the installed models, the current one marked.

        Example: `vision-ai models list`
        """
        from vision_ai.pipeline import index
        from vision_ai.pipeline.workspace import Workspace

        report = index.models(Workspace.open())
        emit(report.payload(), report.text(), as_json=as_json)

    @tree.command()
    def show(
        version: Annotated[str, typer.Argument(help="A version, or `current`.")] = "current",
        *,
        as_json: JsonOption = False,
    ) -> None:
        """Show what a model was made of and the figures it reached.

        Example: `vision-ai models show current`
        """
        from vision_ai.pipeline import index
        from vision_ai.pipeline.workspace import Workspace

        report = index.model(Workspace.open(), version)
        emit(report.payload(), report.text(), as_json=as_json)

    @tree.command()
    def promote(
        version: Annotated[str, typer.Argument(help="A version, as `models list` names it.")],
        *,
        as_json: JsonOption = False,
    ) -> None:
        """Make a version the current one; killed at any instant, one whole version is current.

        Example: `vision-ai models promote chart-clip-3efa3a0cb5`
        """
        from vision_ai.pipeline import models
        from vision_ai.pipeline.workspace import Workspace

        report = models.promote(Workspace.open(), version)
        emit(report.payload(), report.text(), as_json=as_json)

    @tree.command()
    def rollback(*, as_json: JsonOption = False) -> None:
        """Bring back the version that the current one replaced; again goes one further back.

        Example: `vision-ai models rollback`
        """
        from vision_ai.pipeline import models
        from vision_ai.pipeline.workspace import Workspace

        report = models.rollback(Workspace.open())
        emit(report.payload(), report.text(), as_json=as_json)

    @tree.command()
    def diff(
        first: Annotated[str, typer.Argument(help="A version, or `current`.")],
        second: Annotated[str, typer.Argument(help="Another, or `current`.")],
        *,
        as_json: JsonOption = False,
    ) -> None:
        """Show in what two versions differ: files, figures, exemplar weights, bands.

        Example: `vision-ai models diff chart-clip-3efa3a0cb5 current`
        """
        from vision_ai.pipeline import models
        from vision_ai.pipeline.workspace import Workspace

        report = models.diff(Workspace.open(), first, second)
        emit(report.payload(), report.text(), as_json=as_json)

    return tree


def doctor(*, as_json: JsonOption = False) -> None:
    """Check that everything a prediction needs is here and agrees.

    Example: `vision-ai doctor`
    """
    from vision_ai.pipeline import doctor as work
    from vision_ai.pipeline.workspace import Workspace

    report = work.examine(Workspace.open())
    emit(report.payload(), report.text(), as_json=as_json)
    report.refuse_if_broken()
