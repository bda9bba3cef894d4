"""The loop in memory: markets cut at a time, charts embedded once, outcomes of one arm."""

from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("onnx", reason="the stand-in model is made with onnx")

from tests import simulated_hours, standin
from tests.feedback.examples import AS_OF, flat, prediction, walk, with_candle
from tests.simulated_hours import H_MS, START
from vision_ai.config import Config, FeedbackConfig, Paths
from vision_ai.domain import CLOSE, Direction, Horizon, Interval, Klines, Setup, iso
from vision_ai.errors import IntervalError
from vision_ai.feedback_loop_cv import CandleSpan, resolve
from vision_ai.measures.indicators import average_true_range
from vision_ai.model.embed import Embedder
from vision_ai.pipeline.backtest.memory import (
    REPLAYED,
    WITHOUT,
    Arm,
    CachingReader,
    MemoryCycle,
    SymbolCandles,
)
from vision_ai.pipeline.reader import Reader
from vision_ai.pipeline.workspace import Workspace
from vision_ai.records import Decision
from vision_ai.trader_decision import CvReading

M5, M15, H1 = Interval.M5, Interval.M15, Interval.H1
FIRST_MS = AS_OF // H_MS * H_MS - 10 * H_MS
FINE = walk(12 * 20, FIRST_MS, seed=3, interval=M5)

at_any_time = st.integers(-H_MS, 22 * H_MS).map(lambda offset: FIRST_MS + offset)


@pytest.fixture(scope="module")
def market() -> SymbolCandles:
    return SymbolCandles.of("simulated", FINE)


def rows(klines: Klines) -> list[tuple[int, ...]]:
    return [(int(at), *bar) for at, bar in zip(klines.open_ms, klines.bars.tolist(), strict=True)]


# Markets: what may be looked at, at a time.


def test_quarter_hours_are_made_of_the_finest_candles(market: SymbolCandles) -> None:
    assert market.finest is FINE
    assert market.bars_15m.interval is M15
    whole = FINE.resample(M15)
    assert market.bars_15m.open_ms.tolist() == whole.open_ms.tolist()
    assert np.array_equal(market.bars_15m.bars[:, :4], whole.bars[:, :4])
    assert np.allclose(market.bars_15m.bars[:, 4], whole.bars[:, 4])  # volume as it is listed
    opening = market.bars_15m.bars[0]
    three = FINE.bars[:3]
    assert opening[0] == three[0, 0]
    assert opening[1] == three[:, 1].max()
    assert opening[CLOSE] == three[2, CLOSE]


def test_quarter_hours_are_traded_as_they_are() -> None:
    coarse = walk(96, FIRST_MS, seed=1, interval=M15)
    assert rows(SymbolCandles.of("simulated", coarse).bars_15m) == rows(coarse)


def test_hours_are_too_coarse_to_trade() -> None:
    with pytest.raises(IntervalError):
        SymbolCandles.of("simulated", walk(96, FIRST_MS, seed=1, interval=H1))


@given(now_ms=at_any_time, history_h=st.integers(1, 30))
def test_the_newest_candles_are_those_closed_by_then(now_ms: int, history_h: int) -> None:
    market = SymbolCandles.of("simulated", FINE)
    found = market.newest(now_ms, history_h * H_MS)
    closed = market.bars_15m.close_ms <= now_ms
    recent = market.bars_15m.open_ms >= now_ms - history_h * H_MS
    assert found.open_ms.tolist() == market.bars_15m.open_ms[closed & recent].tolist()


