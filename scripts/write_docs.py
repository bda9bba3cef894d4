#!/usr/bin/env python3
"""Write docs/cli.md from `--help` and docs/map.md from docstrings; `--check` compares only."""

import ast
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import typer
from typer.testing import CliRunner

ROOT = Path(__file__).parents[1]
CLI_HEAD = """# Commands

Written by `make docs` from `--help`; edit the docstrings instead.
"""
MAP_HEAD = """# Map

Every file of the package and the first sentence that it says of itself. Written by `make docs`.
"""


def paths(command: object, so_far: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """Every command of the tree as the words that call it, groups before their commands."""
    found = [so_far]
    for name, inner in sorted(getattr(command, "commands", {}).items()):
        found += paths(inner, (*so_far, name))
    return found


def cli_page() -> str:
    """What every command says of itself."""
    os.environ.update(COLUMNS="100", TERMINAL_WIDTH="100", NO_COLOR="1", TERM="dumb")
    from vision_ai.cli.app import app

    runner = CliRunner()
    parts = [CLI_HEAD]
    for words in paths(typer.main.get_command(app)):
        result = runner.invoke(app, [*words, "--help"], prog_name="vision-ai")
        text = "\n".join(line.rstrip() for line in result.output.strip().splitlines())
        parts.append(f"## {' '.join(('vision-ai', *words))}\n\n```text\n{text}\n```\n")
    return "\n".join(parts)


def map_page() -> str:
    """What every file says of itself."""
    return f"{MAP_HEAD}\n| file | what it is |\n|---|---|\n" + "".join(_rows(ROOT / "vision_ai"))


def _rows(folder: Path) -> Iterator[str]:
    for path in sorted(folder.rglob("*.py")):
        said = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
        sentence = re.split(r"(?<=[.?!])\s", " ".join(said.split()))[0]
        name = path.relative_to(ROOT / "vision_ai").as_posix()
        shown = name.removesuffix("__init__.py") if name != "__init__.py" else "__init__.py"
        yield f"| `{shown}` | {sentence} |\n"


def main() -> int:
    """Write the pages, or compare them."""
    stale = []
    for name, fresh in (("cli.md", cli_page()), ("map.md", map_page())):
        page = ROOT / "docs" / name
        if "--check" not in sys.argv:
            page.write_text(fresh, encoding="utf-8")
        elif not page.exists() or page.read_text(encoding="utf-8") != fresh:
            stale.append(f"docs/{name}")
    if stale:
        print(f"{' and '.join(stale)} out of date: run `make docs`.", file=sys.stderr)
    return bool(stale)


if __name__ == "__main__":
    sys.exit(main())
