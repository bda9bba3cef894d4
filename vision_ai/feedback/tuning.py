"""Three folds of resolved charts: to train a challenger, to choose how much of it, to judge it.

A fine-tuned challenger is meant to *read* charts better, so it is judged by the rule book's and
people's labels. Outcomes only tell when a chart is resolved; they are no labels.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from vision_ai.domain import Floats, Horizon, Ints, iso, parse_time
from vision_ai.feedback.challenge import DAY_MS, fold, later_fold
from vision_ai.measures import purge
from vision_ai.measures.significance import compare, spend_alpha
from vision_ai.records import Feedback, GateAttempt, PartVerdict

CHOOSING_SHARE = 0.3
"""Share of the time after learning in which the mix is chosen; the rest judges it."""


@dataclass(frozen=True)
class Stages:
    """Resolved calls of one champion in three folds; no chart shows candles of two of them.

    Attributes:
        champion: version that made the predictions.
        number: of the attempt that this would be.
        learned: outcomes complete at `until_ms`.
        choosing: charts from `EMBARGO_MS` after that on, complete at `chosen_until_ms`.
        judging: charts from `EMBARGO_MS` after that on.
        until_ms: end of learning.
        chosen_until_ms: end of choosing.
        now_ms: the clock.
    """

    champion: str
    number: int
    learned: list[Feedback]
    choosing: list[Feedback]
    judging: list[Feedback]
    until_ms: int
    chosen_until_ms: int
    now_ms: int

    @property
    def days(self) -> int:
        """UTC days of the judging calls."""
        return len({parse_time(line.as_of) // DAY_MS for line in self.judging})


@dataclass(frozen=True, eq=False)
class Tuned:
    """A trained challenger, its weights mixed with the champion's, and how both read the charts.

    Attributes:
        mix: share of the trained weights (the alpha of WiSE-FT); 0 if none beat the champion's.
        champion: float (n,), score of each judged chart, higher is better.
        challenger: float (n,), the same charts in the same order.
        day: int (n,), UTC day of each.
        figures: of both, on the judged charts.
        publish: makes a version of it, not yet in use, with this verdict; gives its name.
    """

    mix: float
    champion: Floats
    challenger: Floats
    day: Ints
    figures: Mapping[str, float]
    publish: Callable[[GateAttempt], str]


Tune = Callable[[Stages], Tuned | str]
"""Trains a challenger on the first fold and chooses its mix on the second; or why it cannot."""


def stages(
    lines: Iterable[Feedback],
    champion: str,
    earlier: Sequence[GateAttempt],
    now_ms: int,
    *,
    number: int = 1,
) -> Stages | None:
    """Split the champion's own resolved calls in time; None while there are none.

    A call counts once what followed it within the longest horizon is known. What judged an
    earlier fine-tuning is learned from and never judges again.
    """
    known = [line for line in lines if line.horizon is Horizon.H6 and line.move is not None]
    own = [attempt for attempt in earlier if attempt.mode == "finetune"]
    split = fold(known, champion, own, now_ms)
    if split is None:
        return None
    times = [parse_time(line.as_of) for line in split.judging] or [split.until_ms]
    cut_ms = purge.day_wall(min(times), max(times), CHOOSING_SHARE)
    choosing, judging = later_fold(split.judging, cut_ms)
    return Stages(
        champion, number, split.learned, choosing, judging, split.until_ms, cut_ms, now_ms
    )


def judge_readings(tuned: Tuned, *, level: float) -> PartVerdict:
    """Whether the challenger read more days better, by a sign test, and more on average too."""
    trial = compare(tuned.champion, tuned.challenger, tuned.day, alpha=level, attempt=1)
    gain = float((tuned.challenger - tuned.champion).mean()) if len(tuned.day) else 0.0
    return PartVerdict(
        name="readings",
        cases=len(tuned.day),
        wins=trial.wins,
        losses=trial.losses,
        ties=trial.ties,
        p_value=trial.p_value,
        level=level,
        better=trial.p_value <= level and gain > 0,
        figures={"mix": tuned.mix, "gain": round(gain, 6), **tuned.figures},
    )


def attempt(tuned: Tuned, split: Stages, *, alpha: float) -> GateAttempt:
    """The gate's verdict; the attempt's whole share of the error rate goes to the readings."""
    part = judge_readings(tuned, level=spend_alpha(alpha, split.number))
    return GateAttempt(
        number=split.number,
        mode="finetune",
        made_at=iso(split.now_ms),
        champion=split.champion,
        horizon=Horizon.H6,
        alpha=alpha,
        learned_until=iso(split.until_ms),
        judged_from=iso(purge.earliest_as_of(split.chosen_until_ms)),
        judged_until=iso(split.now_ms),
        learned=len(split.learned),
        judged=len(split.judging),
        days=split.days,
        parts=[part],
        promote=part.better,
    )
