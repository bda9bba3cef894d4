"""Places where rules hold, against the rule book's own answers."""

import numpy as np
import pytest

from vision_ai.domain import READINGS, Direction, Interval, Setup
from vision_ai.labels import rules
from vision_ai.labels.boxes import BOX_SEGMENTS, FLOOR_SEGMENTS
from vision_ai.labels.regions import matched_regions
from vision_ai.market.simulate import simulate

BOX = {Setup.TRAP: 1, Setup.FAKEOUT: 2, Setup.BREAKOUT: 3, Setup.BREAKOUT_CONTINUATION: 4}
LEG = {Setup.PULLBACK: 0, Setup.EXHAUSTION: 1, Setup.REVERSAL: 2}


@pytest.fixture(scope="module")
def bars():
    markets = [
        simulate("AAAUSDT", Interval.M15, 1500, seed=s, end_ms=1_720_051_200_000) for s in range(6)
    ]
    return np.concatenate([market.windows(market.window_ends()[::5]) for market in markets])


def test_a_named_setup_holds_somewhere_on_its_own_side(bars):
    stretches, turns = matched_regions(bars)
    codes = rules.label(bars).reading
    seen = set()
    for code in np.unique(codes):
        reading, rows = READINGS[code], codes == code
        side = 0 if reading.direction is Direction.LONG else 1
        setup = reading.setup
        if setup in (Setup.SUPPORT_RETEST, Setup.RESISTANCE_REJECTION):
            assert stretches[rows, side][:, :, [5, 6]].any(axis=(1, 2)).all()
        elif setup is Setup.RANGE:
            assert stretches[rows, 0, :, 0].any(axis=1).all()
        elif setup in BOX:
            assert stretches[rows, side, :, BOX[setup]].any(axis=1).all()
        elif setup in LEG:
            assert turns[rows, side, :, LEG[setup]].any(axis=1).all()
        else:
            assert not stretches[rows, :, :, 1:5].any()
        seen.add(setup)
    assert len(seen) > 8


def test_rules_of_boxes_and_of_floors_keep_to_their_stretches(bars):
    stretches, turns = matched_regions(bars)
    assert stretches.shape[1:] == (2, len(BOX_SEGMENTS) + len(FLOOR_SEGMENTS), 8)
    assert not stretches[:, :, : len(BOX_SEGMENTS), 6].any()
    assert not stretches[:, :, len(BOX_SEGMENTS) :, :6].any()
    assert turns.sum(axis=2).max() == 1  # a leg ends once


def test_whatever_holds_holds_where_there_is_a_box_or_a_floor(bars):
    stretches, _ = matched_regions(bars)
    held, stands = stretches[..., :7].any(axis=-1), stretches[..., 7]
    assert held.any()
    assert not (held & ~stands).any()
    assert held.sum() < 0.8 * stands.sum()  # to be a box is not yet to mean anything
    boxes = stands[:, :, : len(BOX_SEGMENTS)]
    assert (boxes[:, 0] == boxes[:, 1]).all()  # a box is one in the mirror too


def test_the_mirrored_chart_has_the_same_places_on_the_other_side(bars):
    turned = bars.copy()
    turned[..., :4] = 1 / bars[..., [0, 2, 1, 3]]
    for upright, mirrored in zip(matched_regions(bars), matched_regions(turned), strict=True):
        assert (upright[:, ::-1] == mirrored).mean() > 0.9999
