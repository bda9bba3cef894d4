"""Everything that can go wrong, sorted by who has to act.

    VisionError                      carries `hint`: what to type or do next
    ├── InputError          exit 2   the caller corrects an argument, a setting or a file
    │   ├── ConfigError
    │   ├── SymbolError
    │   ├── IntervalError
    │   ├── KlinesError              candles that cannot be charted, or a file of them
    │   ├── ImageError               a picture that is no chart, or is damaged
    │   └── LeakError                an evaluation that would see what it is asked to predict
    ├── StateError          exit 3   artefacts on disk are missing, damaged or disagree
    │   ├── CorruptFileError
    │   ├── StaleIndexError          an index or a prediction made by another model or style
    │   ├── EmptyIndexError
    │   ├── MissingModelError
    │   └── StorageError             the system refuses to read or write a file
    ├── TransientError      exit 4   nobody; try again later
    │   ├── ExchangeUnavailableError
    │   └── RateLimitedError
    └── IncompleteError     exit 5   part of a job was done and kept; the text names the rest

Anything else that reaches the command line is a bug of ours and shows its traceback.
"""

from pathlib import Path


def install(extra: str) -> str:
    """What to type to get an extra of this package: here it is a clone, or it was installed.

    >>> "[train]'" in install("train")
    True
    """
    clone = (Path(__file__).parents[1] / "pyproject.toml").is_file()
    return f"Run: pip install {'-e ' if clone else ''}'{'.' if clone else 'vision-ai'}[{extra}]'"


class VisionError(Exception):
    """A failure that the program understands: one sentence, and what to do next."""

    exit_code = 1

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".strip()


class InputError(VisionError):
    """The caller corrects an argument, a setting or a file."""

    exit_code = 2


class ConfigError(InputError):
    """A setting is unknown, of the wrong type or out of range."""


def missing(what: str, extra: str, error: ImportError) -> InputError:
    """The error of a job whose extra is not installed."""
    return InputError(
        f"{what} needs a library that is not installed ({error.name}).", hint=install(extra)
    )


class SymbolError(InputError):
    """A symbol is not of the form `[A-Z0-9]{2,30}`, or the exchange does not list it."""


class IntervalError(InputError):
    """An interval that no chart is drawn for."""


class KlinesError(InputError):
    """Candles that break the rules of candles, or too few of them."""


class ImageError(InputError):
    """A picture that cannot be read as a candlestick chart."""


class LeakError(InputError):
    """A split whose parts share symbols or time: its figures would be too good to be true."""


class StateError(VisionError):
    """Artefacts on disk are missing, are damaged or disagree; the hint names the repair."""

    exit_code = 3


class CorruptFileError(StateError):
    """A file is truncated, damaged or of another format."""


class StaleIndexError(StateError):
    """An index or prediction was made by another model, style or data."""


class EmptyIndexError(StateError):
    """An index holds nothing that may be compared with the query."""


class MissingModelError(StateError):
    """No model of that version is installed here."""


class StorageError(StateError):
    """A file could not be read or written: full disk, missing right, read-only folder."""


class TransientError(VisionError):
    """Nobody has to act; the same call may go through later."""

    exit_code = 4


class ExchangeUnavailableError(TransientError):
    """The exchange cannot be reached, or answers with nonsense, after all retries."""


class RateLimitedError(TransientError):
    """The exchange asks us to slow down, after all retries."""


class IncompleteError(VisionError):
    """Part of the job was done and kept; the message names what is missing."""

    exit_code = 5
