import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vision_ai.labels.thresholds import AT_LEAST, AT_MOST, Thresholds

FIELDS = dataclasses.fields(Thresholds)


@pytest.mark.parametrize("field", FIELDS, ids=lambda field: field.name)
@given(strictness=st.floats(0.01, 0.5))
def test_stricter_raises_what_must_be_reached_and_lowers_what_may_not_be_passed(field, strictness):
    strict, loose = Thresholds().scaled(strictness), Thresholds().scaled(-strictness)
    base, sign = getattr(Thresholds(), field.name), field.metadata["strict"]
    assert sign in (AT_LEAST, AT_MOST)
    assert sign * getattr(strict, field.name) > sign * base > sign * getattr(loose, field.name)
    assert getattr(strict, field.name) == pytest.approx(base * (1 + sign * strictness))


def test_scaling_by_nothing_changes_nothing():
    assert Thresholds().scaled(0.0) == Thresholds()


@pytest.mark.parametrize(
    "field", [f for f in FIELDS if f.name.endswith("_bars")], ids=lambda f: f.name
)
def test_a_limit_in_bars_lies_between_two_whole_bars(field):
    assert field.default % 1 == 0.5
