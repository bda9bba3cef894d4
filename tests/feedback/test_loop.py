import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.feedback.examples import AS_OF, H_MS, M15, flat, line, prediction, walk, with_candle
from vision_ai import checksummed_log, records, storage
from vision_ai import feedback_loop_cv as feedback
from vision_ai.config import FeedbackConfig, Paths
from vision_ai.domain import Horizon, Interval, Klines, parse_time
from vision_ai.errors import ExchangeUnavailableError, RateLimitedError, SymbolError
from vision_ai.feedback_loop_cv import CandleSpan

CONFIG = FeedbackConfig()
NOW = AS_OF + 7 * H_MS


def save(paths: Paths, *calls: records.Prediction) -> None:
    for call in calls:
        storage.write_document(paths.prediction(call.symbol, parse_time(call.as_of)), call)


def quiet(span: CandleSpan) -> Klines:
    """An exchange where nothing happens."""
    count = (span.end_ms - span.first_ms) // span.interval.ms
    return flat(count, span.first_ms, interval=span.interval, symbol=span.symbol)


def log_bytes(paths: Paths) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in paths.feedback_logs.glob("*")}


def test_each_horizon_gets_one_line_and_a_second_run_adds_none(tmp_path: Path) -> None:
    paths = Paths(tmp_path)
    save(paths, prediction())
    first = feedback.run(paths, quiet, CONFIG, NOW)
    assert [entry.horizon for entry in first.written] == [Horizon.H2, Horizon.H6]
    before = log_bytes(paths)
    second = feedback.run(paths, quiet, CONFIG, NOW + H_MS)
    assert (second.written, second.fetches) == ([], 0)
    assert log_bytes(paths) == before
    lines, bad = feedback.read_logs(paths)
    assert (lines, bad) == ([entry for entry in lines if entry.check], [])
    assert [entry.line for entry in lines] == [1, 2]


def test_a_horizon_that_is_not_over_is_not_asked_for(tmp_path: Path) -> None:
    paths = Paths(tmp_path)
    save(paths, prediction())
    assert feedback.run(paths, quiet, CONFIG, AS_OF + 2 * H_MS - 1).fetches == 0
    assert len(feedback.run(paths, quiet, CONFIG, AS_OF + 2 * H_MS).written) == 1
    assert len(feedback.run(paths, quiet, CONFIG, NOW).written) == 1


def test_passes_in_steps_write_what_one_pass_would_but_for_the_time(tmp_path: Path) -> None:
    def story(root: Path, clock: list[int]) -> list[tuple[object, ...]]:
        paths = Paths(root)
        save(paths, *(prediction(as_of_ms=AS_OF + i * H_MS) for i in range(5)))
        for now in clock:
            feedback.run(paths, quiet, CONFIG, now)
        lines, _ = feedback.read_logs(paths)
        return [(e.symbol, e.as_of, e.horizon, e.move, e.first, e.line) for e in lines]

    end = AS_OF + 12 * H_MS
    hourly = list(range(AS_OF, end + 1, H_MS))
    assert story(tmp_path / "a", hourly) == story(tmp_path / "b", [end])


def test_an_exchange_that_is_down_is_waited_for_without_end(tmp_path: Path) -> None:
    paths = Paths(tmp_path)
    save(paths, prediction())

    def down(span: CandleSpan) -> Klines:
        raise ExchangeUnavailableError("Bybit does not answer.")

    done = feedback.run(paths, down, CONFIG, AS_OF + 1000 * H_MS)
    assert [entry.reason for entry in done.waiting] == ["Bybit does not answer."] * 2
    assert done.written == []


def test_a_delisted_symbol_waits_and_expires(tmp_path: Path) -> None:
    paths = Paths(tmp_path)
    save(paths, prediction())

    def delisted(span: CandleSpan) -> Klines:
        raise SymbolError("BTCUSDT is not listed.")

    assert len(feedback.run(paths, delisted, CONFIG, NOW).waiting) == 2
    done = feedback.run(paths, delisted, CONFIG, AS_OF + 100 * H_MS)
    assert [entry.success for entry in done.written] == [None, None]
    assert all("not listed" in entry.reason for entry in done.written)