@given(
    now_ms=at_any_time,
    first=at_any_time.map(lambda ms: ms // M15.ms * M15.ms),
    length=st.integers(0, 40),
    interval=st.sampled_from([M5, M15]),
)
def test_a_span_holds_only_candles_closed_by_then(
    now_ms: int, first: int, length: int, interval: Interval
) -> None:
    market = SymbolCandles.of("simulated", FINE)
    span = CandleSpan("simulated", FINE.symbol, interval, first, first + length * M15.ms)
    source = market.finest if interval is M5 else market.bars_15m
    inside = (source.open_ms >= first) & (source.close_ms <= min(span.end_ms, now_ms))
    assert rows(market.between(span, now_ms)) == [
        row for row, keep in zip(rows(source), inside, strict=True) if keep
    ]


def test_candles_finer_than_those_kept_are_none(market: SymbolCandles) -> None:
    span = CandleSpan("simulated", FINE.symbol, Interval.M1, FIRST_MS, FIRST_MS + H_MS)
    found = market.between(span, FIRST_MS + 10 * H_MS)
    assert (len(found), found.interval, found.symbol) == (0, Interval.M1, FINE.symbol)


def test_hours_of_a_span_are_made_of_whole_hours(market: SymbolCandles) -> None:
    span = CandleSpan("simulated", FINE.symbol, H1, FIRST_MS, FIRST_MS + 4 * H_MS)
    found = market.between(span, FIRST_MS + 3 * H_MS + 30 * 60_000)
    assert found.open_ms.tolist() == [FIRST_MS + n * H_MS for n in range(3)]
    assert found.bars[0, 1] == FINE.bars[:12, 1].max()


# The reader that embeds each chart once.


@dataclass
class CountingEmbedder:
    """Passes pictures on, and counts them."""

    inner: Embedder
    seen: list[int] = field(default_factory=list)

    def images(self, pictures: np.ndarray) -> np.ndarray:
        self.seen.append(len(pictures))
        return self.inner.images(pictures)


@pytest.fixture(scope="module")
def workspace(tmp_path_factory) -> Workspace:
    return simulated_hours.workspace(tmp_path_factory.mktemp("origin") / "data")


@pytest.fixture(scope="module")
def plain(workspace: Workspace) -> Reader:
    return Reader.open(workspace.config, workspace.paths)


@pytest.fixture
def caching(plain: Reader) -> CachingReader:
    return CachingReader(**{**vars(plain), "embedder": CountingEmbedder(plain.embedder)})


def charts(count: int, seed: int = 0) -> np.ndarray:
    fine = walk(96 + count, FIRST_MS, seed=seed, interval=M15)
    return np.stack([fine.bars[at : at + 96] for at in range(count)])


def test_a_chart_is_embedded_once_and_its_vector_is_the_plain_readers(
    plain: Reader, caching: CachingReader
) -> None:
    bars = charts(4)
    first = caching.vectors(bars)
    assert np.array_equal(first, plain.vectors(bars))
    assert np.array_equal(caching.vectors(bars[::-1]), first[::-1])
    assert caching.embedder.seen == [4]
    more = np.concatenate([bars[:2], charts(3, seed=9)])
    assert np.array_equal(caching.vectors(more)[:2], first[:2])
    assert caching.embedder.seen == [4, 3]
    assert len(caching.memory) == 7


def test_versions_with_one_tower_share_vectors_and_another_tower_does_not(
    caching: CachingReader,
) -> None:
    bars = charts(2)
    caching.vectors(bars)

    def version(name: str, tower: str) -> CachingReader:
        files = {**caching.model.manifest.files, "image.onnx": tower}
        manifest = caching.model.manifest.model_copy(update={"version": name, "files": files})
        return replace(caching, model=replace(caching.model, manifest=manifest))

    same = caching.model.manifest.files["image.onnx"]
    version("reweighted", same).vectors(bars)
    assert caching.embedder.seen == [2]
    version("trained", "0" * 64).vectors(bars)
    assert caching.embedder.seen == [2, 2]


# One arm: its predictions, and what followed them.


@pytest.fixture
def arm(tmp_path: Path) -> Arm:
    reader: Reader = None  # type: ignore[assignment]  # resolving asks no model
    return Arm("frozen", Workspace(Config(), Paths(tmp_path)), reader, learns=False)


def candles_after(at_ms: int, *, price: float = 100.0) -> Klines:
    """A market that stands near a price until it leaps an hour and a half later."""
    calm = flat(4 * 30, at_ms - 2 * H_MS, price=price)
    leap = int(np.searchsorted(calm.open_ms, at_ms + 90 * 60_000))
    return with_candle(calm, leap, [price, price * 1.05, price * 0.999, price * 1.04])


def resolved(arm: Arm, klines: Klines, now_ms: int) -> None:
    market = SymbolCandles.of("simulated", klines)
    arm.resolve(lambda span: market.between(span, now_ms), now_ms)


def test_of_one_candle_the_first_prediction_stays(arm: Arm) -> None:
    first = prediction(as_of_ms=AS_OF)
    arm.add_prediction(first)
    arm.add_prediction(prediction(as_of_ms=AS_OF, setup=Setup.TRAP, direction=Direction.SHORT))
    later = prediction(as_of_ms=AS_OF + M15.ms)
    arm.add_prediction(later)
    other = prediction(as_of_ms=AS_OF, symbol="ETHUSDT")
    arm.add_prediction(other)
    assert arm.predictions == arm.pending == [first, later, other]
    assert arm.newest == {"BTCUSDT": later, "ETHUSDT": other}


def test_an_outcome_is_resolved_when_its_horizon_is_over(arm: Arm) -> None:
    call, klines = prediction(as_of_ms=AS_OF), candles_after(AS_OF)
    arm.add_prediction(call)
    resolved(arm, klines, AS_OF + Horizon.H2.ms - 1)
    assert (arm.lines, arm.recent, arm.pending) == ([], [], [call])
    resolved(arm, klines, AS_OF + Horizon.H2.ms)
    assert [line.horizon for line in arm.recent] == [Horizon.H2]
    assert (arm.lines, arm.pending) == ([], [call])
    resolved(arm, klines, AS_OF + Horizon.H6.ms)
    assert [line.horizon for line in arm.lines] == [Horizon.H2, Horizon.H6]
    assert (arm.recent, arm.pending) == ([], [])
    assert all(line.success for line in arm.lines)
    before = list(arm.lines)
    resolved(arm, klines, AS_OF + 9 * H_MS)
    assert arm.lines == before


def test_lines_are_those_of_the_feedback_loop(arm: Arm) -> None:
    call, klines = prediction(as_of_ms=AS_OF), candles_after(AS_OF)
    arm.add_prediction(call)
    now_ms = AS_OF + Horizon.H6.ms
    resolved(arm, klines, now_ms)
    settings = arm.workspace.config.feedback
    expected = [resolve(call, horizon, klines, None, settings, now_ms) for horizon in Horizon]
    assert arm.lines == expected


def test_an_hour_that_is_worked_twice_adds_nothing(arm: Arm) -> None:
    klines, now_ms = candles_after(AS_OF), AS_OF + Horizon.H2.ms
    arm.add_prediction(prediction(as_of_ms=AS_OF))
    resolved(arm, klines, now_ms)
    first = list(arm.recent)
    resolved(arm, klines, now_ms)
    assert arm.recent == first


# Several arms at once.


@dataclass
class StubArm:
    """An arm whose gate always answers the same."""

    learns: bool
    promotes: bool
    workspace: str
    reader: str = "old"
    asked: list[int] = field(default_factory=list)

    def update(self, now_ms: int) -> bool:
        self.asked.append(now_ms)
        return self.promotes


def test_only_an_arm_that_learns_is_asked_and_reads_with_what_was_promoted() -> None:
    settings = [(False, True, "a"), (True, True, "b"), (True, False, "c")]
    arms = [StubArm(*each) for each in settings]
    cycle = MemoryCycle({}, arms, lambda workspace: f"new of {workspace}")  # type: ignore[arg-type]
    cycle.learn(START)
    assert [arm.asked for arm in arms] == [[], [START], [START]]
    assert [arm.reader for arm in arms] == ["old", "new of b", "old"]


@pytest.fixture(scope="module")
def worked(workspace: Workspace, plain: Reader) -> MemoryCycle:
    """One hour of two arms on a market with whole charts and one that began too late."""
    whole = simulated_hours.markets()[0]
    late = Klines("LATEUSDT", whole.interval, whole.open_ms[-60:].copy(), whole.bars[-60:].copy())
    markets = {k.symbol: SymbolCandles.of("simulated", k) for k in (whole, late)}
    reader = CachingReader(**vars(plain))
    arms = [Arm(name, workspace, reader, name == "learning") for name in ("frozen", "learning")]
    cycle = MemoryCycle(markets, arms, lambda _: reader)
    assert cycle.scan(START) == ["AAAUSDT"]
    cycle.decide("AAAUSDT", START)
    return cycle


def test_a_market_without_whole_charts_is_left_out(worked: MemoryCycle) -> None:
    assert set(worked.windows) == {"AAAUSDT"}
    for arm in worked.arms:
        assert [p.symbol for p in arm.predictions] == ["AAAUSDT"]


def test_a_prediction_says_what_made_it_and_is_the_same_in_arms_of_one_version(
    worked: MemoryCycle,
) -> None:
    frozen, learning = (arm.predictions[0] for arm in worked.arms)
    assert frozen == learning
    assert (frozen.model_version, frozen.venue) == (standin.VERSION, "simulated")
    assert frozen.as_of == frozen.created_at == iso(START)
    assert len(frozen.neighbors) <= worked.arms[0].workspace.config.predict.shown


def test_nothing_counts_that_was_known_later() -> None:
    assert REPLAYED.is_replay
    assert WITHOUT.prediction is None


def test_each_arm_decides_with_the_models_rules_and_without(worked: MemoryCycle) -> None:
    for arm in worked.arms:
        for with_cv in (True, False):
            (decision,) = arm.decisions[with_cv]
            assert (decision.symbol, decision.decided_at) == ("AAAUSDT", iso(START))
    ruled, bare = (worked.arms[0].decisions[with_cv][0] for with_cv in (True, False))
    assert not [name for name in bare.score_breakdown if name.startswith("cv_")]
    assert set(bare.score_breakdown) <= set(ruled.score_breakdown)


def call_of(worked: MemoryCycle, decided: str, direction: Direction, **feedback: float) -> object:
    """The trade of a decision, under settings of what counts as success."""
    arm = worked.arms[0]
    setup = Setup.RANGE if direction is Direction.NEUTRAL else Setup.BREAKOUT
    lead = prediction(symbol="AAAUSDT", as_of_ms=START, setup=setup, direction=direction)
    settings = arm.workspace.config.model_copy(update={"feedback": FeedbackConfig(**feedback)})
    changed = replace(arm, workspace=arm.workspace.at(arm.workspace.paths, settings))
    decision = Decision(
        symbol="AAAUSDT", decided_at=iso(START), decision=decided, final_score=0.9, grade="A",
        confidence=0.9, score_breakdown={}, decision_reasons=[],
    )  # fmt: skip
    return worked._call(decision, CvReading(lead), START, changed)


@pytest.mark.parametrize(("direction", "sign"), [(Direction.LONG, 1), (Direction.SHORT, -1)])
def test_a_decision_to_join_is_traded_in_the_leading_direction(
    worked: MemoryCycle, direction: Direction, sign: int
) -> None:
    call = call_of(worked, "join", direction, target=0.03, stop=0.01)
    assert (call.symbol, call.at_ms, call.sign) == ("AAAUSDT", START, sign)
    assert (call.target, call.stop) == (0.03, 0.01)


@pytest.mark.parametrize(
    ("decided", "direction"),
    [("consider", Direction.LONG), ("avoid", Direction.LONG), ("join", Direction.NEUTRAL)],
)
def test_what_is_not_joined_or_has_no_direction_is_not_traded(
    worked: MemoryCycle, decided: str, direction: Direction
) -> None:
    assert call_of(worked, decided, direction) is None


def test_targets_can_follow_the_markets_own_range(worked: MemoryCycle) -> None:
    """Multiples of the average true range of the leading chart, a fraction of its last close."""
    call = call_of(worked, "join", Direction.LONG, target=0.02, stop=0.01, atr_multiple=1.5)
    bars = worked.windows["AAAUSDT"][0].bars
    size = 1.5 * average_true_range(bars) / bars[-1, CLOSE]
    assert call.target == pytest.approx(size)
    assert call.stop == pytest.approx(size / 2)
