"""The console command `vision-ai`: arguments in, results to stdout, everything else to stderr.

Only typer is imported at start; a command imports its part of the pipeline when it runs.
"""

import sys

from vision_ai.cli import interrupts


def main(*command: str) -> None:
    """Run the command line and exit with a documented code.

    Args:
        command: words before the arguments; the files that run as a command of their own
            (`python -m vision_ai.train_cv_model`) give theirs here.
    """
    interrupts.install()
    try:
        from vision_ai.cli.app import run

        code = run([*command, *sys.argv[1:]])
    except KeyboardInterrupt:
        sys.stderr.write("Interrupted.\n")
        code = 130
    interrupts.ignore()
    sys.exit(code)


__all__ = ["main"]
