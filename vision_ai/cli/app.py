"""The command tree and the one place where failures become exit codes."""

import sys
from typing import Annotated

import typer

from vision_ai import __version__
from vision_ai.cli import charts, data, evidence, labels, learning, outcome
from vision_ai.cli.console import configure_logging
from vision_ai.errors import StateError, VisionError

EXIT_CODES = """Exit codes: 0 done; 2 an argument, setting or file to fix; 3 what lies
on disk is missing, damaged or does not fit together, or the disk refuses; 4 try again later; 5 part
was done and kept, the rest is named; 130 interrupted."""

INTERRUPTED_CODE = 130
INTERRUPTED = "Interrupted; what was written is kept. Run the same command again."

app = typer.Typer(
    name="vision-ai",
    help="Read candlestick charts of Bybit symbols: setup, phase, how sure, and what similar "
    "charts did next.",
    epilog=EXIT_CODES,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)


def _version(is_asked: bool) -> None:
    if is_asked:
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


for module in (charts, data, learning, evidence, outcome, labels):
    module.register(app)


def run(arguments: list[str]) -> int:
    """Run one command and give its exit code; a traceback means a bug of ours."""
    try:
        return _call(arguments)
    except VisionError as error:
        _say(f"Error: {error}")
        return error.exit_code
    except OSError as error:
        # What the system refuses at any file is the user's to fix and no bug of ours.
        what = f"{error.filename}: " if error.filename else ""
        _say(f"Error: {what}{error.strerror or error}. Check the path, its rights and the disk.")
        return StateError.exit_code
    except KeyboardInterrupt:
        _say(INTERRUPTED)
        return INTERRUPTED_CODE


def _call(arguments: list[str]) -> int:
    try:
        app(arguments, prog_name="vision-ai")
    except SystemExit as done:
        code = done.code if isinstance(done.code, int) else 0
        if code == INTERRUPTED_CODE:
            _say(INTERRUPTED)
        return code
    return 0


def _say(text: str) -> None:
    if sys.stderr is not None:
        sys.stderr.write(f"{text}\n")
