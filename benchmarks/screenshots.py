"""How often a picture of a chart is read as its candles are: ours, other tools', terminals'.

    python benchmarks/screenshots.py --klines ../shared/klines/bench-bybit [--charts 10]

Charts of real candles are drawn by this program, in every style of mplfinance, in plotly's six
templates and by TradingView's Lightweight Charts in three themes (a range slider, grids, legends,
moving averages, volume, price tags, several sizes, JPEG of quality 70 to 85), and read twice: from
the picture and from the candles. `same` is the share of read pictures with the setup that the
candles give, `of all` that of all pictures, refused ones counted as wrong; `refused` were not
read; `misread` were read as other candles, or a candle beside (steps from candle to candle
correlate by less than 0.9 with the true ones), which is the one thing that must not happen.
plotly and Lightweight Charts need a Chrome or Chromium; without one their part is left out. The
last line is one JSON object.
"""

import argparse
import io
import json
import logging
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import terminals
from numpy.typing import NDArray
from PIL import Image

from vision_ai.charts import mpl, png
from vision_ai.charts.screenshots import recovery
from vision_ai.config import ChartConfig, Config, Paths
from vision_ai.domain import HIGH, LOW, WINDOW, Interval, Ints, Klines
from vision_ai.errors import ImageError
from vision_ai.evaluation import card
from vision_ai.measures import significance
from vision_ai.pipeline import evaluate
from vision_ai.pipeline.reader import Reader, spans_of
from vision_ai.pipeline.workspace import progress

PLOTLY_TEMPLATES = ("ggplot2", "plotly", "plotly_dark", "plotly_white", "seaborn", "simple_white")
SIZES = ((800, 500), (1000, 620), (1200, 700), (1600, 900))
AHEAD = 6
"""Candles' widths that a terminal leaves free right of the newest."""
MISREAD = 0.9
OWN = ("own PNG", "own JPEG")
OWN_TIMES = 4
"""How many more pictures of ours than of each foreign style: they have two styles only."""


@dataclass(frozen=True)
class Look:
    """How one picture is drawn.

    Attributes:
        style: name in the library.
        size: width and height in pixels.
        averages: periods of moving averages.
        volume: whether it has a volume panel.
        slider: whether plotly draws its range slider, a second small chart, and a terminal leaves
            room right of the newest candle.
        quality: of JPEG; None keeps PNG.
    """

    style: str
    size: tuple[int, int]
    averages: tuple[int, ...]
    volume: bool
    slider: bool
    quality: int | None

    @classmethod
    def random(cls, style: str, rng: np.random.Generator) -> "Look":
        """Some way of drawing."""
        return cls(
            style,
            SIZES[int(rng.integers(len(SIZES)))],
            (10, 30) if rng.random() < 0.4 else (),
            bool(rng.random() < 0.75),
            bool(rng.random() < 0.5),
            int(rng.integers(70, 86)) if rng.random() < 0.4 else None,
        )


Painter = Callable[[Klines, Look], bytes]


def own(klines: Klines, look: Look) -> bytes:
    """Our own PNG of the last 96 candles."""
    size = {"width": look.size[0], "height": look.size[1]}
    theme = "dark" if look.style == "dark" else "light"
    return mpl.draw(klines[-WINDOW:], ChartConfig(theme=theme, **size))


