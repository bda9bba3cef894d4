"""Measure the current model on every bench folder and write docs/report-card.md.

    python benchmarks/report_card.py --klines ../shared/klines [--limit 8000] [--page-only]

The figures go to docs/report-card.json, one object a folder, and those of pictures
(`screenshots.py`) to docs/report-card-pictures.json; the page and its plots are made of
that file alone, and `--page-only` makes them again without measuring. Equal candles, model and
seed give equal figures: only `seconds` differ from run to run. The last line is one JSON object.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import screenshots

from vision_ai import reports, storage
from vision_ai.config import Config, Paths
from vision_ai.evaluation import report, trading
from vision_ai.pipeline import evaluate
from vision_ai.pipeline.workspace import Workspace

ROOT = Path(__file__).parents[1]
FIGURES = ROOT / "docs" / "report-card.json"
PICTURES = ROOT / "docs" / "report-card-pictures.json"
PAGE = ROOT / "docs" / "report-card.md"
PLOTS = "img/report-card"
BACKTEST = ROOT / "docs" / "backtest.json"
"""Figures of trading, by `benchmarks/backtest.py`."""

FOLDERS = {
    "bench-bybit": "Five Bybit perpetuals, mostly later than all training data",
    "bench-2023": "34 Binance spot symbols of 2022 and 2023: another regime, before training",
    "scan": "43 Bybit perpetuals, 1h, a year after training",
}
TRAINED_ON = "train"

ABOUT_PICTURES = """Charts of real candles drawn by this program, by mplfinance in all its styles,
by plotly in its six templates and by TradingView's Lightweight Charts, the look of trading
terminals, in three themes: grids, axes, titles, legends, moving averages, range sliders, price
tags, with and without volume, at 800x500 to 1600x900 pixels, as PNG and as JPEG of quality 70 to
85. A picture is read as candles, and these by the model. *Same setup* and *phase* are the shares
of read pictures with the answer that the true candles get, *of all* counts refused pictures as
wrong. *Refused* were not read; *misread* were read as other candles or a candle beside. Every
picture shows another chart; intervals resample charts."""
SHARES = {
    "same_setup": "same setup",
    "same_setup_of_all": "of all",
    "same_phase": "same phase",
    "refused": "refused",
    "misread": "misread",
}
PICTURE_AIMS = {"own PNG": 0.97, "foreign": 0.90}
"""Aims for the same setup, of those read."""

PICTURES_EACH = 8
"""Pictures of each foreign style; of ours four times as many in each of two themes."""

CLAIMS = """## What is not claimed

- The truth here is the rule book ([setups.md](setups.md)): the figures say how well a picture is
  read, not whether a setup makes money.
- Nothing is claimed of price direction beyond the outcome skill above, zero or less included.
- Charts between two weeks of one symbol are alike; the intervals resample whole weeks of a symbol,
  but symbols move together, so they are still a little too narrow.
- Screenshots of other tools are read less well than candles: see the section on pictures. All other
  figures are of candles.
