"""Commands that make and look after models: train, index, models, doctor."""

from pathlib import Path
from typing import Annotated

import typer

from vision_ai.cli.console import JsonOption, KlinesOption, emit, seed_option


def register(app: typer.Typer) -> None:
    """Add these commands to the tree."""
    app.command()(train)
    app.add_typer(_index(), name="index", help="Build and inspect the index of similar charts.")
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

    A run that was stopped resumes at its last checkpoint. The new model becomes the
    current one. The shipped weights took four runs, each on the weights of the one before.

    Needs `pip install -e '.[train]'`.

    Examples: `vision-ai train --klines candles/train`,
    `vision-ai train --klines candles/train --weights model.safetensors --steps 12000 --rate 3e-3`
    """
    from vision_ai.cli.text import models
    from vision_ai.pipeline.learning import train
    from vision_ai.pipeline.workspace import Workspace

    options = train.TrainOptions(
        preset=preset, weights=weights, device=device, seed=seed, steps=steps, rate=rate
    )
    with Workspace.open() as workspace:
        result = train.train(workspace, klines, options)
    emit(result, models.format_train(result), as_json=as_json)


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
        from vision_ai.cli.text import models as text
        from vision_ai.pipeline import index
        from vision_ai.pipeline.workspace import Workspace

        with Workspace.open() as workspace:
            result = index.build(workspace, klines=klines, stride=stride)
        emit(result, text.format_index(result, other_charts=klines is not None), as_json=as_json)

    @tree.command()
    def show(*, as_json: JsonOption = False) -> None:
        """Say which index is in use and what it was made of.

        Example: `vision-ai index show`
        """
        from vision_ai.cli.text import models as text
        from vision_ai.pipeline import index
        from vision_ai.pipeline.workspace import Workspace

        with Workspace.open() as workspace:
            result = index.show(workspace)
        emit(result, text.format_index(result), as_json=as_json)

    return tree


def _models() -> typer.Typer:
    tree = typer.Typer(no_args_is_help=True)

    @tree.command("list")
    def list_(*, as_json: JsonOption = False) -> None:
        """List the installed models, the current one marked.

        Example: `vision-ai models list`
        """
        from vision_ai.cli.text import models as text
        from vision_ai.pipeline import models
        from vision_ai.pipeline.workspace import Workspace

        with Workspace.open() as workspace:
            result = models.list_models(workspace)
        emit(result, text.format_models(result), as_json=as_json)

    @tree.command()
    def show(
        version: Annotated[str, typer.Argument(help="A version, or `current`.")] = "current",
        *,
        as_json: JsonOption = False,
    ) -> None:
        """Show what a model was made of and the figures it reached.

        Example: `vision-ai models show current`
        """
        from vision_ai.cli.text import models as text
        from vision_ai.pipeline import models
        from vision_ai.pipeline.workspace import Workspace

        with Workspace.open() as workspace:
            result = models.show(workspace, version)
        emit(result, text.format_model(result), as_json=as_json)

    @tree.command()
    def promote(
        version: Annotated[str, typer.Argument(help="A version, as `models list` names it.")],
        *,
        as_json: JsonOption = False,
    ) -> None:
        """Make a version the current one; killed at any instant, one whole version is current.

        Example: `vision-ai models promote chart-clip-3efa3a0cb5`
        """
        from vision_ai.cli.text import models as text
        from vision_ai.pipeline import models
        from vision_ai.pipeline.workspace import Workspace

        with Workspace.open() as workspace:
            result = models.promote(workspace, version)
        emit(result, text.format_active_model(result), as_json=as_json)

    @tree.command()
    def rollback(*, as_json: JsonOption = False) -> None:
        """Bring back the version that the current one replaced; again goes one further back.

        Example: `vision-ai models rollback`
        """
        from vision_ai.cli.text import models as text
        from vision_ai.pipeline import models
        from vision_ai.pipeline.workspace import Workspace

        with Workspace.open() as workspace:
            result = models.rollback(workspace)
        emit(result, text.format_active_model(result), as_json=as_json)

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
        from vision_ai.cli.text import models as text
        from vision_ai.pipeline import models
        from vision_ai.pipeline.workspace import Workspace

        with Workspace.open() as workspace:
            result = models.diff(workspace, first, second)
        emit(result, text.format_model_diff(result), as_json=as_json)

    return tree


def doctor(*, as_json: JsonOption = False) -> None:
    """Check that everything a prediction needs is here and agrees.

    Example: `vision-ai doctor`
    """
    from vision_ai.cli.text import models as text
    from vision_ai.pipeline import doctor as use_case
    from vision_ai.pipeline.workspace import Workspace

    with Workspace.open() as workspace:
        result = use_case.examine(workspace)
    emit(result, text.format_doctor(result), as_json=as_json)
    result.raise_if_broken()
