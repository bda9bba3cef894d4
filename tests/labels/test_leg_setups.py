"""Facts of legs and the fitted halves of a chart; the rules themselves: test_box_setups.py."""

import numpy as np
import pytest

from tests.labels.plain_rules import jittered_examples, plain_charts
from tests.labels.walks import walks
from vision_ai.domain import WINDOW
from vision_ai.labels import leg_setups
from vision_ai.labels.examples import mirrored
from vision_ai.labels.measured_charts import MeasuredCharts
from vision_ai.labels.normalized_bars import NormalizedBars
from vision_ai.labels.thresholds import Thresholds

BASE = Thresholds()


@pytest.fixture(scope="module")
def charts() -> np.ndarray:
    return np.concatenate([jittered_examples(1), walks(20, 11)])


def test_facts_of_a_leg_are_its_size_its_length_and_what_is_retraced(charts):
    measured = MeasuredCharts.of(NormalizedBars.of(charts), BASE)
    match = leg_setups.pullback(measured, BASE)
    up, _ = plain_charts(charts, BASE)
    for row, chart in enumerate(up):
        age, start, leg = chart.leg(chart.soft_h, chart.soft_l)
        assert match.age[row] == age
        assert match.facts["leg_bars"][row] == WINDOW - 1 - age - start
        assert match.facts["leg_atr"][row] == pytest.approx(leg / chart.unit)
        high = chart.soft_h[WINDOW - 1 - age]
        assert match.facts["retraced"][row] == pytest.approx(high / max(leg, chart.unit))


def test_retraced_of_a_reversal_is_what_the_last_close_has_taken_back(charts):
    measured = MeasuredCharts.of(NormalizedBars.of(charts), BASE)
    match = leg_setups.reversal(measured, BASE)
    assert match.holds.any()
    for row in np.flatnonzero(match.holds):
        low, leg = match.facts["level"][row], match.facts["leg_atr"][row] * measured.unit[row]
        assert low < 0
        assert match.facts["retraced"][row] == pytest.approx(-low / leg)
        assert match.facts["retraced"][row] >= BASE.reversal_close_of_leg


def test_a_legs_rule_has_no_segments(charts):
    measured = MeasuredCharts.of(NormalizedBars.of(charts), BASE)
    for rule in (leg_setups.pullback, leg_setups.exhaustion, leg_setups.reversal):
        assert rule(measured, BASE).segments is None


def test_half_trends_of_a_mirrored_chart_are_negated(charts):
    upright, turned = (
        leg_setups.half_trends(MeasuredCharts.of(NormalizedBars.of(bars), BASE))
        for bars in (charts, mirrored(charts))
    )
    for one, other in zip(upright, turned, strict=True):
        np.testing.assert_allclose(one, -other, atol=1e-6)
    assert np.abs(upright[2]).max() <= 0.5
