"""The hourly cycle in memory, without an exchange and without a disk.

Predictions, outcomes and decisions come from the functions that the live commands call. Arms that
differ only in whether they learn run side by side; a chart is embedded once for all of them.
"""

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from vision_ai import feedback_loop_cv
from vision_ai.domain import CHART_INTERVALS, CLOSE, Horizon, Interval, Klines, iso
from vision_ai.errors import KlinesError
from vision_ai.evaluation.trades import TradeCall
from vision_ai.feedback.challenge import ALPHA
from vision_ai.feedback_loop_cv import CandleSpan, FeedbackPass, UpdateStep
from vision_ai.market.replay import listing
from vision_ai.measures.indicators import average_true_range
from vision_ai.measures.purge import PointInTimeFilter
from vision_ai.model import registry
from vision_ai.pipeline import batch, candles, decide
from vision_ai.pipeline.batch import Windows
from vision_ai.pipeline.learning import reweight
from vision_ai.pipeline.reader import Reader
from vision_ai.pipeline.workspace import Workspace
from vision_ai.records import Decision, Feedback, Prediction
from vision_ai.trader_decision import CvReading, usable

WITHOUT = CvReading(None, "it is left out of this arm")
"""What decides where the model's rules are switched off."""

REPLAYED = PointInTimeFilter(is_replay=True)
"""The past is replayed: no label and no outcome counts that was given or known later."""


@dataclass(frozen=True)
class SymbolCandles:
    """The candles of one symbol: the finest for trades, quarter hours for charts."""

    venue: str
    finest: Klines
    bars_15m: Klines

    @classmethod
    def of(cls, venue: str, klines: Klines) -> "SymbolCandles":
        """Make the quarter hours as an exchange shows them.

        Raises:
            IntervalError: the candles are coarser than that.
        """
        bars_15m = klines.resample(Interval.M15)
        if klines.interval is not Interval.M15:
            exchange_view = listing.Market(klines.symbol, "linear", lambda: klines)
            known = exchange_view.candles(Interval.M15.bybit, int(klines.close_ms[-1]))
            bars_15m = Klines(klines.symbol, Interval.M15, known.open_ms, known.bars)
            bars_15m = bars_15m.until(int(klines.close_ms[-1]))
        return cls(venue, klines, bars_15m)

    def newest(self, now_ms: int, history_ms: int) -> Klines:
        """The newest 15m candles that were closed at `now_ms`."""
        open_ms = self.bars_15m.open_ms
        low, high = np.searchsorted(open_ms, [now_ms - history_ms, now_ms - Interval.M15.ms + 1])
        return self.bars_15m[int(low) : int(high)]

    def between(self, span: CandleSpan, now_ms: int) -> Klines:
        """Candles of a span that are closed at `now_ms`; none where only coarser ones are kept."""
        if span.interval.ms < self.finest.interval.ms:
            return Klines.empty(span.symbol, span.interval)
        source = self.bars_15m if span.interval is Interval.M15 else self.finest
        end_ms = min(span.end_ms, now_ms)
        step = source.interval.ms
        low, high = np.searchsorted(source.open_ms, [span.first_ms, end_ms - step + 1])
        return source[int(low) : max(int(low), int(high))].resample(span.interval)


@dataclass(frozen=True, eq=False)
class CachingReader(Reader):
    """A reader that embeds no chart twice, also not for another version of the same tower."""

    memory: dict[bytes, NDArray[np.float32]] = field(default_factory=dict)

    def vectors(self, bars: NDArray[np.float64]) -> NDArray[np.float32]:
        """Vectors of charts (n, 96, 5)."""
        tower = self.model.manifest.files.get("image.onnx", self.model.version).encode()
        keys = [hashlib.blake2b(tower + chart.tobytes(), digest_size=16).digest() for chart in bars]
        new = [row for row, key in enumerate(keys) if key not in self.memory]
        if new:
            self.memory.update(
                zip([keys[row] for row in new], super().vectors(bars[new]), strict=True)
            )
        return np.stack([self.memory[key] for key in keys])


