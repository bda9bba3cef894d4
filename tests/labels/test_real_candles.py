"""What the rule book says of real markets. Skipped where the folder of real candles is absent."""

import os
from pathlib import Path

import numpy as np
import pytest

from vision_ai.domain import Interval, Klines
from vision_ai.labels.frequencies import LabelFrequencies, count_labels
from vision_ai.market.files import read_file

KLINES = Path(os.environ.get("VISION_AI_KLINES", Path(__file__).parents[3] / "shared/klines"))
MARKETS = 3
RECENT = 3000

pytestmark = pytest.mark.klines


def market(path: Path) -> list[Klines]:
    whole = read_file(path)
    return [whole[-RECENT:], whole.resample(Interval.H1)[-RECENT:]]


@pytest.fixture(scope="module")
def table() -> LabelFrequencies:
    paths = sorted((KLINES / "train").glob("*.parquet"))
    if not paths:
        pytest.skip(f"no real candles at {KLINES}: set VISION_AI_KLINES")
    markets = [market(path) for path in paths[:: len(paths) // MARKETS]]
    fine = count_labels([part[0] for part in markets], [Interval.M15])
    coarse = count_labels([part[1] for part in markets], [Interval.H1])
    return LabelFrequencies(fine.rules, fine.windows | coarse.windows, fine.shares + coarse.shares)


def test_every_setup_direction_and_phase_occurs(table: LabelFrequencies):
    assert min(table.windows.values()) > 5_000
    for share in table.shares:
        assert share.share >= 0.005, share


def test_none_is_the_commonest_setup(table: LabelFrequencies):
    for interval in table.windows:
        setups = [s for s in table.shares if s.facet == "setup" and s.interval is interval]
        assert max(setups, key=lambda s: s.share).name == "none"


def test_labels_last(table: LabelFrequencies):
    for interval in table.windows:
        setups = [s for s in table.shares if s.facet == "setup" and s.interval is interval]
        runs = [(s.median_bars, s.runs) for s in setups if s.name != "none"]
        bars, counts = (np.array(column) for column in zip(*runs, strict=True))
        assert np.average(bars, weights=counts) >= 2.5
        assert bars.min() >= 2
        phases = [s.median_bars for s in table.shares if s.facet == "phase"]
        assert min(phases) >= 8
