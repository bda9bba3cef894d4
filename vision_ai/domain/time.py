"""Times: UTC integer milliseconds inside, ISO text at the edges."""

import datetime as dt

from vision_ai.errors import KlinesError

END_MS = 7_258_118_400_000
"""The year 2200: times from here on are units mistaken for each other, and hardly printable."""


def iso(ms: int) -> str:
    """Write UTC milliseconds as ISO text.

    >>> iso(1_750_000_500_000)
    '2025-06-15T15:15:00Z'
    """
    return dt.datetime.fromtimestamp(ms / 1000, dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def stamp(ms: int) -> str:
    """Write UTC milliseconds as the `YYYYMMDD_HHMM` of file names.

    >>> stamp(1_750_000_500_000)
    '20250615_1515'
    """
    return dt.datetime.fromtimestamp(ms / 1000, dt.UTC).strftime("%Y%m%d_%H%M")


def parse_time(text: str) -> int:
    """Read ISO text as UTC milliseconds; a time without a zone is taken as UTC.

    >>> parse_time("2025-06-15T15:15:00Z")
    1750000500000

    Raises:
        KlinesError: the text is no ISO time, or lies before 1970 or far ahead.
    """
    try:
        when = dt.datetime.fromisoformat(text.strip())
    except ValueError as error:
        raise KlinesError(
            f"Time {text[:40]!r} cannot be read: expected ISO 8601.",
            hint="Write it like 2025-06-15T12:00:00Z.",
        ) from error
    if when.tzinfo is None:
        when = when.replace(tzinfo=dt.UTC)
    ms = round(when.timestamp() * 1000)
    if not 0 <= ms < END_MS:
        raise KlinesError(
            f"Time {text[:40]!r} is out of range: expected one from {iso(0)} to {iso(END_MS)}.",
            hint="Write it like 2025-06-15T12:00:00Z.",
        )
    return ms