@dataclass
class Arm:
    """Predictions, outcomes and decisions of one run of the loop.

    Attributes:
        name: `learning` or `frozen`.
        workspace: settings, and where its model versions are.
        reader: its model now.
        learns: whether the gate is asked.
        predictions: all of them, in order.
        lines: every outcome, in the order of resolving; without line number and checksum.
        decisions: by whether the model's rules counted.
        calls: decisions to join in a direction, likewise.
        versions: models that came into use, with the time.
    """

    name: str
    workspace: Workspace
    reader: Reader
    learns: bool
    predictions: list[Prediction] = field(default_factory=list)
    lines: list[Feedback] = field(default_factory=list)
    decisions: dict[bool, list[Decision]] = field(default_factory=lambda: {True: [], False: []})
    calls: dict[bool, list[TradeCall]] = field(default_factory=lambda: {True: [], False: []})
    versions: list[tuple[str, str]] = field(default_factory=list)
    newest: dict[str, Prediction] = field(default_factory=dict)
    pending: list[Prediction] = field(default_factory=list)
    recent: list[Feedback] = field(default_factory=list)

    def add_prediction(self, prediction: Prediction) -> None:
        """Keep a prediction; an earlier one of the same candle is kept instead."""
        before = self.newest.get(prediction.symbol)
        if before is None or before.as_of != prediction.as_of:
            self.newest[prediction.symbol] = prediction
            self.predictions.append(prediction)
            self.pending.append(prediction)

    def resolve(self, source: feedback_loop_cv.Source, now_ms: int) -> None:
        """Resolve the horizons that are over at `now_ms`."""
        dues = feedback_loop_cv.find_pending(self.pending, self.recent, now_ms)
        settings = self.workspace.config.feedback
        for results in feedback_loop_cv.resolve_pending(
            dues, source, settings, now_ms, FeedbackPass()
        ):
            self.recent += [result for result in results if isinstance(result, Feedback)]
        keys = [(line.symbol, line.as_of) for line in self.recent]
        finished = {at for at in keys if keys.count(at) == len(Horizon)}
        self.lines += [line for line in self.recent if (line.symbol, line.as_of) in finished]
        self.recent = [line for line in self.recent if (line.symbol, line.as_of) not in finished]
        self.pending = [p for p in self.pending if (p.symbol, p.as_of) not in finished]

    def update(self, now_ms: int) -> bool:
        """Ask the gate; whether another version came into use."""
        champion = reweight.champion(self.workspace, now_ms)
        step = UpdateStep(self.workspace.paths, now_ms, champion, Horizon.H6, ALPHA)
        step.take(self.predictions, [*self.lines, *self.recent])
        version = registry.resolve(self.workspace.paths).version
        if version == champion.version:
            return False
        self.versions.append((iso(now_ms), version))
        return True


@dataclass
class MemoryCycle:
    """The steps of an hour for several arms at once.

    Attributes:
        markets: by symbol.
        arms: each with a model of its own.
        open_reader: opens the current model of an arm's workspace.
    """

    markets: Mapping[str, SymbolCandles]
    arms: Sequence[Arm]
    open_reader: Callable[[Workspace], Reader]
    windows: Windows = field(default_factory=dict)

    def scan(self, now_ms: int) -> Sequence[str]:
        """Predict every symbol that has whole charts."""
        self.windows = {}
        for symbol, market in sorted(self.markets.items()):
            try:
                self.windows[symbol] = batch.windows_of(
                    self._newest(market, now_ms), now_ms, CHART_INTERVALS
                )
            except KlinesError:
                continue
        predictions: dict[str, list[Prediction]] = {}
        for arm in self.arms:
            version = arm.reader.model.version
            if version not in predictions:
                predictions[version] = list(self._predict(arm, now_ms))
            for prediction in predictions[version]:
                arm.add_prediction(prediction)
        return sorted(self.windows)

    def resolve_outcomes(self, now_ms: int) -> None:
        """Resolve every horizon that is over."""
        for arm in self.arms:
            arm.resolve(lambda span: self.markets[span.symbol].between(span, now_ms), now_ms)

    def learn(self, now_ms: int) -> None:
        """Ask the gate in each arm that learns."""
        for arm in self.arms:
            if arm.learns and arm.update(now_ms):
                arm.reader = self.open_reader(arm.workspace)

    def decide(self, symbol: str, now_ms: int) -> None:
        """Decide with the model's rules and without."""
        market, settings = self.markets[symbol], self.arms[0].workspace
        klines = self._newest(market, now_ms)
        plain = decide.weigh(settings, klines, now_ms, cv=WITHOUT)
        for arm in self.arms:
            config = arm.workspace.config.decision
            reading = usable(arm.newest[symbol], config, now_ms)
            ruled = decide.weigh(arm.workspace, klines, now_ms, cv=reading)
            for with_cv, ctx in ((True, ruled), (False, plain)):
                decision = Decision.of(ctx, now_ms)
                arm.decisions[with_cv].append(decision)
                call = self._call(decision, reading, now_ms, arm)
                if call is not None:
                    arm.calls[with_cv].append(call)

    def _newest(self, market: SymbolCandles, now_ms: int) -> Klines:
        return market.newest(now_ms, candles.history_ms(self.arms[0].workspace))

    def _predict(self, arm: Arm, now_ms: int) -> Iterable[Prediction]:
        listed_neighbors = arm.workspace.config.predict.shown
        for answer in batch.read_symbols(arm.reader, self.windows, eligibility=REPLAYED):
            venue = self.markets[answer.symbol].venue
            provenance = batch.provenance(arm.reader, venue, now_ms)
            yield answer.prediction(arm.reader, provenance, neighbor_count=listed_neighbors)

    def _call(
        self, decision: Decision, reading: CvReading, now_ms: int, arm: Arm
    ) -> TradeCall | None:
        """A decision to join, in the leading setup's direction; None without one."""
        prediction = reading.prediction
        if decision.decision != "join" or not isinstance(prediction, Prediction):
            return None
        if not prediction.direction.sign:
            return None
        settings = arm.workspace.config.feedback
        target, stop = settings.target, settings.stop
        if settings.atr_multiple is not None:
            lead = CHART_INTERVALS.index(prediction.lead_interval)
            bars = self.windows[decision.symbol][lead].bars
            size = (
                settings.atr_multiple * (average_true_range(bars) or 0.0) / float(bars[-1, CLOSE])
            )
            target, stop = size, size * settings.stop / settings.target
        return TradeCall(decision.symbol, now_ms, prediction.direction.sign, target, stop)
