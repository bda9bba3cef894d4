"""Candles in Parquet and CSV files of any origin, checked before use.

A file is named `venue_SYMBOL_interval.parquet`, or its symbol and interval are given. Columns: a
time (`open_ms`, `timestamp`, `time`, `date`, ...), then open, high, low, close, volume; further
columns are ignored. Whatever is wrong ends in one sentence that says what and where.
"""

import re
from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq

from vision_ai.domain import CHART_INTERVALS, Interval, Klines, parse_symbol
from vision_ai.errors import (
    CorruptFileError,
    IntervalError,
    KlinesError,
    StorageError,
)

MOST_ROWS = 20_000_000
"""Forty years of 1m candles; a file that claims more is not read into memory."""

MOST_BYTES = 2**31
"""Largest CSV file that is read."""

IMPORTED = "imported"
"""Venue of a file whose name tells none."""

TIME_COLUMNS = (
    "open_ms", "open_time", "opentime", "timestamp", "time", "datetime", "date", "start", "ts",
    "unix",
)  # fmt: skip
VALUE_COLUMNS = ("open", "high", "low", "close", "volume")

_NAME = re.compile(
    r"(?:(?P<venue>[A-Za-z0-9.-]{1,60})_)?(?P<symbol>[A-Z0-9]{2,30})_(?P<interval>1m|5m|15m|1h)\Z"
)
_ENOUGH_STEPS = 20
"""Candles from which on a file shows how far apart they usually are."""
_WITHOUT_HEADER = re.compile(rb"\s*\d{10,19}(\s*,\s*-?[\d.eE+-]+){5}")

# Times later than 1973 in each unit do not overlap: 1e8 s, 1e11 ms, 1e14 us, 1e17 ns.
_UNITS = ((1e17, 1e-6), (1e14, 1e-3), (1e11, 1.0), (0.0, 1e3))


@dataclass(frozen=True)
class FileName:
    """What the name of a candle file tells; empty text and None where it tells nothing."""

    venue: str
    symbol: str
    interval: Interval | None

    @property
    def category(self) -> str:
        """Bybit's category that such candles belong to."""
        return "spot" if self.venue.endswith("spot") else "linear"


def parse_name(path: Path) -> FileName:
    """Read venue, symbol and interval from a file name.

    >>> parse_name(Path("bybit-linear_BTCUSDT_15m.parquet"))
    FileName(venue='bybit-linear', symbol='BTCUSDT', interval=<Interval.M15: '15m'>)
    """
    match = _NAME.match(path.stem)
    if not match:
        return FileName("", "", None)
    return FileName(match["venue"] or "", match["symbol"], Interval(match["interval"]))


def candle_files(folder: Path) -> list[Path]:
    """Files in `folder` whose names are those of candle files, in order of name.

    Raises:
        KlinesError: no such folder, or no candle file in it.
    """
    if not folder.is_dir():
        raise KlinesError(f"{folder} is no folder.", hint="Name a folder of candle files.")
    files = [path for path in table_files(folder) if parse_name(path).interval]
    if not files:
        raise KlinesError(
            f"{folder} holds no candles: expected files like bybit-linear_BTCUSDT_15m.parquet.",
            hint="Check the folder, or give one file with --symbol and --interval.",
        )
    return files


def table_files(folder: Path) -> list[Path]:
    """Parquet and CSV files in `folder`, whatever their names, in order of name."""
    paths = sorted(folder.iterdir())
    return [path for path in paths if path.suffix in {".parquet", ".csv"} and path.is_file()]


