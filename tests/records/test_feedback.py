"""Lines of feedback, verdicts of the gate and proposals, under their names of today and before."""

import json

import pytest
from pydantic import ValidationError

from tests.feedback.examples import line
from vision_ai.domain import Horizon, Interval
from vision_ai.records import (
    UPDATE_MODES,
    ConfidenceShift,
    ExemplarFactor,
    Feedback,
    GateAttempt,
    PartVerdict,
    UpdateProposal,
)

PART = PartVerdict(
    name="bands 6h", cases=9, wins=5, losses=3, ties=1, p_value=0.4, level=0.01, better=False,
    figures={"width_factor": 1.2},
)  # fmt: skip
ATTEMPT = GateAttempt(
    number=2, mode="finetune", made_at="2025-06-15T12:00:00Z", champion="m1", horizon=Horizon.H6,
    alpha=0.05, learned_until="2025-06-01T00:00:00Z", judged_from="2025-06-05T00:00:00Z",
    judged_until="2025-06-15T12:00:00Z", learned=10, judged=9, days=9, parts=[PART],
    promote=False,
)  # fmt: skip
PROPOSAL = UpdateProposal(
    made_at="2025-06-15T12:00:00Z", mode="reweight", horizon=Horizon.H6, lines=9, samples=8.5,
    base_rate=0.4, recalibration=[ConfidenceShift(low=0.7, high=0.8, samples=9, delta=-0.1)],
    exemplars=[
        ExemplarFactor(
            symbol="BTCUSDT", interval=Interval.M15, as_of="2025-06-01T00:00:00Z", factor=1.1,
            samples=3.5, hits=2.0,
        )
    ],
    width_factor={Horizon.H2: 1.3}, attempt=ATTEMPT, outcome="nothing proved better",
)  # fmt: skip
OLD_NAMES = {"width_factor": "stretch", "mode": "rung"}


@pytest.mark.parametrize("record", [line(), ATTEMPT, PROPOSAL], ids=["line", "attempt", "proposal"])
def test_each_is_read_under_both_names_and_written_under_the_new(record) -> None:
    text = record.model_dump_json()
    assert not any(f'"{name}"' in text for name in OLD_NAMES.values())
    before = text.replace('"figures":{"width_factor"', '"figures":{"as is"')
    for new, old in OLD_NAMES.items():
        before = before.replace(f'"{new}":', f'"{old}":')
    before = before.replace('"figures":{"as is"', '"figures":{"width_factor"')
    assert before != text
    assert type(record).model_validate_json(before) == record


def test_modes_are_those_of_the_user() -> None:
    assert UPDATE_MODES == ("log-only", "reweight", "finetune")
    with pytest.raises(ValidationError, match="log-only"):
        UpdateProposal.model_validate(PROPOSAL.model_dump() | {"mode": "sometimes"})


def test_a_mode_left_out_is_what_it_always_was() -> None:
    attempt = json.loads(ATTEMPT.model_dump_json())
    proposal = json.loads(PROPOSAL.model_dump_json())
    del attempt["mode"], proposal["mode"]
    assert GateAttempt.model_validate(attempt).mode == "reweight"
    assert UpdateProposal.model_validate(proposal).mode == "log-only"


@pytest.mark.parametrize("factor", [0.49, 2.01])
def test_no_exemplar_is_changed_beyond_its_bounds(factor: float) -> None:
    content = PROPOSAL.exemplars[0].model_dump() | {"factor": factor}
    with pytest.raises(ValidationError, match="factor"):
        ExemplarFactor.model_validate(content)


@pytest.mark.parametrize(
    "change",
    [{"move": float("nan")}, {"confidence": 2}, {"horizon": "3h"}, {"first": "maybe"},
     {"width_factor": float("inf")}, {"as_of": "yesterday"}, {"v": 2}],
    ids=str,
)  # fmt: skip
def test_a_line_refuses_what_cannot_be(change) -> None:
    with pytest.raises(ValidationError):
        Feedback.model_validate(line().model_dump() | change)


def test_a_line_of_the_first_days_lacks_what_came_later() -> None:
    later = {"venue", "entry", "target", "stop", "first_at", "level", "width_factor", "chart"}
    content = {key: value for key, value in line().model_dump().items() if key not in later}
    read = Feedback.model_validate(content)
    assert (read.venue, read.entry, read.level, read.width_factor) == ("bybit-linear", *[None] * 3)
