"""The console command `vision-ai`: arguments in, results to stdout, everything else to stderr.

Only typer is imported at start; a command imports its part of the pipeline when it runs.
"""

from vision_ai.cli.app import main

__all__ = ["main"]
