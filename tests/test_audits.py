"""Laws that the shipped model must keep, each at the rate that it was seen to reach.

Charts are simulated and seeded. Every audit is run a second time with its law broken on purpose,
so that a pass means something. The rates are those of the shipped version, less a margin
(`docs/LOG.md`); a better model raises them.
"""

import io
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import pytest
from PIL import Image

from vision_ai import predict_cv_setup
from vision_ai.calibration.fusion import Calibration
from vision_ai.charts import mpl, png, raster, style
from vision_ai.charts.screenshots import recovery
from vision_ai.config import ChartConfig, Config, Paths
from vision_ai.domain import (
    CLOSE,
    HORIZONS,
    PHASES,
    READINGS,
    SETUPS,
    VOLUME,
    Direction,
    Interval,
    Klines,
    Reading,
    Setup,
)
from vision_ai.errors import ImageError
from vision_ai.labels import rules
from vision_ai.market.simulate import simulate
from vision_ai.measures import indicators, scores, significance, targets
from vision_ai.measures.purge import PointInTimeFilter, Spans
from vision_ai.model.registry import SHIPPED
from vision_ai.model.training.batches import mirror
from vision_ai.pipeline import reader as readers
from vision_ai.pipeline.reader import Reader
from vision_ai.predict_cv_setup import Answers

pytestmark = pytest.mark.skipif(
    not (SHIPPED / "manifest.json").exists(), reason="no model is shipped in this checkout"
)

HOUR = 3_600_000
END = 480_000 * HOUR
NONE = READINGS.index(Reading(Setup.NONE, Direction.NEUTRAL))
RANGE = READINGS.index(Reading(Setup.RANGE, Direction.NEUTRAL))
BREAKOUT = READINGS.index(Reading(Setup.BREAKOUT, Direction.LONG))
SETUP_OF = np.array([SETUPS.index(reading.setup) for reading in READINGS])
MIRROR = np.array([READINGS.index(reading.mirror) for reading in READINGS])
PHASE_MIRROR = np.array([PHASES.index(phase.mirror) for phase in PHASES])


@dataclass(frozen=True)
class Charts:
    """Candles (n, 96, 5) and the interval of each."""

    bars: np.ndarray
    interval: np.ndarray

    @property
    def spans(self) -> Spans:
        return Spans.at(
            ["AAAUSDT"] * len(self.bars), self.interval.tolist(), [END] * len(self.bars)
        )


@pytest.fixture(scope="module")
def reader(tmp_path_factory) -> Reader:
    return Reader.open(Config(), Paths(tmp_path_factory.mktemp("audits")))


@pytest.fixture(scope="module")
def charts() -> Charts:
    rng = np.random.default_rng(0)
    bars, interval = [], []
    for seed in range(6):
        for length in (Interval.M15, Interval.H1):
            market = simulate("AAAUSDT", length, 1500, seed=seed, end_ms=END)
            ends = np.sort(rng.choice(market.window_ends(), 10, replace=False))
            bars.append(market.windows(ends))
            interval += [length.value] * len(ends)
    return Charts(np.concatenate(bars), np.array(interval))


def read(reader: Reader, charts: Charts, pictures: np.ndarray | None = None) -> Answers:
    shown = raster.render(charts.bars) if pictures is None else pictures
    scale = indicators.volatility(charts.bars)
    found = reader.embedder.images(np.ascontiguousarray(shown))
    evidence = readers.weigh(reader, found, charts.spans, scale, PointInTimeFilter())
    return predict_cv_setup.read(evidence, reader.calibration)


def shuffled(pictures: np.ndarray) -> np.ndarray:
    """The same pixels at random places."""
    rng = np.random.default_rng(1)
    flat = pictures.reshape(len(pictures), -1, 3).copy()
    for picture in flat:
        rng.shuffle(picture, axis=0)
    return flat.reshape(pictures.shape)


def silent_share(reader: Reader, charts: Charts, change: Callable) -> float:
    """How often no setup is named."""
    answers = read(reader, charts, change(np.ascontiguousarray(raster.render(charts.bars))))
    return float((answers.code == NONE).mean())


def test_shuffled_pixels_are_given_no_setup(reader, charts) -> None:
    assert silent_share(reader, charts, shuffled) > 0.95
    assert silent_share(reader, charts, lambda pictures: pictures) < 0.6  # law broken: unshuffled


def test_shuffled_pixels_make_the_model_abstain(reader, charts) -> None:
    pictures = np.ascontiguousarray(raster.render(charts.bars))
    assert read(reader, charts, shuffled(pictures)).abstained.mean() > 0.95
    assert read(reader, charts, pictures).abstained.mean() < 0.2  # law broken: unshuffled


