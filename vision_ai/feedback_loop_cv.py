"""The loop that learns from its outcomes: what followed each prediction, and what that says.

due.py      what has to be resolved, and which candles that takes
touches.py  which came first, target or stop
outcome.py  what followed one prediction within one horizon
journal.py  predictions and logs on disk, damaged lines named
loop.py     one round: fetch once per span, write each line once
figures.py  hit rates, calibration, coverage, best and worst calls
report.py   the same as Markdown with plots
weights.py  what the outcomes would change in the model
gate.py     whether a challenger may replace the champion
attempts.py every time the gate was asked
challenge.py a challenger made of earlier outcomes, judged on later ones
tuning.py   three stretches of resolved charts: to train on, to choose a mix on, to judge on
update.py   the three rungs: written down, or made into a version that proved better
"""

from vision_ai.feedback.attempts import RUNGS, Attempt, Part, Rung
from vision_ai.feedback.challenge import Challenge, Fold, challenge, days_needed, fold, later_fold
from vision_ai.feedback.due import Due, Errand, Span, Waiting, key, pending, plan
from vision_ai.feedback.figures import Filters, Review, review, wilson
from vision_ai.feedback.journal import (
    Journal,
    append,
    open_journal,
    prediction_files,
    read_log,
    read_logs,
    read_prediction,
    read_predictions,
)
from vision_ai.feedback.loop import Round, Source, run, settle
from vision_ai.feedback.outcome import give_up, resolve
from vision_ai.feedback.report import markdown, write
from vision_ai.feedback.tuning import Stages, Tune, Tuned, quadratic, stages
from vision_ai.feedback.update import Champion, Turn, update_cv_model_weights
from vision_ai.feedback.weights import (
    Place,
    Proposal,
    exemplar_weights,
    outcome_shares,
    propose,
    recalibration,
    track_stretch,
)
from vision_ai.measures.gate import Trial, compare, sign_test, spend, wager

__all__ = [
    "RUNGS",
    "Attempt",
    "Challenge",
    "Champion",
    "Due",
    "Errand",
    "Filters",
    "Fold",
    "Journal",
    "Part",
    "Place",
    "Proposal",
    "Review",
    "Round",
    "Rung",
    "Source",
    "Span",
    "Stages",
    "Trial",
    "Tune",
    "Tuned",
    "Turn",
    "Waiting",
    "append",
    "challenge",
    "compare",
    "days_needed",
    "exemplar_weights",
    "fold",
    "give_up",
    "key",
    "later_fold",
    "markdown",
    "open_journal",
    "outcome_shares",
    "pending",
    "plan",
    "prediction_files",
    "propose",
    "quadratic",
    "read_log",
    "read_logs",
    "read_prediction",
    "read_predictions",
    "recalibration",
    "resolve",
    "review",
    "run",
    "settle",
    "sign_test",
    "spend",
    "stages",
    "track_stretch",
    "update_cv_model_weights",
    "wager",
    "wilson",
    "write",
]
