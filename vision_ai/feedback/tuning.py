"""Three stretches of resolved charts: to train a challenger on, to choose its mix on, to judge on.

What a fine-tuned challenger is meant to do better is *reading* charts, and the truth about that
is the rule book's and people's labels. Outcomes say when a chart is resolved; they are no labels.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from vision_ai.domain import Floats, Horizon, Ints, iso, parse_time
from vision_ai.feedback.challenge import DAY_MS, fold, later_fold
from vision_ai.measures import purge
from vision_ai.measures.significance import compare, spend_alpha
from vision_ai.records import Feedback, GateAttempt, PartVerdict

CHOSEN = 0.3
"""Share of the time after learning on which the mix is chosen; the rest judges it."""


@dataclass(frozen=True)
class Stages:
    """Resolved calls of one champion, parted in time; no chart shows candles of two parts.

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
    """A challenger that was trained and mixed, and how both read the judged charts.

    Attributes:
        mix: share of the trained weights; 0 if none did better than the champion's own.
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
"""Trains a challenger on the first stretch and chooses its mix on the second; or why it cannot."""


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
    parted = fold(known, champion, own, now_ms)
    if parted is None:
        return None
    times = [parse_time(line.as_of) for line in parted.judging] or [parted.until_ms]
    cut_ms = purge.day_wall(min(times), max(times), CHOSEN)
    choosing, judging = later_fold(parted.judging, cut_ms)
    return Stages(
        champion, number, parted.learned, choosing, judging, parted.until_ms, cut_ms, now_ms
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


def attempt(tuned: Tuned, parted: Stages, *, alpha: float) -> GateAttempt:
    """The gate's verdict; the attempt's whole share of the error rate goes to the readings."""
    part = judge_readings(tuned, level=spend_alpha(alpha, parted.number))
    return GateAttempt(
        number=parted.number,
        mode="finetune",
        made_at=iso(parted.now_ms),
        champion=parted.champion,
        horizon=Horizon.H6,
        alpha=alpha,
        learned_until=iso(parted.until_ms),
        judged_from=iso(purge.earliest_as_of(parted.chosen_until_ms)),
        judged_until=iso(parted.now_ms),
        learned=len(parted.learned),
        judged=len(parted.judging),
        days=parted.days,
        parts=[part],
        promote=part.better,
    )
