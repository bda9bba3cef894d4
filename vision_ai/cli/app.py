"""The command tree and the one place where failures become exit codes."""

import logging
import sys
from typing import Annotated

import typer

from vision_ai import __version__
from vision_ai.cli import charts, data, evidence, learning, outcome, words
from vision_ai.cli.console import configure_logging
from vision_ai.errors import VisionError

logger = logging.getLogger(__name__)

EXIT_CODES = """Exit codes: 0 done; 2 an argument, setting or file to mend; 3 artefacts disagree or
are damaged, or the disk refuses; 4 try again later; 5 part was done and kept, the rest is named;
130 interrupted."""

app = typer.Typer(
    name="vision-ai",
    help="Read candlestick charts of Bybit symbols: setup, phase, how sure, and what look-alikes "
    "did next.",
    epilog=EXIT_CODES,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"vision-ai {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    *,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Log what is done.")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Set up logging before any command runs."""
    del version
    configure_logging(verbose=verbose)


for module in (charts, data, learning, evidence, outcome, words):
    module.register(app)


def main() -> None:
    """Run the command line and leave with a documented exit code."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Run one command and give its exit code; a traceback means a bug of ours."""
    try:
        app(arguments, prog_name="vision-ai")
    except VisionError as error:
        sys.stderr.write(f"Error: {error}\n")
        return error.exit_code
    except SystemExit as done:
        return done.code if isinstance(done.code, int) else 0
    return 0
