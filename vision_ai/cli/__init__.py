"""The console command `vision-ai`: arguments in, results to stdout, everything else to stderr.

Only typer is imported at start; a command imports its part of the pipeline when it runs.
"""

import signal
import sys
from types import FrameType

_interrupts: list[int] = []


def main() -> None:
    """Run the command line and leave with a documented exit code."""
    signal.signal(signal.SIGINT, _interrupt)
    try:
        from vision_ai.cli.app import run

        code = run(sys.argv[1:])
    except (KeyboardInterrupt, ImportError):
        if not _interrupts:
            raise
        # Ctrl-C while a library was loading: some turn it into an ImportError of their own.
        sys.stderr.write("Interrupted.\n")
        code = 130
    sys.exit(code)


def _interrupt(number: int, _: FrameType | None) -> None:
    _interrupts.append(number)
    raise KeyboardInterrupt


__all__ = ["main"]
