"""`update_cv_model_weights`: outcomes to a written proposal, or to a version that proved better."""

from collections.abc import Callable, Collection
from dataclasses import dataclass

from vision_ai import records
from vision_ai.config import Paths
from vision_ai.domain import Horizon
from vision_ai.errors import InputError
from vision_ai.feedback_loop_cv import attempts, journal
from vision_ai.feedback_loop_cv.attempts import Attempt
from vision_ai.feedback_loop_cv.challenge import ALPHA, Challenge, challenge, days_needed, fold
from vision_ai.feedback_loop_cv.weights import Place, Proposal, Rung, propose
from vision_ai.records import Feedback, Prediction


@dataclass(frozen=True)
class Champion:
    """The model in use, as far as feedback has to know models.

    Attributes:
        version: its name; only outcomes of its own predictions count.
        exemplars: those whose weight can be changed.
        publish: makes a version of what passed, not yet in use; gives its name. Doing it twice
            with the same changes gives the same version.
        promote: brings a version into use.
        was_cut_short: whether a version that passed never came into use.
    """

    version: str
    exemplars: Collection[Place]
    publish: Callable[[Challenge], str]
    promote: Callable[[str], None]
    was_cut_short: Callable[[str], bool]


def update_cv_model_weights(
    paths: Paths,
    now_ms: int,
    rung: Rung = "log-only",
    *,
    champion: Champion | None = None,
    horizon: Horizon = Horizon.H6,
    alpha: float = ALPHA,
) -> Proposal:
    """Work out what the outcomes known at `now_ms` would change, and write it down.

    On the rung `log-only` no model, index or calibration is touched. On `reweight` the earlier
    outcomes make a challenger, the later ones judge it, and what proves better becomes a version
    that replaces the champion. A process killed at any instant leaves the champion in place or
    the whole new version; the next call finishes a promotion that was cut short.

    Args:
        paths: where predictions, logs and models are, and where the proposal goes.
        now_ms: the clock; later outcomes are ignored.
        rung: how far to go.
        champion: the model in use; needed to go further than `log-only`.
        horizon: whose verdicts judge exemplars and confidence.
        alpha: chance of ever promoting one that is no better, over all attempts.

    Raises:
        InputError: `reweight` without a champion.
        StorageError: something could not be written; the champion stands.
    """
    lines, _ = journal.read_logs(paths)
    predictions, _ = journal.read_predictions(paths)
    if rung == "log-only":
        proposal = propose(predictions, lines, now_ms, horizon=horizon)
    elif champion is None:
        raise InputError("Reweighting needs the model in use.", hint="Pass `champion`.")
    else:
        turn = Turn(paths, now_ms, champion, horizon, alpha)
        proposal = turn.take(predictions, lines)
    records.write_document(paths.proposal(now_ms), proposal)
    return proposal


@dataclass(frozen=True)
class Turn:
    """One try at the rung `reweight`, with predictions and lines that somebody has read."""

    paths: Paths
    now_ms: int
    champion: Champion
    horizon: Horizon
    alpha: float

    def take(self, predictions: list[Prediction], lines: list[Feedback]) -> Proposal:
        """Finish what was cut short, wait for more days, or make an attempt."""
        earlier = attempts.read(self.paths)
        unfinished = self._unfinished(earlier)
        if unfinished is not None and unfinished.version:
            self.champion.promote(unfinished.version)
            said = f"Model {unfinished.version} is in use: its promotion was cut short earlier."
            return self._proposal(predictions, lines, said, unfinished)
        number = max((attempt.number for attempt in earlier), default=0) + 1
        parted = fold(lines, self.champion.version, earlier, self.now_ms)
        needed = days_needed(number, alpha=self.alpha)
        days = parted.days if parted else 0
        if parted is None or days < needed:
            said = (
                f"Model {self.champion.version} stays: {days} days of its own outcomes to judge "
                f"on, {needed} are needed. Nothing was attempted."
            )
            return self._proposal(predictions, lines, said)
        tried = challenge(
            predictions,
            parted,
            self.champion.exemplars,
            number=number,
            horizon=self.horizon,
            alpha=self.alpha,
        )
        return self._conclude(tried)

    def _unfinished(self, earlier: list[Attempt]) -> Attempt | None:
        for attempt in reversed(earlier):
            if attempt.champion == self.champion.version:
                cut = attempt.version is not None and self.champion.was_cut_short(attempt.version)
                return attempt if cut else None
        return None

    def _conclude(self, tried: Challenge) -> Proposal:
        attempt = tried.attempt
        if attempt.promote:
            version = self.champion.publish(tried)
            attempt = attempt.model_copy(update={"version": version})
        if not attempts.append(self.paths, attempt):
            said = "Another run made this attempt meanwhile; nothing was changed here."
        elif attempt.version:
            self.champion.promote(attempt.version)
            parts = ", ".join(part.name for part in attempt.parts if part.better)
            said = f"Model {attempt.version} is in use: better on the later fold ({parts})."
        else:
            said = f"Model {self.champion.version} stays: nothing proved better."
        changes = {"rung": "reweight", "attempt": attempt, "outcome": said}
        return tried.proposal.model_copy(update=changes)

    def _proposal(
        self,
        predictions: list[Prediction],
        lines: list[Feedback],
        said: str,
        attempt: Attempt | None = None,
    ) -> Proposal:
        proposal = propose(predictions, lines, self.now_ms, horizon=self.horizon)
        changes = {"rung": "reweight", "attempt": attempt, "outcome": said}
        return proposal.model_copy(update=changes)