- Peers not measured yet are named under each table of baselines."""


def measure(klines: Path, folder: str, limit: int, seed: int) -> dict[str, Any]:
    """Everything that `vision-ai evaluate` measures on one folder."""
    workspace = Workspace(Config(), Paths(ROOT / "no-data-root"))
    options = evaluate.EvaluateOptions(
        klines=klines / folder,
        limit=limit,
        seed=seed,
        learned_from=klines / TRAINED_ON,
        cache=Paths(ROOT / "data").comparison_models,
    )
    result = evaluate.evaluate(workspace, options).payload()
    return {name: value for name, value in result.items() if name != "missing"}


def pictures(klines: Path, seed: int, count: int) -> dict[str, Any]:
    """How often pictures are read as their candles are, on the folders of both regimes."""
    return {
        folder: screenshots.measure(klines / folder, count, seed)
        for folder in ("bench-bybit", "bench-2023")
    }


def _aim(name: str, group: dict[str, Any]) -> tuple[str, str]:
    """The aim of a group of pictures and whether it was reached; empty where there is none."""
    if name not in PICTURE_AIMS:
        return "", ""
    return report.check_aim(PICTURE_AIMS[name], group["same_setup"])


def of_pictures(found: dict[str, Any]) -> list[str]:
    """The section of the card on pictures."""
    parts = ["## Image path against candle path", ABOUT_PICTURES]
    for folder, measured in found.items():
        groups = measured["groups"]
        rows = [
            (
                name,
                str(groups[name]["n"]),
                *(report.format_estimate(groups[name][key]) for key in SHARES),
                *_aim(name, groups[name]),
            )
            for name in sorted(groups, key=lambda name: (name not in PICTURE_AIMS, name))
        ]
        head = ["pictures", "how many", *SHARES.values(), "aim", "reached"]
        parts += [f"### Pictures of {folder}", reports.table(head, rows)]
    return parts


def page(
    found: dict[str, dict[str, Any]],
    shown: dict[str, Any] | None = None,
    traded: dict[str, Any] | None = None,
) -> str:
    """The whole card as Markdown; `shown` are figures of pictures, `traded` of the backtest."""
    models = sorted({content["method"]["model"] for content in found.values()})
    parts = [
        "# Report card",
        f"Model {', '.join(models)}. Written by `make report-card`; every figure has a 95 % "
        "interval and comes from [report-card.json](report-card.json).",
        *(
            f"**{name}.** {line}"
            for name, content in found.items()
            for line in report.verdict(content)
        ),
        *(f"**Backtest.** {line}" for line in (trading.verdict(traded) if traded else ())),
    ]
    for name, content in found.items():
        parts += [f"## {FOLDERS.get(name, name)}", report.section(content, plot=f"{PLOTS}/{name}-")]
    parts += of_pictures(shown) if shown else []
    if traded:
        parts += [
            "## What following the decisions would have earned",
            "Written from [backtest.json](backtest.json), which `make backtest` measures.",
            trading.section(traded, level=3),
        ]
    return "\n\n".join([*parts, CLAIMS]) + "\n"


def write(found: dict[str, dict[str, Any]], shown: dict[str, Any]) -> None:
    """Write the page and its plots."""
    for name, content in found.items():
        for plot, text in report.plots(content).items():
            storage.write_text(PAGE.parent / PLOTS / f"{name}-{plot}.svg", text)
    traded = json.loads(BACKTEST.read_text(encoding="utf-8")) if BACKTEST.exists() else None
    storage.write_text(PAGE, page(found, shown, traded))


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.exists() else "{}"


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--klines", type=Path, default=Path("../shared/klines"))
    parser.add_argument("--limit", type=int, default=8000)
    parser.add_argument("--pictures", type=int, default=PICTURES_EACH, help="of each style")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", action="append", choices=sorted(FOLDERS))
    parser.add_argument("--page-only", action="store_true")
    asked = parser.parse_args()
    found: dict[str, dict[str, Any]] = {}
    if asked.page_only or asked.only:
        found = json.loads(_text(FIGURES))
    for name in () if asked.page_only else (asked.only or FOLDERS):
        found[name] = measure(asked.klines, name, asked.limit, asked.seed)
        print("\n".join(report.summary(found[name])), file=sys.stderr)
        storage.write_text(FIGURES, json.dumps(found, indent=1, allow_nan=False) + "\n")
    shown: dict[str, Any] = json.loads(_text(PICTURES))
    if not (asked.page_only or asked.only):
        shown = pictures(asked.klines, asked.seed, asked.pictures)
        storage.write_text(PICTURES, json.dumps(shown, indent=1, allow_nan=False) + "\n")
    write(found, shown)
    seconds = {name: content["seconds"] for name, content in found.items()}
    print(json.dumps({"page": str(PAGE.relative_to(ROOT)), "seconds": seconds}))


if __name__ == "__main__":
    main()