def test_minutes_are_asked_for_only_inside_the_candle_that_needs_them(tmp_path: Path) -> None:
    paths = Paths(tmp_path)
    save(paths, prediction())
    asked: list[CandleSpan] = []

    def wild(span: CandleSpan) -> Klines:
        asked.append(span)
        if span.interval is Interval.M15:
            return with_candle(quiet(span), 3, (100, 103, 97, 100))
        klines = with_candle(quiet(span), 2, (100, 103, 100, 100))
        return with_candle(klines, 9, (100, 100, 97, 100))

    done = feedback.run(paths, wild, CONFIG, NOW)
    assert [entry.first for entry in done.written] == ["target", "target"]
    assert [entry.resolved_on for entry in done.written] == ["1m", "1m"]
    assert [(s.interval, s.first_ms, s.end_ms) for s in asked[1:]] == [
        (Interval.M1, AS_OF + 2 * M15, AS_OF + 3 * M15)
    ]


@pytest.mark.parametrize(
    ("error", "written"), [(RateLimitedError("slow down"), 0), (SymbolError("no minutes"), 2)]
)
def test_minutes_that_cannot_be_had(tmp_path: Path, error: Exception, written: int) -> None:
    paths = Paths(tmp_path)
    save(paths, prediction())

    def source(span: CandleSpan) -> Klines:
        if span.interval is Interval.M1:
            raise error
        return with_candle(quiet(span), 3, (100, 103, 97, 100))

    done = feedback.run(paths, source, CONFIG, NOW)
    assert len(done.written) == written
    assert all(entry.first == "ambiguous" for entry in done.written)


def test_a_damaged_prediction_is_named_and_stops_nothing(tmp_path: Path) -> None:
    paths = Paths(tmp_path)
    save(paths, prediction(), prediction(symbol="ETHUSDT"))
    torn = paths.prediction("ETHUSDT", AS_OF)
    torn.write_bytes(torn.read_bytes()[:200])
    moved = paths.prediction("XRPUSDT", AS_OF)
    moved.write_bytes(paths.prediction("BTCUSDT", AS_OF).read_bytes())
    done = feedback.run(paths, quiet, CONFIG, NOW)
    assert len(done.written) == 2
    assert [("ETHUSDT" in text, "XRPUSDT" in text) for text in done.damaged] == [
        (True, False),
        (False, True),
    ]


def logged(root: Path) -> tuple[Paths, Path, list[bytes]]:
    paths = Paths(root)
    save(paths, prediction())
    feedback.run(paths, quiet, CONFIG, NOW)
    path = paths.feedback("BTCUSDT", AS_OF)
    return paths, path, path.read_bytes().splitlines(keepends=True)


def swapped(lines: list[bytes]) -> bytes:
    return lines[1] + lines[0]


def resealed_elsewhere(lines: list[bytes]) -> bytes:
    content = json.loads(lines[0]) | {"symbol": "ETHUSDT"}
    strange = records.Feedback.model_validate(content)
    return checksummed_log._add_checksum(strange, 1).model_dump_json().encode() + b"\n" + lines[1]