@pytest.mark.slow
def test_a_picture_of_shuffled_pixels_is_refused_at_the_door() -> None:
    market = simulate("AAAUSDT", Interval.M15, 200, seed=3, end_ms=END)[-96:]
    picture = np.asarray(Image.open(io.BytesIO(mpl.draw(market, ChartConfig()))).convert("RGB"))
    assert recovery.read_bars(png.read(png.encode(picture))).shape == (1, 96, 5)
    with pytest.raises(ImageError):
        recovery.read_bars(png.read(png.encode(shuffled(picture[None])[0])))


def test_a_mirrored_chart_gets_the_mirrored_label(reader, charts) -> None:
    upright = read(reader, charts)
    turned = read(reader, replace(charts, bars=mirror(charts.bars)))
    assert (turned.code == MIRROR[upright.code]).mean() > 0.88
    assert (turned.phase == PHASE_MIRROR[upright.phase]).mean() > 0.94
    # law broken: the chart is not turned over
    assert (upright.code == MIRROR[upright.code]).mean() < 0.6
    assert (upright.phase == PHASE_MIRROR[upright.phase]).mean() < 0.7


def quiet_ranges() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Ranges by the rule book, each with a break drawn into it, and with that break taken out.

    Only those that the rule book calls a range, a breakout and a range again.
    """
    markets = [simulate("AAAUSDT", Interval.M15, 6000, seed=s, end_ms=END) for s in range(20, 32)]
    bars = np.concatenate([market.windows(market.window_ends()[::6]) for market in markets])
    labels = rules.label(bars)
    quiet = np.flatnonzero((labels.reading == RANGE) & labels.clear)
    bars, top = bars[quiet], labels.facts["box_top"][quiet]
    broken = with_break(bars, top, top - labels.facts["box_bottom"][quiet])
    healed = without_break(bars, broken)
    holds = rules.label(broken).reading == BREAKOUT
    holds &= rules.label(healed).reading == RANGE
    return bars[holds], broken[holds], healed[holds]


def with_break(bars: np.ndarray, top: np.ndarray, height: np.ndarray) -> np.ndarray:
    """Two loud closes above the box instead of the last two candles."""
    broken = bars.copy()
    edge = bars[:, -1, CLOSE] * np.exp(top)
    opens = bars[:, -3, CLOSE]
    for column, rise in ((-2, 0.35), (-1, 0.6)):
        closes = edge * np.exp(rise * height)
        wick = np.exp(0.03 * height)
        broken[:, column, :VOLUME] = np.stack(
            [opens, np.maximum(opens, closes) * wick, np.minimum(opens, closes) / wick, closes], 1
        )
        broken[:, column, VOLUME] = 4 * np.median(bars[:, :, VOLUME], axis=1)
        opens = closes
    return broken


def without_break(bars: np.ndarray, broken: np.ndarray) -> np.ndarray:
    """Two candles like the quiet ones before, where the break was."""
    healed = broken.copy()
    before = bars[:, -3, CLOSE]
    for column, like in ((-2, -3), (-1, -4)):
        healed[:, column] = bars[:, like]
        healed[:, column, :VOLUME] *= (before / bars[:, like, 0])[:, None]
        before = healed[:, column, CLOSE]
    return healed


@pytest.mark.slow
def test_a_break_changes_the_answer_and_taking_it_out_changes_it_back(reader) -> None:
    quiet, broken, healed = quiet_ranges()
    assert len(quiet) >= 150
    interval = np.full(len(quiet), "15m")
    before, during, after = (
        read(reader, Charts(bars, interval)).code for bars in (quiet, broken, healed)
    )
    assert (during != before).mean() > 0.95
    assert (during == BREAKOUT).mean() > 0.92
    assert (after == before).mean() > 0.85
    blind = broken.copy()  # law broken: the last two candles are not seen
    blind[:, -2:] = healed[:, -2:]
    unmoved = read(reader, Charts(blind, interval)).code
    assert (unmoved != before).mean() < 0.25


def martingale(n: int, seed: int) -> Klines:
    """Candles of a random walk in log price, with nothing to foretell."""
    rng = np.random.default_rng(seed)
    steps = rng.normal(0, 0.0015, (n, 8)).cumsum(axis=1)
    start = np.r_[0, steps[:-1, -1].cumsum()][:, None]
    path = start + np.c_[np.zeros(n), steps]
    shape = np.stack([path[:, 0], path.max(axis=1), path.min(axis=1), path[:, -1]], axis=1)
    open_ms = END + np.arange(n, dtype=np.int64) * Interval.M15.ms
    volume = rng.lognormal(0, 0.5, n)
    return Klines("WALKUSDT", Interval.M15, open_ms, np.c_[100 * np.exp(shape), volume])


def leaning(calibration: Calibration) -> Calibration:
    """The same calibration, but it believes look-alikes' directions wholly."""
    bands = {
        interval: {
            horizon: rule.model_copy(update={"neighbor_weight_up": 1.0})
            for horizon, rule in of.items()
        }
        for interval, of in calibration.bands.items()
    }
    return calibration.model_copy(update={"bands": bands})


