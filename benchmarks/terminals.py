"""Charts as trading terminals draw them: TradingView's Lightweight Charts in a headless browser.

The script comes with the package `lightweight-charts`; a Chrome or Chromium has to be on the path.
Volume is drawn behind the candles, the newest one's numbers in the upper left corner. A dotted line
of the last price crosses all candles to a tag that touches the last one, or keeps a few candles'
width from it.
"""

import importlib.util
import json
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from vision_ai.domain import CLOSE, HIGH, LOW, OPEN, VOLUME, Klines

THEMES = {
    "black": ("#101014", "#1c1c21", "#adb1b8", "#20b26c", "#ef454a"),
    "dark": ("#131722", "#1e222d", "#d1d4dc", "#26a69a", "#ef5350"),
    "light": ("#ffffff", "#f0f3fa", "#131722", "#26a69a", "#ef5350"),
}
"""Ground, grid, text, up and down: an exchange's night theme and the charting site's own two."""

AVERAGES = ("#2962ff", "#ff6d00")
BROWSERS = ("chromium", "google-chrome", "google-chrome-stable", "chromium-browser", "chrome")
TIMEOUT_S = 120


@cache
def script() -> str:
    """The charting library, as text for a page.

    Raises:
        ModuleNotFoundError: the package is not installed.
    """
    package = importlib.util.find_spec("lightweight_charts")
    if package is None or not package.submodule_search_locations:
        raise ModuleNotFoundError("pip install lightweight-charts")
    folder = Path(package.submodule_search_locations[0])
    return (folder / "js" / "lightweight-charts.js").read_text(encoding="utf-8")


@cache
def browser() -> str:
    """A browser's path.

    Raises:
        FileNotFoundError: there is none.
    """
    for name in BROWSERS:
        path = shutil.which(name)
        if path:
            return path
    raise FileNotFoundError("no Chrome or Chromium is on the path")


def check() -> None:
    """Check that the charting library and a browser are installed.

    Raises:
        ModuleNotFoundError: the package is not installed.
        FileNotFoundError: there is no browser.
    """
    script()
    browser()


@dataclass(frozen=True)
class Setting:
    """How a terminal is set up.

    Attributes:
        theme: of `THEMES`.
        size: width and height of its window in pixels.
        averages: periods of moving averages.
        volume: whether volume is shown.
        ahead: candles' widths left free right of the newest.
    """

    theme: str
    size: tuple[int, int]
    averages: tuple[int, ...]
    volume: bool
    ahead: int


def draw(klines: Klines, setting: Setting) -> bytes:
    """A screenshot of the chart of all candles, as PNG bytes."""
    with tempfile.TemporaryDirectory() as folder:
        page, picture = Path(folder) / "chart.html", Path(folder) / "chart.png"
        page.write_text(_page(klines, setting), encoding="utf-8")
        subprocess.run(
            [
                browser(), "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
                f"--window-size={setting.size[0]},{setting.size[1]}", f"--screenshot={picture}",
                f"--user-data-dir={folder}/profile", "--virtual-time-budget=3000", page.as_uri(),
            ],
            check=True, capture_output=True, timeout=TIMEOUT_S,
        )  # fmt: skip
        return picture.read_bytes()


def _page(klines: Klines, setting: Setting) -> str:
    ground, grid, text, up, down = THEMES[setting.theme]
    time = (klines.open_ms // 1000).tolist()
    bars = klines.bars
    names = {"open": OPEN, "high": HIGH, "low": LOW, "close": CLOSE}
    candles = [
        {"time": at} | {name: row[column] for name, column in names.items()}
        for at, row in zip(time, bars.tolist(), strict=True)
    ]
    digits = max(2, int(np.ceil(3 - np.log10(bars[0, CLOSE]))))
    series = [
        _series(
            "Candlestick", candles,
            upColor=up, downColor=down, borderVisible=False, wickUpColor=up, wickDownColor=down,
            priceFormat={"type": "price", "precision": digits, "minMove": 10.0**-digits},
        )
    ]  # fmt: skip
    margins = {"top": 0.1, "bottom": 0.25 if setting.volume else 0.1}
    series.append(f"last.priceScale().applyOptions({json.dumps({'scaleMargins': margins})});")
    if setting.volume:
        pale = np.where(bars[:, CLOSE] >= bars[:, OPEN], up + "80", down + "80").tolist()
        busy = [
            {"time": at, "value": value, "color": colour}
            for at, value, colour in zip(time, bars[:, VOLUME].tolist(), pale, strict=True)
        ]
        series.append(_series("Histogram", busy, priceFormat={"type": "volume"}, priceScaleId=""))
        below = {"scaleMargins": {"top": 0.8, "bottom": 0}}
        series.append(f"last.priceScale().applyOptions({json.dumps(below)});")
    for period, colour in zip(setting.averages, AVERAGES, strict=False):
        mean = np.convolve(bars[:, CLOSE], np.full(period, 1 / period), "valid")
        line = [
            {"time": at, "value": value}
            for at, value in zip(time[period - 1 :], mean.tolist(), strict=True)
        ]
        quiet = {"lineWidth": 1, "priceLineVisible": False, "lastValueVisible": False}
        series.append(_series("Line", line, color=colour, **quiet))
    options = {
        "width": setting.size[0], "height": setting.size[1],
        "layout": {"background": {"color": ground}, "textColor": text},
        "grid": {"vertLines": {"color": grid}, "horzLines": {"color": grid}},
        "timeScale": {"timeVisible": True, "rightOffset": setting.ahead},
    }  # fmt: skip
    values = " ".join(
        f"{name[0].upper()} {bars[-1, row]:.{digits}f}" for name, row in names.items()
    )
    legend = f"{klines.symbol} · {klines.interval} · {values}"
    style = f"position:absolute;left:12px;top:10px;z-index:9;font:13px sans-serif;color:{text}"
    visible = {"from": 0, "to": len(bars) - 1 + setting.ahead}
    return (
        f"<html><meta charset='utf-8'><body style='margin:0;background:{ground}'>"
        f"<div style='{style}'>{legend}</div><div id='chart'></div>"
        f"<script>{script()}</script><script>"
        "const chart = LightweightCharts.createChart(document.getElementById('chart'), "
        f"{json.dumps(options)}); let last;{''.join(series)}"
        f"chart.timeScale().setVisibleLogicalRange({json.dumps(visible)});"
        "</script></body></html>"
    )


def _series(kind: str, data: list[dict[str, float]], **options: object) -> str:
    return f"last = chart.add{kind}Series({json.dumps(options)}); last.setData({json.dumps(data)});"