@pytest.mark.parametrize(
    ("damage", "reasons"),
    [
        (lambda lines: lines[0] + lines[1][:100], ["truncated"]),
        (lambda lines: lines[0] + lines[0] + lines[1], ["out of place", "out of place"]),
        (swapped, ["out of place", "out of place"]),
        (lambda lines: lines[0].replace(b"false", b"true ", 1) + lines[1], ["edited"]),
        (lambda lines: lines[0].replace(b'"move":0.0', b'"move":0.5') + lines[1], ["edited"]),
        (lambda lines: b"\xff\xfe\x00\n" + lines[1], ["truncated"]),
        (lambda lines: b"[" * 20_000 + b"\n" + lines[1], ["truncated"]),
        (lambda lines: b"[1]\n" + lines[1], ["breaks the form"]),
        (lambda lines: lines[0].replace(b'"v":1', b'"v":9') + lines[1], ["breaks the form"]),
        (lambda lines: b"\n" + b"".join(lines), ["out of place", "out of place"]),
        (resealed_elsewhere, ["belongs to ETHUSDT"]),
    ],
)
def test_damage_is_named_kept_aside_and_never_counted(tmp_path: Path, damage, reasons) -> None:
    paths, path, whole = logged(tmp_path)
    path.write_bytes(damage(whole))
    before = path.read_bytes()
    _, bad = feedback.read_logs(paths)
    assert [reason in entry.reason for reason, entry in zip(reasons, bad, strict=True)] == [
        True
    ] * len(reasons)
    done = feedback.run(paths, quiet, CONFIG, NOW)
    assert done.bad == bad
    assert path.read_bytes().startswith(before)  # nothing is dropped
    lines, still = feedback.read_logs(paths)
    assert sorted(entry.horizon for entry in lines) == [Horizon.H2, Horizon.H6]
    assert still == bad
    assert feedback.run(paths, quiet, CONFIG, NOW).written == []


def test_a_line_that_repeats_another_in_its_own_place_is_named(tmp_path: Path) -> None:
    path = tmp_path / "BTCUSDT_20250615_1515.jsonl"
    for number in (1, 2):
        sealed = checksummed_log._add_checksum(line(), number)
        with path.open("ab") as log:
            log.write(sealed.model_dump_json().encode() + b"\n")
    lines, bad = checksummed_log.read(path, records.Feedback, feedback.key)
    assert len(lines) == 1
    assert [entry.reason for entry in bad] == ["repeats line 1"]


@settings(max_examples=50, deadline=None)
@given(cut=st.integers(1, 2000), flip=st.integers(0, 10_000))
def test_no_flipped_byte_is_counted(tmp_path_factory, cut: int, flip: int) -> None:
    """Whatever byte of a log changes, every line that is still counted is one that was written."""
    paths, path, _ = logged(tmp_path_factory.mktemp("log"))
    written, _ = feedback.read_logs(paths)
    content = bytearray(path.read_bytes())
    content[flip % len(content)] ^= 1 + cut % 255
    path.write_bytes(content)
    lines, _ = feedback.read_logs(paths)
    assert all(entry in written for entry in lines)


STORY = """
import sys, time
from pathlib import Path
from tests.feedback.test_loop import CONFIG, quiet
from vision_ai import feedback_loop_cv as feedback
from vision_ai.config import Paths
print("ready", flush=True)
sys.stdin.readline()
done = feedback.run(Paths(Path(sys.argv[1])), quiet, CONFIG, int(sys.argv[2]))
print(len(done.written), flush=True)
"""


def start(root: Path, now: int) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", STORY, str(root), str(now)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def go(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()


def crowd(paths: Paths, count: int) -> None:
    save(paths, *(prediction(as_of_ms=AS_OF + i * M15) for i in range(count)))


def test_two_processes_at_once_write_each_line_once(tmp_path: Path) -> None:
    paths = Paths(tmp_path)
    crowd(paths, 60)
    now = AS_OF + 60 * H_MS
    both = [start(tmp_path, now) for _ in range(2)]
    for process in both:
        go(process)
    written = [int(process.communicate(timeout=60)[0]) for process in both]
    assert sum(written) == 120
    lines, bad = feedback.read_logs(paths)
    assert (len(lines), bad) == (120, [])