@pytest.mark.slow
def test_outcome_claims_vanish_on_a_martingale(reader) -> None:
    walks = [martingale(6000, seed) for seed in range(1, 7)]  # one alone may fall by chance
    ends = walks[0].window_ends()[:-30:24]
    bars = np.concatenate([walk.windows(ends) for walk in walks])
    n = len(bars)
    asked = np.tile(walks[0].close_ms[ends], len(walks)).tolist()
    spans = Spans.at(["WALKUSDT"] * n, ["15m"] * n, asked)
    followed = np.concatenate(
        [np.expm1(targets.forward_outcomes(walk, ends).move) for walk in walks]
    )
    evidence = reader.evidence(bars, spans, eligibility=PointInTimeFilter())
    bands = predict_cv_setup.read(evidence, reader.calibration).bands
    block = np.arange(n) // 8
    for column in range(len(HORIZONS)):
        rose, up = (followed[:, column] > 0).astype(float), bands.up[:, column]
        skill = significance.bootstrap(
            lambda rows, up=up, rose=rose: scores.brier_skill(up[rows], rose[rows], 0.5), block
        )
        assert skill.low <= 0
        move = followed[:, column]
        assert np.isfinite(move).all()
        held = (bands.low[:, column] <= move) & (move <= bands.high[:, column])
        assert abs(held.mean() - 0.8) < 0.1
    assert np.abs(bands.up - 0.5).max() < 0.08
    believing = predict_cv_setup.read(evidence, leaning(reader.calibration)).bands
    assert np.abs(believing.up - 0.5).max() > 0.2  # law broken: claims where nothing is to claim


def test_the_style_of_drawing_changes_few_answers(reader, charts) -> None:
    plain = read(reader, charts)
    styles = style.sample(len(charts.bars), np.random.default_rng(2))
    styled = read(reader, charts, raster.render(charts.bars, styles))
    assert (SETUP_OF[styled.code] == SETUP_OF[plain.code]).mean() > 0.6
    assert (styled.phase == plain.phase).mean() > 0.92
    other = read(reader, charts, raster.render(np.roll(charts.bars, 1, axis=0), styles))
    assert (SETUP_OF[other.code] == SETUP_OF[plain.code]).mean() < 0.5  # law broken: another chart


def windows(count: int) -> list[Klines]:
    markets = [
        simulate("AAAUSDT", Interval.M15, 900, seed=40 + s, end_ms=END) for s in range(count)
    ]
    return [market[405:501] for market in markets]


def as_jpeg(picture: bytes, scale: float, quality: int) -> bytes:
    image = Image.open(io.BytesIO(picture)).convert("RGB")
    size = (round(image.width * scale), round(image.height * scale))
    buffer = io.BytesIO()
    image.resize(size, Image.Resampling.LANCZOS).save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


def through_pictures(reader: Reader, shown: list[Klines], pictures: list[bytes]) -> float:
    """How often a picture gets the setup that its candles get; a refused one is not counted."""
    interval = np.full(len(shown), "15m")
    charts = Charts(np.stack([window.bars for window in shown]), interval)
    truth = SETUP_OF[read(reader, charts).code]
    same = []
    for row, picture in enumerate(pictures):
        try:
            bars = recovery.read_bars(png.read(picture))
        except ImageError:
            continue
        answer = reader.answers(bars, charts.spans.take(np.array([row])), has_scale=False)
        same.append(SETUP_OF[answer.code[0]] == truth[row])
    assert len(same) > 0.7 * len(shown)
    return float(np.mean(same))


@pytest.mark.slow
def test_our_own_picture_is_read_as_its_candles_are(reader) -> None:
    shown = windows(12)
    themes = [ChartConfig(), ChartConfig(theme="light", width=1600, height=900)]
    pictures = [mpl.draw(window, themes[i % 2]) for i, window in enumerate(shown)]
    assert through_pictures(reader, shown, pictures) > 0.85
    rolled = [*pictures[1:], pictures[0]]
    assert through_pictures(reader, shown, rolled) < 0.6  # law broken: another chart's picture


@pytest.mark.slow
def test_a_resized_jpeg_without_metadata_is_mostly_read_the_same(reader) -> None:
    shown = windows(12)
    pictures = [as_jpeg(mpl.draw(window, ChartConfig()), 0.9, 80) for window in shown]
    assert through_pictures(reader, shown, pictures) > 0.5
