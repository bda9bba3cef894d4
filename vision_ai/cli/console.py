"""What the commands share: where results go, and options of the same meaning everywhere."""

import json
import logging
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Protocol

import typer

from vision_ai.errors import IncompleteError, StorageError

JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of text.")]
KlinesOption = Annotated[
    Path, typer.Option("--klines", help="Folder of candle files (VENUE_SYMBOL_INTERVAL.parquet).")
]
AsOfOption = Annotated[
    str | None,
    typer.Option("--as-of", metavar="ISO", help="Replay history: only candles closed then."),
]
IntervalOption = Annotated[
    list[str] | None, typer.Option("--interval", help="15m, 1h or 15m,1h; both when left out.")
]


def seed_option(what: str) -> Any:
    """An option for a seed: every generator takes what it lets through."""
    return typer.Option(min=0, max=2**31 - 1, help=what)


class Printable(Protocol):
    """A result of a use case."""

    def payload(self) -> dict[str, Any]:
        """The JSON object that `--json` prints."""


def emit(result: Printable, lines: Iterable[str], *, as_json: bool) -> None:
    """Print a result to stdout, as one JSON object or as lines for people."""
    if as_json:
        print_json(result.payload())
    else:
        print_lines(lines)


def print_lines(lines: Iterable[str]) -> None:
    """Print lines to stdout."""
    _print("\n".join(lines))


def print_json(content: Mapping[str, Any]) -> None:
    """Print one JSON object to stdout."""
    _print(json.dumps(content, ensure_ascii=False, allow_nan=False))


def _print(text: str) -> None:
    if sys.stdout is None:
        raise StorageError("Results cannot be printed: standard output is closed.")
    if text:
        sys.stdout.write(text + "\n")
        sys.stdout.flush()


def refuse_if_incomplete(
    missing: Mapping[str, str],
    what: str = "not done",
    *,
    hint: str = "The rest is kept; run the same command again for these.",
    most: int | None = None,
) -> None:
    """Raise an error that names what is missing, the first `most` of it.

    Raises:
        IncompleteError: something is.
    """
    if not missing:
        return
    named = [f"{name}: {why}" for name, why in sorted(missing.items())][:most]
    rest = len(missing) - len(named)
    more = f"; and {rest} more." if rest else ""
    raise IncompleteError(f"{len(missing)} {what}: {'; '.join(named)}{more}", hint=hint)


def configure_logging(*, verbose: bool) -> None:
    """Send logs to stderr; the libraries underneath only when asked for."""
    logging.basicConfig(
        stream=sys.stderr,
        level=logging.INFO if verbose else logging.WARNING,
        format="%(levelname)s %(name)s: %(message)s",
        force=True,
    )