def read_folder(
    folder: Path,
    *,
    symbols: Container[str] = (),
    intervals: Sequence[Interval] = CHART_INTERVALS,
) -> Iterator[tuple[str, Klines]]:
    """Venue and candles of each file at each interval, one file in memory at a time.

    Finer candles are resampled; a file of coarser ones is passed over.

    Args:
        folder: of candle files.
        symbols: only these; all where empty.
        intervals: candle lengths.

    Raises:
        KlinesError: no candle file, or candles that break the rules.
        CorruptFileError: a file is damaged.
    """
    for path in candle_files(folder):
        name = parse_name(path)
        if symbols and name.symbol not in symbols:
            continue
        stored_ms = name.interval.ms if name.interval else 1
        made_of_it = [interval for interval in intervals if interval.ms % stored_ms == 0]
        if made_of_it:
            klines = read_file(path)
            for interval in made_of_it:
                yield name.venue or IMPORTED, klines.resample(interval)


def read_file(path: Path, symbol: str = "", interval: Interval | None = None) -> Klines:
    """Read the candles of one Parquet or CSV file.

    Args:
        path: the file.
        symbol: overrides the file name's.
        interval: overrides the file name's; without either, the commonest step of the times.

    Raises:
        KlinesError: no such file, no symbol, a column is missing, or bad candles.
        CorruptFileError: the file is truncated or of another format.
        SymbolError: the symbol is not valid.
        StorageError: the system refuses to read it.
    """
    if not path.is_file():
        raise KlinesError(f"{path} is no file.", hint="Check the path.")
    name = parse_name(path)
    symbol = symbol or name.symbol
    if not symbol:
        raise KlinesError(
            f"{path.name} does not say which symbol it holds.",
            hint="Add --symbol BTCUSDT, or name the file venue_SYMBOL_interval.parquet.",
        )
    symbol = parse_symbol(symbol)
    open_ms, bars = _columns(_table(path), path)
    try:
        return Klines(symbol, interval or name.interval or _step(open_ms, path), open_ms, bars)
    except KlinesError as error:
        raise KlinesError(f"{path.name}: {error.message}", hint=error.hint) from error


def refuse_coarser(klines: Klines, path: Path) -> None:
    """Candles of an hour under the name of 15m would be taken for mostly gaps.

    Raises:
        KlinesError: most candles lie further apart than their interval says.
    """
    if len(klines) < _ENOUGH_STEPS:
        return
    step = _usual_step(klines.open_ms)
    if step > klines.interval.ms:
        raise KlinesError(
            f"{path.name}: most candles are {step / 60_000:g} minutes apart: expected "
            f"{klines.interval}.",
            hint="Say their own interval with --interval, or in the file's name.",
        )


def _table(path: Path) -> pa.Table:
    try:
        return _csv(path) if path.suffix == ".csv" else _parquet(path)
    except (pa.ArrowException, UnicodeDecodeError) as error:
        raise CorruptFileError(
            f"{path} is damaged, or no {path.suffix.lstrip('.') or 'Parquet'} file: "
            f"{_first_line(error)}",
            hint="Get the file again, or delete it and fetch the candles.",
        ) from error
    except OSError as error:
        if error.errno is not None:
            raise StorageError(
                f"{path} cannot be read: {error.strerror}.", hint="Check who may read it."
            ) from error
        # Arrow reports a truncated file as an OSError without a number
        raise CorruptFileError(
            f"{path} is damaged: {_first_line(error)}",
            hint="Get the file again, or delete it and fetch the candles.",
        ) from error


def _first_line(error: Exception) -> str:
    return f"{str(error).splitlines()[0]:.120}".rstrip(".") + "."


def _parquet(path: Path) -> pa.Table:
    with pq.ParquetFile(path, page_checksum_verification=True) as file:
        _refuse_huge(path, file.metadata.num_rows)
        names = _needed_columns(file.schema_arrow.names, path)
        return file.read(columns=list(names.values())).rename_columns(list(names))


