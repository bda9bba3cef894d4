"""`update_cv_model_weights`: outcomes to a written proposal, or to a version that proves better."""

import logging
from collections.abc import Callable, Collection
from dataclasses import dataclass

from vision_ai import storage
from vision_ai.config import Paths
from vision_ai.domain import Horizon, iso
from vision_ai.errors import InputError
from vision_ai.feedback import journal, tuning
from vision_ai.feedback.challenge import (
    ALPHA,
    Challenge,
    Fold,
    challenge,
    days_needed,
    fold,
    propose_from,
)
from vision_ai.feedback.tuning import Stages, Tune, stages
from vision_ai.feedback.weights import ExemplarKey, propose
from vision_ai.records import Feedback, GateAttempt, Prediction, UpdateMode, UpdateProposal

logger = logging.getLogger(__name__)


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
        tune: trains a challenger from its weights; needed on the mode `finetune`.
        since: ISO time at which it came into use; empty where that is not known.
    """

    version: str
    exemplars: Collection[ExemplarKey]
    publish: Callable[[Challenge], str]
    promote: Callable[[str], None]
    was_cut_short: Callable[[str], bool]
    tune: Tune | None = None
    since: str = ""


def update_cv_model_weights(
    paths: Paths,
    now_ms: int,
    mode: UpdateMode = "log-only",
    *,
    champion: Champion | None = None,
    horizon: Horizon = Horizon.H6,
    alpha: float = ALPHA,
) -> UpdateProposal:
    """Work out what the outcomes known at `now_ms` would change, and write it down.

    On the mode `log-only` no model, index or calibration is touched. On `reweight` the earlier
    outcomes make a challenger, the later ones judge it, and what proves better becomes a version
    that replaces the champion. On `finetune` the challenger is a model: trained from the
    champion's weights on the earliest resolved charts, mixed with them as the next ones say, and
    judged on the latest. A process killed at any instant leaves the champion in place or the
    whole new version; the next call finishes a promotion that was cut short. Called again at the
    same `now_ms` it leaves every file as one undisturbed call would have.

    Args:
        paths: where predictions, logs and models are, and where the proposal goes.
        now_ms: the clock; later outcomes are ignored.
        mode: how far to go.
        champion: the model in use; needed to go further than `log-only`.
        horizon: whose verdicts judge exemplars and confidence.
        alpha: chance of ever promoting one that is no better, over all attempts.

    Raises:
        InputError: a mode that needs a champion has none, or one that cannot be trained.
        StorageError: something could not be written; the champion stays in use.
    """
    lines, bad = journal.read_logs(paths)
    predictions, damaged = journal.read_predictions(paths)
    for line in bad:
        logger.warning("Not counted: %s", line)
    for why in damaged.values():
        logger.warning("Not counted: %s", why)
    if mode == "log-only":
        proposal = propose(predictions, lines, now_ms, horizon=horizon)
    elif champion is None:
        raise InputError(f"The mode {mode} needs the model in use.", hint="Pass `champion`.")
    else:
        step = UpdateStep(paths, now_ms, champion, horizon, alpha, mode)
        proposal = step.take(predictions, lines)
    storage.write_document(paths.proposal(now_ms), proposal)
    return proposal


@dataclass(frozen=True)
class UpdateStep:
    """One try at a mode that may change the model, with lines that somebody has read."""

    paths: Paths
    now_ms: int
    champion: Champion
    horizon: Horizon
    alpha: float
    mode: UpdateMode = "reweight"

    def take(self, predictions: list[Prediction], lines: list[Feedback]) -> UpdateProposal:
        """Finish what was cut short, wait for more days, or make an attempt."""
        earlier, bad = journal.read_attempts(self.paths)
        for line in bad:
            logger.warning("Counted as spent, with an unknown verdict: %s", line)
        proposal = propose(predictions, lines, self.now_ms, horizon=self.horizon)
        made = self._made_in_this_step(earlier)
        if made is not None:
            return self._repeated(made, proposal, earlier, predictions, lines)
        unfinished = self._unfinished(earlier)
        if unfinished is not None:
            self._promote(unfinished)
            outcome = f"Model {unfinished.version} is in use: its promotion was cut short earlier."
            return self._with(proposal, outcome, unfinished)
        last = max((attempt.number for attempt in earlier), default=0)
        number = max(last, len(earlier) + len(bad)) + 1
        own = [attempt for attempt in earlier if attempt.mode == self.mode]
        if self.mode == "finetune":
            return self._tune(proposal, lines, own, number)
        return self._reweigh(proposal, predictions, fold(lines, *self._own_history(own)), number)

    def _own_history(self, earlier: list[GateAttempt]) -> tuple[str, list[GateAttempt], int]:
        return self.champion.version, earlier, self.now_ms

    def _made_in_this_step(self, earlier: list[GateAttempt]) -> GateAttempt | None:
        """The attempt of this very step, if an earlier run was stopped after writing it down.

        Not if its version has come into use and was taken back: then this is another step.
        """
        if not earlier or (earlier[-1].made_at, earlier[-1].mode) != (iso(self.now_ms), self.mode):
            return None
        made = earlier[-1]
        if self.champion.version == made.champion:
            waits = made.version is None or self.champion.was_cut_short(made.version)
            return made if waits else None
        return made if self.champion.version == made.version else None

    def _repeated(
        self,
        made: GateAttempt,
        proposal: UpdateProposal,
        earlier: list[GateAttempt],
        predictions: list[Prediction],
        lines: list[Feedback],
    ) -> UpdateProposal:
        """Finish the step that made an attempt; propose the same as if nothing had stopped it."""
        if made.mode == "reweight":
            before = [one for one in earlier if one.mode == made.mode and one.number < made.number]
            split = fold(lines, made.champion, before, self.now_ms)
            if split is not None:
                proposal = propose_from(predictions, split, self.horizon)
        unwritten = made.model_copy(update={"line": 0, "check": ""})
        return self._with(proposal, self._finished(unwritten), unwritten)

    def _unfinished(self, earlier: list[GateAttempt]) -> GateAttempt | None:
        """An earlier step's attempt whose promotion never came, or came in this very step."""
        for attempt in reversed(earlier):
            if attempt.version is not None and attempt.version == self.champion.version:
                return attempt if self.champion.since == iso(self.now_ms) else None
            if attempt.champion == self.champion.version:
                cut = attempt.version is not None and self.champion.was_cut_short(attempt.version)
                return attempt if cut else None
        return None

    def _promote(self, attempt: GateAttempt) -> None:
        """Bring what passed into use, unless it is already."""
        if attempt.version and attempt.version != self.champion.version:
            self.champion.promote(attempt.version)

    def _reweigh(
        self,
        proposal: UpdateProposal,
        predictions: list[Prediction],
        split: Fold | None,
        number: int,
    ) -> UpdateProposal:
        needed = days_needed(number, alpha=self.alpha)
        if split is None or split.days < needed:
            return self._with(proposal, self._waiting(split, needed))
        tried = challenge(
            predictions,
            split,
            self.champion.exemplars,
            number=number,
            horizon=self.horizon,
            alpha=self.alpha,
        )
        concluded = self._conclude(tried.attempt, lambda _: self.champion.publish(tried))
        return self._with(tried.proposal, *concluded)

    def _tune(
        self,
        proposal: UpdateProposal,
        lines: list[Feedback],
        earlier: list[GateAttempt],
        number: int,
    ) -> UpdateProposal:
        if self.champion.tune is None:
            raise InputError("This champion cannot be trained.", hint="Pass `champion.tune`.")
        split = stages(lines, *self._own_history(earlier), number=number)
        needed = days_needed(number, alpha=self.alpha, parts=1)
        if split is None or split.days < needed:
            return self._with(proposal, self._waiting(split, needed))
        tuned = self.champion.tune(split)
        if isinstance(tuned, str):
            return self._with(proposal, self._stays(tuned))
        if not tuned.mix:
            why = "no mix with the trained weights read the charts that choose any better."
            return self._with(proposal, self._stays(why))
        verdict = tuning.attempt(tuned, split, alpha=self.alpha)
        return self._with(proposal, *self._conclude(verdict, tuned.publish))

    def _waiting(self, split: Fold | Stages | None, needed: int) -> str:
        days = split.days if split else 0
        return self._stays(f"{days} days of its own outcomes to judge on, {needed} are needed.")

    def _stays(self, why: str) -> str:
        return f"Model {self.champion.version} stays: {why} Nothing was attempted."

    def _conclude(
        self, attempt: GateAttempt, publish: Callable[[GateAttempt], str]
    ) -> tuple[str, GateAttempt]:
        """Publish what passed, write the attempt down, and only then bring the version into use."""
        if attempt.promote:
            attempt = attempt.model_copy(update={"version": publish(attempt)})
        if not journal.append_attempt(self.paths, attempt):
            return "Another run made this attempt meanwhile; nothing was changed here.", attempt
        return self._finished(attempt), attempt

    def _finished(self, attempt: GateAttempt) -> str:
        """Bring what passed into use; tell what became of an attempt that is written down."""
        if not attempt.version:
            return f"Model {self.champion.version} stays: nothing proved better."
        self._promote(attempt)
        parts = ", ".join(part.name for part in attempt.parts if part.better)
        return f"Model {attempt.version} is in use: better on the later fold ({parts})."

    def _with(
        self, proposal: UpdateProposal, outcome: str, attempt: GateAttempt | None = None
    ) -> UpdateProposal:
        changes = {"mode": self.mode, "attempt": attempt, "outcome": outcome}
        return proposal.model_copy(update=changes)
