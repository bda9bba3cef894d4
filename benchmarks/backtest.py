"""Walk through the bench candles and write the figures of trading for the report card.

    python benchmarks/backtest.py --klines ../shared/klines/bench-bybit-5m

The figures go to docs/backtest.json, from which `benchmarks/report_card.py --page-only` makes its
section of docs/report-card.md. Equal candles, model and seed give equal figures: only `seconds`
differ. The last line is one JSON object.
"""

import argparse
import json
import sys
from pathlib import Path

from vision_ai import storage
from vision_ai.config import Config, Paths
from vision_ai.evaluation import trading
from vision_ai.pipeline.backtest import trade
from vision_ai.pipeline.workspace import Workspace

ROOT = Path(__file__).parents[1]
FIGURES = ROOT / "docs" / "backtest.json"


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--klines", type=Path, default=Path("../shared/klines/bench-bybit-5m"))
    parser.add_argument("--days", type=int)
    arguments = parser.parse_args()
    workspace = Workspace(Config(), Paths(ROOT / "no-data-root"))
    options = trade.BacktestOptions(klines=arguments.klines, days=arguments.days)
    content = trade.backtest(workspace, options).payload()
    del content["missing"]
    print("\n".join(trading.summary(content)), file=sys.stderr)
    storage.write_text(FIGURES, json.dumps(content, indent=1, allow_nan=False) + "\n")
    trades = {name: found["trades"] for name, found in content["arms"].items()}
    print(json.dumps({"figures": "docs/backtest.json", "trades": trades}))


if __name__ == "__main__":
    main()