def _csv(path: Path) -> pa.Table:
    size = path.stat().st_size
    if size > MOST_BYTES:
        raise KlinesError(f"{path} has {size} bytes: expected at most {MOST_BYTES}.")
    with path.open("rb") as file:
        first = file.readline(10_000)
    if not first.strip():
        raise KlinesError(f"{path} is empty: expected a line of column names.")
    plain = ["open_ms", *VALUE_COLUMNS] if _WITHOUT_HEADER.match(first) else None
    if plain:  # the exchanges' own archives have no header
        plain += [f"extra{i}" for i in range(first.count(b",") + 1 - len(plain))]
    table = pa.csv.read_csv(path, read_options=pa.csv.ReadOptions(column_names=plain))
    _refuse_huge(path, table.num_rows)
    names = _needed_columns(table.column_names, path)
    return table.select(list(names.values())).rename_columns(list(names))


def _refuse_huge(path: Path, rows: int) -> None:
    if rows > MOST_ROWS:
        raise KlinesError(
            f"{path} claims {rows} candles: expected at most {MOST_ROWS}.",
            hint="Split the file by year.",
        )


def _needed_columns(names: list[str], path: Path) -> dict[str, str]:
    """Our names for the columns that are needed, and the file's own names for them."""
    by_plain = {name.strip().lower().replace(" ", "_"): name for name in reversed(names)}
    time = next((column for column in TIME_COLUMNS if column in by_plain), None)
    missing = [column for column in VALUE_COLUMNS if column not in by_plain]
    if time is None or missing:
        lacks = ", ".join([*(() if time else ("a time",)), *missing])
        raise KlinesError(
            f"{path.name} lacks {lacks}: its columns are {', '.join(map(str, names))[:120]}.",
            hint="Expected columns: open_ms, open, high, low, close, volume.",
        )
    columns = {"open_ms": by_plain[time], **{name: by_plain[name] for name in VALUE_COLUMNS}}
    twice = [name for name in columns.values() if names.count(name) > 1]
    if twice:
        raise KlinesError(
            f"{path.name} has more than one column named {twice[0]!r:.40}.",
            hint="Rename or drop the others.",
        )
    return columns


def _columns(table: pa.Table, path: Path) -> tuple[Any, Any]:
    try:
        open_ms = _times(table.column("open_ms"))
        values = [_floats(table.column(name)) for name in VALUE_COLUMNS]
    except (pa.ArrowException, OverflowError) as error:
        raise KlinesError(
            f"{path.name}: a value cannot be read as a number or a time: {_first_line(error)}",
            hint="Expected UTC times (ISO or epoch) and plain numbers.",
        ) from error
    return open_ms, np.column_stack(values)


def _floats(column: pa.ChunkedArray) -> Any:
    return pc.cast(column, pa.float64()).to_numpy()


def _times(column: pa.ChunkedArray) -> Any:
    """Epoch numbers of any unit, ISO text, dates and timestamps as UTC milliseconds."""
    if column.null_count:
        raise pa.ArrowInvalid("a time is missing")
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        column = pc.cast(column, pa.timestamp("ms", tz="UTC"))
    if pa.types.is_temporal(column.type):
        stamps = pc.cast(column, pa.timestamp("ms", tz=getattr(column.type, "tz", None)))
        return pc.cast(stamps, pa.int64()).to_numpy()
    numbers = pc.cast(column, pa.int64()).to_numpy()
    largest = float(np.abs(numbers).max(initial=0))
    factor = next(factor for floor, factor in _UNITS if largest >= floor)
    if factor >= 1:
        return numbers * int(factor)
    return numbers // round(1 / factor)


def _usual_step(open_ms: Any) -> int:
    """The commonest time between candles, in milliseconds; 0 where there are not two."""
    steps, counts = np.unique(np.diff(open_ms), return_counts=True)
    return int(steps[np.argmax(counts)]) if len(steps) else 0


def _step(open_ms: Any, path: Path) -> Interval:
    step = _usual_step(open_ms)
    for interval in Interval:
        if interval.ms == step:
            return interval
    raise IntervalError(
        f"{path.name}: candles are {step / 60_000:g} minutes apart: expected one of "
        f"{', '.join(Interval)}.",
        hint="Add --interval 15m, or resample the file.",
    )
