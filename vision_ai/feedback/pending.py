"""Which outcomes have to be resolved, and which candles that takes; reads no file, no network."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property

from vision_ai.config import FeedbackConfig
from vision_ai.domain import CHART_INTERVALS, HORIZONS, Horizon, Interval, iso, parse_time
from vision_ai.records import Feedback, IntervalReading, Prediction

Key = tuple[str, str, Horizon]
"""Symbol, as-of time and horizon: what makes a line of the logs unique."""

JOIN_MS = 24 * 3_600_000
"""Spans of one symbol closer than this are fetched as one: a day is less than a page of candles."""

ATR_CANDLES = 14
"""Candles whose true range is averaged where the target is a multiple of it."""


def key(line: Feedback) -> Key:
    """What makes a line of the logs unique."""
    return line.symbol, line.as_of, line.horizon


@dataclass(frozen=True)
class WaitingOutcome:
    """A horizon that cannot be resolved yet, and why; the next pass tries again."""

    symbol: str
    as_of: str
    horizon: Horizon
    reason: str


@dataclass(frozen=True)
class PendingOutcome:
    """One horizon of one prediction that has no line in the logs."""

    prediction: Prediction
    horizon: Horizon

    @property
    def key(self) -> Key:
        """What makes it unique."""
        return self.prediction.symbol, self.prediction.as_of, self.horizon

    @cached_property
    def as_of_ms(self) -> int:
        """When the prediction was made; its outcome starts here."""
        return parse_time(self.prediction.as_of)

    @cached_property
    def end_ms(self) -> int:
        """When the outcome is complete."""
        return self.as_of_ms + self.horizon.ms

    @property
    def lead(self) -> IntervalReading | None:
        """The reading whose setup and bands the prediction repeats; None if it is absent."""
        return self.prediction.intervals.get(self.prediction.lead_interval)

    @cached_property
    def lead_end_ms(self) -> int:
        """When the leading chart's last candle closed: bands count from there.

        A 1h chart may end up to 45 minutes before `as_of`.
        """
        if self.lead is None:
            return self.as_of_ms
        return min(_end_ms(self.lead), self.as_of_ms)

    @cached_property
    def entry(self) -> float | None:
        """Price at `as_of`: the last close of the chart that ends there, else of the leading one.

        None for a bare picture, which has no price scale.
        """
        readings = self.prediction.intervals
        for interval in CHART_INTERVALS:
            reading = readings.get(interval)
            if reading is not None and _end_ms(reading) == self.as_of_ms:
                return reading.last_close
        return self.lead.last_close if self.lead else None

    def wait(self, reason: str) -> WaitingOutcome:
        """Leave it for a later pass."""
        return WaitingOutcome(self.prediction.symbol, self.prediction.as_of, self.horizon, reason)


def _end_ms(reading: IntervalReading) -> int:
    return parse_time(reading.last_candle) + reading.interval.ms


def find_pending(
    predictions: Iterable[Prediction], logs: Iterable[Feedback], now_ms: int
) -> list[PendingOutcome]:
    """List the horizons that are complete at `now_ms` and have no line yet, oldest first.

    Args:
        predictions: any predictions; the same one given twice counts once.
        logs: intact lines of the logs.
        now_ms: the clock, UTC milliseconds.
    """
    done = {key(line) for line in logs}
    found: dict[Key, PendingOutcome] = {}
    for prediction in predictions:
        for horizon in HORIZONS:
            outcome = PendingOutcome(prediction, horizon)
            if outcome.key not in done and outcome.end_ms <= now_ms:
                found.setdefault(outcome.key, outcome)
    return sorted(found.values(), key=lambda outcome: (outcome.end_ms, outcome.key))


@dataclass(frozen=True)
class CandleSpan:
    """Candles of one market that are fetched in one go: open times in [first_ms, end_ms)."""

    venue: str
    symbol: str
    interval: Interval
    first_ms: int
    end_ms: int

    def __str__(self) -> str:
        return f"{self.symbol} {self.interval} from {iso(self.first_ms)} to {iso(self.end_ms)}"


@dataclass(frozen=True)
class FetchBatch:
    """A span of candles and the outcomes that need it."""

    span: CandleSpan
    outcomes: tuple[PendingOutcome, ...]


def plan(outcomes: Iterable[PendingOutcome], config: FeedbackConfig) -> list[FetchBatch]:
    """Join pending outcomes into one fetch of 15m candles per market and span of time.

    Spans of one market that touch, or lie less than a day apart, become one, so ten thousand
    hourly predictions of fifty symbols take fifty fetches.
    """
    markets: dict[tuple[str, str], list[PendingOutcome]] = {}
    for outcome in outcomes:
        market = outcome.prediction.venue, outcome.prediction.symbol
        markets.setdefault(market, []).append(outcome)
    return [batch for market in sorted(markets) for batch in _batches(markets[market], config)]


def _batches(outcomes: list[PendingOutcome], config: FeedbackConfig) -> Iterator[FetchBatch]:
    run: list[PendingOutcome] = []
    end_ms = 0
    for outcome in sorted(outcomes, key=lambda outcome: (outcome.as_of_ms, outcome.end_ms)):
        if run and first_needed_ms(outcome, config) > end_ms + JOIN_MS:
            yield _batch(run, end_ms, config)
            run, end_ms = [], 0
        run.append(outcome)
        end_ms = max(end_ms, outcome.end_ms)
    if run:
        yield _batch(run, end_ms, config)


def _batch(outcomes: list[PendingOutcome], end_ms: int, config: FeedbackConfig) -> FetchBatch:
    prediction = outcomes[0].prediction
    first_ms = min(first_needed_ms(outcome, config) for outcome in outcomes)
    span = CandleSpan(prediction.venue, prediction.symbol, Interval.M15, first_ms, end_ms)
    return FetchBatch(span, tuple(outcomes))


def first_needed_ms(outcome: PendingOutcome, config: FeedbackConfig) -> int:
    """Open time of the first 15m candle that resolving takes.

    That is the candle before the outcome, whose close must agree with the prediction's, or the
    history of the true range where targets are multiples of it.
    """
    step = Interval.M15.ms
    first_ms = outcome.as_of_ms - step
    if config.atr_multiple is not None:
        lead_ms = outcome.prediction.lead_interval.ms
        first_ms = outcome.lead_end_ms - (ATR_CANDLES + 1) * lead_ms
    return first_ms // step * step
