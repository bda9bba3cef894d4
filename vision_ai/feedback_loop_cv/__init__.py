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
"""

from vision_ai.feedback_loop_cv.due import Due, Errand, Span, Waiting, key, pending, plan
from vision_ai.feedback_loop_cv.figures import Filters, Review, review, wilson
from vision_ai.feedback_loop_cv.gate import Trial, compare, later_fold, sign_test, spend
from vision_ai.feedback_loop_cv.journal import (
    Journal,
    append,
    open_journal,
    read_log,
    read_logs,
    read_prediction,
    read_predictions,
)
from vision_ai.feedback_loop_cv.loop import Round, Source, run
from vision_ai.feedback_loop_cv.outcome import give_up, resolve
from vision_ai.feedback_loop_cv.report import markdown, write
from vision_ai.feedback_loop_cv.weights import (
    Proposal,
    exemplar_weights,
    outcome_shares,
    propose,
    recalibration,
    track_stretch,
    update_cv_model_weights,
)

__all__ = [
    "Due",
    "Errand",
    "Filters",
    "Journal",
    "Proposal",
    "Review",
    "Round",
    "Source",
    "Span",
    "Trial",
    "Waiting",
    "append",
    "compare",
    "exemplar_weights",
    "give_up",
    "key",
    "later_fold",
    "markdown",
    "open_journal",
    "outcome_shares",
    "pending",
    "plan",
    "propose",
    "read_log",
    "read_logs",
    "read_prediction",
    "read_predictions",
    "recalibration",
    "resolve",
    "review",
    "run",
    "sign_test",
    "spend",
    "track_stretch",
    "update_cv_model_weights",
    "wilson",
    "write",
]
