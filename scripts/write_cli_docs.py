#!/usr/bin/env python3
"""Write docs/cli.md from the commands' own `--help`; with `--check`, say whether it is fresh."""

import os
import sys
from pathlib import Path

import typer
from typer.testing import CliRunner

PAGE = Path(__file__).parents[1] / "docs" / "cli.md"
HEAD = """# Commands

Written by `make docs` from `--help`; edit the docstrings instead.
"""


def paths(command: object, so_far: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """Every command of the tree as the words that call it, groups before their commands."""
    found = [so_far]
    for name in sorted(getattr(command, "commands", {})):
        found += paths(command.commands[name], (*so_far, name))  # type: ignore[attr-defined]
    return found


def page() -> str:
    """The whole page."""
    os.environ.update(COLUMNS="100", TERMINAL_WIDTH="100", NO_COLOR="1", TERM="dumb")
    from vision_ai.cli.app import app

    runner = CliRunner()
    parts = [HEAD]
    for words in paths(typer.main.get_command(app)):
        result = runner.invoke(app, [*words, "--help"], prog_name="vision-ai")
        text = "\n".join(line.rstrip() for line in result.output.strip().splitlines())
        parts.append(f"## {' '.join(('vision-ai', *words))}\n\n```text\n{text}\n```\n")
    return "\n".join(parts)


def main() -> int:
    """Write the page, or compare it."""
    fresh = page()
    if "--check" not in sys.argv:
        PAGE.write_text(fresh, encoding="utf-8")
        return 0
    if not PAGE.exists() or PAGE.read_text(encoding="utf-8") != fresh:
        print("docs/cli.md is out of date: run `make docs`.", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
