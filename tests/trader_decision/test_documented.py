"""docs/decision.md: every rule, weight, threshold and example in it is that of the code."""

import itertools
import re
from pathlib import Path

import numpy as np
import pytest

from tests.trader_decision.test_features import climb_and_give_back, path
from tests.trader_decision.test_verdict import context, decide, said
from vision_ai.config import load
from vision_ai.domain import Direction, Floats, Setup
from vision_ai.trader_decision import CV_RULES, GRADES, WEIGHTS, features, rules

PAGE = (Path(__file__).parents[2] / "docs" / "decision.md").read_text()


def tables(name: str, number: int = 0) -> list[list[str]]:
    """Rows of a table under a heading of docs/decision.md."""
    part = PAGE.split(f"## {name}\n", 1)[1].split("\n## ", 1)[0]
    blocks = itertools.groupby(part.splitlines(), lambda line: line.startswith("|"))
    rows = [list(block) for is_table, block in blocks if is_table][number]
    return [[cell.strip().strip("`") for cell in row.strip("|").split("|")] for row in rows][2:]


def test_the_documented_weights_are_those_of_the_code() -> None:
    documented = {row[0]: float(row[1]) for row in tables("Features")}
    assert documented == WEIGHTS
    assert sum(WEIGHTS.values()) == pytest.approx(1)
    assert all(row[3] for row in tables("Features"))


def climb(candles: int = 96, factor: float = 1.002) -> Floats:
    return path(list(100 * factor ** np.arange(candles)))


def bounced() -> Floats:
    """Down to the floor of an even market, and up by more than two true ranges."""
    return path([*[100.0, 101.0] * 44, 100.0, 101.0, 102.0, 103.0])


PICTURES: dict[str, tuple[Floats, Floats | None]] = {
    "a straight climb": (climb(), None),
    "a flat chart": (path([100.0]), None),
    "half of 38.2 % given back": (climb_and_give_back(0.191), None),
    "low at the floor, close two TR above": (bounced(), None),
    "half the volume with the trend, no sweep": (path([100.0, 101.0] * 48), None),
    "no wick, no climax": (climb(), None),
    "hours against the trend": (climb(), climb(factor=0.998)),
    "a directed climb": (climb(), None),
    "no net move": (path([100.0, 101.0] * 47 + [100.0, 100.0]), None),
}
"""The charts of the documented examples: quarter hours, and hours."""


def test_the_documented_examples_of_the_features_are_measured() -> None:
    told = set()
    for row in tables("Features"):
        for example in row[4].split("; "):
            name, value = re.fullmatch(r"(.+): ([\d.]+)(?:, .*)?", example).groups()
            measured = features.compute(*PICTURES[name])[row[0]]
            assert measured == pytest.approx(float(value), abs=0.01), example
            added = re.search(r"which adds ([\d.]+)", example)
            if added:
                shown = decide(context(0.0, **{row[0]: measured}))
                assert shown["score_breakdown"][row[0]] == float(added[1])
            told.add(name)
    assert told == set(PICTURES)


def test_the_documented_rules_are_those_of_the_code() -> None:
    documented = tables("Rules of the model")
    assert [row[0] for row in documented] == list(CV_RULES)
    for row, (name, rule) in zip(documented, CV_RULES.items(), strict=True):
        assert (row[1], float(row[2]), float(row[3]), row[4]) == (
            rule.setup,
            rule.min_confidence,
            rule.delta,
            rule.reason,
        )
        (setup,) = re.findall(r"`?(\w+)` at", row[6])
        confidence, before, after = (float(number) for number in re.findall(r"\d\.\d+", row[6]))
        shift = decide(context(before, psych_score=1 - before), said(Setup(setup), confidence))
        assert shift["score_breakdown"][name] == rule.delta
        assert shift["final_score"] == pytest.approx(after)


def test_the_documented_rule_of_the_settings_does_what_it_says(tmp_path: Path) -> None:
    settings = tmp_path / "vision_ai.toml"
    settings.write_text(PAGE.split("```toml\n", 1)[1].split("```", 1)[0])
    config = load(settings, {}).decision
    (rule,) = config.rules
    (row,) = tables("Rules of the model", number=1)
    told = (row[1], row[2], float(row[3]), float(row[4]), row[5])
    assert told == (rule.setup, rule.direction, rule.min_confidence, rule.delta, rule.reason)
    confidence, before, after = (float(number) for number in re.findall(r"\d\.\d+", row[7]))
    call = said(Setup(row[1]), confidence, direction=Direction(row[2]))
    shift = decide(context(before, psych_score=1 - before), call, config=config)
    assert shift["score_breakdown"][row[0]] == rule.delta
    assert shift["final_score"] == pytest.approx(after)


def test_the_documented_thresholds_are_those_of_the_code() -> None:
    assert {row[0]: row[1] for row in tables("Thresholds")} == {
        f"{rules.JOIN:.2f}": "join",
        f"{rules.CONSIDER:.2f}": "consider",
        "below": "avoid",
    }
    assert [(row[0], row[1]) for row in tables("Grades")] == [
        *((f"{lowest:.2f}", name) for lowest, name in GRADES),
        ("below", "very_poor"),
    ]
