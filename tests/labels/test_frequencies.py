from collections import Counter

import numpy as np
import pytest

from tests.labels.walks import klines_of
from vision_ai.domain import PHASES, READINGS, SETUPS, Interval
from vision_ai.labels.frequencies import count_labels
from vision_ai.labels.rules import label


def test_shares_of_each_facet_sum_to_one():
    table = count_labels([klines_of(900, 1)])
    for interval in (Interval.M15, Interval.H1):
        for facet, size in (("setup", SETUPS), ("reading", READINGS), ("phase", PHASES)):
            rows = [s for s in table.shares if (s.interval, s.facet) == (interval, facet)]
            assert len(rows) == len(size)
            assert sum(row.share for row in rows) == pytest.approx(1)


def test_shares_and_runs_equal_a_count_by_hand():
    klines = klines_of(400, 3)
    codes = label(klines.windows(klines.window_ends())).phase
    table = count_labels([klines], [Interval.M15])
    counts = Counter(PHASES[code].value for code in codes)
    for row in (row for row in table.shares if row.facet == "phase"):
        assert row.share == pytest.approx(counts[row.name] / len(codes))
        mine = codes == list(PHASES).index(row.name)
        assert row.runs == int(np.sum(np.diff(np.r_[0, mine.astype(int)]) == 1))


def test_a_gap_ends_a_run():
    klines = klines_of(400, 3)
    whole = count_labels([klines], [Interval.M15])
    split = count_labels([klines[:250], klines[155:]], [Interval.M15])
    assert whole.windows == split.windows
    assert sum(s.runs for s in split.shares) >= sum(s.runs for s in whole.shares)


def test_coarse_candles_are_not_counted_as_fine_ones():
    table = count_labels([klines_of(300, 5, Interval.H1)])
    assert table.windows == {Interval.M15: 0, Interval.H1: 205}
    assert {share.interval for share in table.shares} == {Interval.H1}


def test_the_table_names_every_label_once():
    table = count_labels([klines_of(300, 5)], [Interval.M15])
    assert table.windows == {Interval.M15: 205}
    names = [(share.facet, share.name) for share in table.shares]
    assert len(set(names)) == len(names)
    assert ("reading", "breakout-continuation:short") in names