@pytest.mark.slow
def test_kills_at_any_instant_lose_nothing_and_change_no_line(tmp_path: Path) -> None:
    count = 400
    now = AS_OF + 190 * H_MS
    calm = Paths(tmp_path / "calm")
    crowd(calm, count)
    feedback.run(calm, quiet, CONFIG, now)
    paths = Paths(tmp_path / "killed")
    crowd(paths, count)
    rng = random.Random(0)
    kills = 0
    while kills < 24:
        before = log_bytes(paths)
        process = start(paths.root, now)
        go(process)
        time.sleep(rng.uniform(0, 0.16 * (count - len(before)) / count))
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()
        after = log_bytes(paths)
        assert all(after[name].startswith(content) for name, content in before.items())
        assert len(after) < count, "the kills must come before the work is done"
        kills += 1
    feedback.run(paths, quiet, CONFIG, now)
    lines, _ = feedback.read_logs(paths)
    expected, _ = feedback.read_logs(calm)
    placeless = [
        [entry.model_copy(update={"line": 0, "check": ""}) for entry in found]
        for found in (lines, expected)
    ]
    assert placeless[0] == placeless[1]


@given(cut=st.integers(1, 900))
@settings(max_examples=50, deadline=None)
def test_a_write_that_stops_anywhere_is_finished_by_the_next(tmp_path_factory, cut: int) -> None:
    """A kill inside the write itself, at each byte of a line."""
    paths, path, whole = logged(tmp_path_factory.mktemp("torn"))
    cut = min(cut, len(whole[1]))
    path.write_bytes(whole[0] + whole[1][:-cut])
    feedback.run(paths, quiet, CONFIG, NOW)
    lines, bad = feedback.read_logs(paths)
    assert [entry.horizon for entry in lines] == [Horizon.H2, Horizon.H6]
    assert len(bad) == (0 if cut in (1, len(whole[1])) else 1)
    assert path.read_bytes().startswith(whole[0] + whole[1][:-cut])


def test_pending_counts_a_prediction_once_and_skips_what_is_logged() -> None:
    call = prediction()
    assert len(feedback.find_pending([call, call], [], NOW)) == 2
    assert len(feedback.find_pending([call], [line(horizon=Horizon.H2)], NOW)) == 1
    assert feedback.find_pending([call], [], AS_OF) == []


def test_spans_of_one_market_join_and_those_far_apart_do_not() -> None:
    near = [prediction(as_of_ms=AS_OF + i * H_MS) for i in range(10)]
    far = prediction(as_of_ms=AS_OF + 1000 * H_MS)
    other = prediction(symbol="ETHUSDT")
    made_up = prediction(venue="simulated")
    outcomes = feedback.find_pending([*near, far, other, made_up], [], AS_OF + 2000 * H_MS)
    batches = feedback.plan(outcomes, CONFIG)
    assert len(batches) == 3
    assert sum(len(batch.outcomes) for batch in batches) == len(outcomes)
    for batch in batches:
        assert all(batch.span.first_ms < outcome.as_of_ms for outcome in batch.outcomes)
        assert all(batch.span.end_ms >= outcome.end_ms for outcome in batch.outcomes)


def test_made_up_candles_are_kept_apart_from_real_ones() -> None:
    real, made_up = prediction(), prediction(venue="simulated", as_of_ms=AS_OF + M15)
    batches = feedback.plan(feedback.find_pending([real, made_up], [], NOW), CONFIG)
    assert [batch.span.venue for batch in batches] == ["bybit-linear", "simulated"]


@pytest.mark.slow
def test_planning_ten_thousand_takes_one_fetch_per_symbol() -> None:
    calls = [
        prediction(symbol=f"S{i}USDT", as_of_ms=AS_OF + hour * H_MS)
        for i in range(50)
        for hour in range(200)
    ]
    now = AS_OF + 300 * H_MS
    batches = feedback.plan(feedback.find_pending(calls, [], now), CONFIG)
    assert len(batches) == 50
    klines = walk(900, AS_OF - M15, 1)
    closes = klines.bars[np.arange(200) * 4, 3]
    for hour, outcome in enumerate(batches[0].outcomes[::2]):
        call = prediction(as_of_ms=outcome.as_of_ms, close=float(closes[hour]))
        result = feedback.resolve(call, outcome.horizon, klines, None, CONFIG, now)
        assert isinstance(result, records.Feedback)
        assert result.move is not None
