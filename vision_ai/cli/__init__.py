"""The console command `vision-ai`: arguments in, results to stdout, everything else to stderr.

Only typer is imported at start; a command imports its part of the pipeline when it runs.
"""

import sys

from vision_ai.cli import interrupts


def main() -> None:
    """Run the command line and leave with a documented exit code."""
    interrupts.install()
    try:
        from vision_ai.cli.app import run

        code = run(sys.argv[1:])
    except KeyboardInterrupt:
        sys.stderr.write("Interrupted.\n")
        code = 130
    interrupts.ignore()
    sys.exit(code)


__all__ = ["main"]
