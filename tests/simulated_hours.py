"""A few hours of a small simulated market, and a stand-in model to work them with.

Run as a program it simulates them, to be killed by a test:

    python -m tests.simulated_hours MODELS OUT
"""

import functools
import sys
from pathlib import Path

from tests import standin
from vision_ai.config import Config, Paths
from vision_ai.domain import Interval, Klines, iso, parse_time
from vision_ai.market import simulate as market
from vision_ai.market.replay.listing import Listing
from vision_ai.pipeline.backtest import simulate
from vision_ai.pipeline.backtest.simulate import SimulationPlan
from vision_ai.pipeline.workspace import Workspace

START = parse_time("2025-06-15T12:00:00Z")
HOURS = 10
H_MS = 3_600_000
SOURCE = "simulated-hours"
SYMBOLS = ("AAAUSDT", "BBBUSDT")


@functools.cache
def markets() -> tuple[Klines, ...]:
    """5m candles from five days before `START` until two hours after the last hour."""
    end_ms = START + (HOURS + 2) * H_MS
    count = (5 * 24 + HOURS + 2) * 12
    return tuple(
        market.simulate(symbol, Interval.M5, count, seed=seed, end_ms=end_ms)
        for seed, symbol in enumerate(SYMBOLS)
    )


def listing(until_ms: int | None = None) -> Listing:
    """The markets, or what is known of them at a time."""
    cut = [k if until_ms is None else k.until(until_ms) for k in markets()]
    return Listing.from_klines(SOURCE, cut)


def workspace(root: Path) -> Workspace:
    """A data root with the stand-in model, whose exemplars are a month old."""
    paths = Paths(root)
    end_ms = START - 30 * 24 * H_MS
    standin.install(paths, [market.simulate("OLDUSDT", Interval.M15, 900, seed=9, end_ms=end_ms)])
    return Workspace(Config(), paths)


def plan(**changes: object) -> SimulationPlan:
    """Ten hours without pictures; the gate is asked every four."""
    usual = {
        "source": SOURCE,
        "first": iso(START),
        "hours": HOURS,
        "learn_every_h": 4,
        "charts": False,
    }
    return SimulationPlan.model_validate(usual | changes)


def main(models: str, out: str) -> None:
    """Simulate, after a line that says so."""
    origin = Workspace(Config(), Paths(Path(models)))
    sys.stdout.write("begun\n")
    sys.stdout.flush()
    for _ in simulate.run(origin, listing(), plan(), Path(out)):
        pass


if __name__ == "__main__":
    main(*sys.argv[1:])