def by_mplfinance(klines: Klines, look: Look) -> bytes:
    """What mplfinance draws."""
    import matplotlib as mp
    import mplfinance as mpf

    mp.use("Agg")
    logging.getLogger("matplotlib").setLevel(logging.ERROR)
    buffer = io.BytesIO()
    more: dict[str, Any] = {"mav": look.averages} if look.averages else {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        mpf.plot(
            _frame(klines), type="candle", style=look.style, volume=look.volume,
            figsize=(look.size[0] / 100, look.size[1] / 100),
            savefig={"fname": buffer, "dpi": 100}, warn_too_much_data=10_000, **more,
        )  # fmt: skip
    return buffer.getvalue()


def by_plotly(klines: Klines, look: Look) -> bytes:
    """What plotly draws."""
    import plotly.graph_objects as go
    from plotly.subplots import make_subplots

    frame = _frame(klines)
    rows = 2 if look.volume else 1
    heights = [0.75, 0.25] if look.volume else [1.0]
    figure = make_subplots(
        rows=rows, cols=1, shared_xaxes=True, row_heights=heights, vertical_spacing=0.04
    )
    prices = {name.lower(): frame[name] for name in ("Open", "High", "Low", "Close")}
    figure.add_trace(go.Candlestick(x=frame.index, name=klines.symbol, **prices), row=1, col=1)
    for period in look.averages:
        mean = frame["Close"].rolling(period).mean()
        figure.add_trace(go.Scatter(x=frame.index, y=mean, name=f"MA {period}"), row=1, col=1)
    if look.volume:
        figure.add_trace(go.Bar(x=frame.index, y=frame["Volume"], name="Volume"), row=2, col=1)
    figure.update_layout(template=look.style, title=f"{klines.symbol} {klines.interval}")
    figure.update_xaxes(rangeslider_visible=look.slider and not look.volume)
    return render_plotly(figure, look.size)


def by_terminal(klines: Klines, look: Look) -> bytes:
    """What TradingView's Lightweight Charts draws."""
    ahead = AHEAD if look.slider else 0
    return terminals.draw(
        klines, terminals.Setting(look.style, look.size, look.averages, look.volume, ahead)
    )


def render_plotly(figure: Any, size: tuple[int, int]) -> bytes:
    """A plotly figure as PNG bytes, by the browser that `painters` started."""
    import kaleido

    opts = {"format": "png", "width": size[0], "height": size[1]}
    return bytes(kaleido.calc_fig_sync(figure, opts=opts))


def _frame(klines: Klines) -> pd.DataFrame:
    columns = ["Open", "High", "Low", "Close", "Volume"]
    return pd.DataFrame(
        klines.bars, columns=columns, index=pd.to_datetime(klines.open_ms, unit="ms")
    )


def to_jpeg(picture: bytes, quality: int) -> bytes:
    """The same picture as a JPEG."""
    buffer = io.BytesIO()
    Image.open(io.BytesIO(picture)).convert("RGB").save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


@dataclass(frozen=True, eq=False)
class Case:
    """One picture: how it was drawn, and what was read off it."""

    tool: str
    look: Look
    klines: Klines
    picture: bytes
    bars: NDArray[np.float64] | None
    refusal: str

    @property
    def misread(self) -> bool:
        """Whether other candles were read than were drawn."""
        if self.bars is None:
            return False
        true_steps, read_steps = (
            np.diff(np.log(bars[:, HIGH] * bars[:, LOW]))
            for bars in (self.klines.bars[-WINDOW:], self.bars[0])
        )
        return not float(np.corrcoef(true_steps, read_steps)[0, 1]) >= MISREAD


def charts(klines: Path, count: int, seed: int) -> list[Klines]:
    """Segments of the candles of a folder, some longer than a chart: the picture shows the end."""
    rng = np.random.default_rng(seed)
    markets = [market.klines for market in evaluate.read_markets(klines, None)]
    segments: list[Klines] = []
    while len(segments) < count:
        market = markets[int(rng.integers(len(markets)))]
        ends = market.window_ends()
        length = WINDOW + int(rng.integers(0, 45))
        if len(ends) < 2 * length:
            continue
        end = int(ends[rng.integers(length, len(ends))])
        part = market[end + 1 - length : end + 1]
        whole = len(part) == length and part.open_ms[-1] - part.open_ms[0] == (length - 1) * (
            part.interval.ms
        )
        if whole:
            segments.append(part)
    return segments


def drawings(painters: Mapping[str, tuple[Painter, Sequence[str]]]) -> list[tuple[str, str]]:
    """Tool and style of each equal share of the pictures."""
    return [
        (tool, style)
        for tool, (_, styles) in painters.items()
        for style in styles
        for _ in range(OWN_TIMES if tool in OWN else 1)
    ]


def cases(
    segments: Sequence[Klines], painters: Mapping[str, tuple[Painter, Sequence[str]]], seed: int
) -> Iterator[Case]:
    """Draw each chart once, in some style of some tool, and read it back."""
    rng = np.random.default_rng(seed)
    pairs = drawings(painters)
    share = len(segments) // len(pairs)
    for number in progress(range(share * len(pairs)), total=share * len(pairs), what="Drawing"):
        tool, style = pairs[number // share]
        yield read(tool, painters[tool][0], segments[number], Look.random(style, rng))


def read(tool: str, paint: Painter, klines: Klines, look: Look) -> Case:
    """Draw one chart and read it back."""
    if tool in OWN:
        look = replace(look, quality=(look.quality or 80) if tool == "own JPEG" else None)
    picture = paint(klines, look)
    if look.quality is not None:
        picture = to_jpeg(picture, look.quality)
    try:
        return Case(tool, look, klines, picture, recovery.read_bars(png.read(picture)), "")
    except ImageError as error:
        return Case(tool, look, klines, picture, None, str(error))


SHARES = ("same_setup", "same_setup_of_all", "same_phase", "refused", "misread")
"""Metrics of each group; only the second and the last two count pictures that were not read."""

LATE_MS = 1_790_000_000_000
"""All exemplars are eligible: this is about pictures, not about time."""


def measure_groups(reader: Reader, results: Sequence[Case], draws: int = 300) -> dict[str, Any]:
    """Shares of all pictures and of each tool, style and kind of picture."""
    pixels = np.stack([case.klines.bars[-WINDOW:] for case in results])
    truth_setup, truth_phase = predict_codes(reader, pixels, results)
    read = np.array([case.bars is not None for case in results])
    seen = np.concatenate([case.bars for case in results if case.bars is not None])
    setup, phase = np.full(len(results), -1), np.full(len(results), -1)
    setup[read], phase[read] = predict_codes(
        reader, seen, [c for c in results if c.bars is not None]
    )
    same, alike = setup == truth_setup, phase == truth_phase
    wrong = np.array([case.misread for case in results])
    chart = np.unique([c.klines.digest for c in results], return_inverse=True)[1]

    def shares(rows: NDArray[np.int64]) -> dict[str, Any]:
        def measure(sample: NDArray[np.integer[Any]]) -> list[float]:
            at = rows[sample]
            good = at[read[at]]
            parts = (same[good], same[at], alike[good], ~read[at], wrong[at])
            return [float(part.mean()) if len(part) else float("nan") for part in parts]

        estimates = significance.bootstrap_all(measure, chart[rows], draws=draws)
        return {"n": len(rows), **card.nest(dict(zip(SHARES, estimates, strict=True)))}

    parts: dict[str, list[int]] = {}
    for row, case in enumerate(results):
        for name in kinds(case):
            parts.setdefault(name, []).append(row)
    return {name: shares(np.array(rows)) for name, rows in parts.items()}


def kinds(case: Case) -> list[str]:
    """The groups that a picture counts in."""
    look, groups = case.look, [case.tool, f"{case.tool} {case.look.style}"]
    if case.tool in OWN:
        return groups
    groups += ["foreign", f"foreign {'JPEG' if look.quality is not None else 'PNG'}"]
    groups.append(f"foreign {look.size[0]}x{look.size[1]}")
    if look.averages:
        groups.append("foreign with moving averages")
    groups.append(f"foreign {'with' if look.volume else 'without'} volume")
    return groups


def predict_codes(
    reader: Reader, bars: NDArray[np.float64], results: Sequence[Case]
) -> tuple[Ints, Ints]:
    """Codes of setups and phases that candles (n, 96, 5) get."""
    n = len(bars)
    intervals = [Interval(case.klines.interval) for case in results]
    spans = spans_of(["ANYUSDT"] * n, intervals, [LATE_MS] * n)
    answers = reader.answers(bars, spans, has_scale=False)
    return card.SETUP_OF[answers.code], answers.phase


def painters() -> dict[str, tuple[Painter, Sequence[str]]]:
    """The tools that are here."""
    import mplfinance as mpf

    tools: dict[str, tuple[Painter, Sequence[str]]] = {
        "own PNG": (own, ("dark", "light")),
        "own JPEG": (own, ("dark", "light")),
        "mplfinance": (by_mplfinance, sorted(mpf.available_styles())),
    }
    try:
        import kaleido

        kaleido.start_sync_server(
            page_generator=kaleido.PageGenerator(mathjax=False), silence_warnings=True
        )
        by_plotly_test()
    except Exception as error:  # noqa: BLE001 - whatever a browser may raise
        print(f"plotly is left out: {str(error)[:200]}", file=sys.stderr)
    else:
        tools["plotly"] = (by_plotly, PLOTLY_TEMPLATES)
    try:
        terminals.check()
    except (ModuleNotFoundError, FileNotFoundError) as error:
        print(f"Lightweight Charts is left out: {error}", file=sys.stderr)
    else:
        tools["lightweight-charts"] = (by_terminal, tuple(terminals.THEMES))
    return tools


def by_plotly_test() -> None:
    """Draw something, so that a missing browser shows at once."""
    import plotly.graph_objects as go

    render_plotly(go.Figure(), (200, 200))


def measure(klines: Path, count: int, seed: int, keep: Path | None = None) -> dict[str, Any]:
    """Everything that is measured, by group."""
    tools = painters()
    segments = charts(klines, count * len(drawings(tools)), seed)
    results = list(cases(segments, tools, seed))
    if keep is not None:
        keep.mkdir(parents=True, exist_ok=True)
        for number, case in enumerate(results):
            name = f"{number:04}-{case.tool}-{case.look.style}"
            (keep / f"{name}.img").write_bytes(case.picture)
    root = Path(__file__).parents[1] / "no-data-root"
    reader = Reader.open(Config(), Paths(root))
    return {
        "klines": klines.name,
        "model": reader.model.version,
        "seed": seed,
        "groups": measure_groups(reader, results),
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--klines", type=Path, default=Path("../shared/klines/bench-bybit"))
    parser.add_argument("--charts", type=int, default=10, help="of each style")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, help="folder for the pictures")
    options = parser.parse_args()
    report = measure(options.klines, options.charts, options.seed, options.keep)
    print(f"{'':<34}{'n':>5}  {'  '.join(SHARES)}")
    for group, part in report["groups"].items():
        row = [f"{part[name]['value'] or 0:{len(name) + 2}.3f}" for name in SHARES]
        print(f"{group:<34}{part['n']:>5}{''.join(row)}")
    print(json.dumps(report))


if __name__ == "__main__":
    main()
