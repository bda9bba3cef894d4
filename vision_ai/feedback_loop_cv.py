"""The loop that learns from its outcomes: what followed each prediction, and what that says.

pending.py    which horizons of which predictions have no line yet, and which candles that takes
outcome.py    what followed one prediction within one horizon
loop.py       one pass: fetch candles once per span, write each line once
journal.py    predictions, logs and attempts on disk, damaged lines named
review.py     hit rates, calibration, coverage, best and worst calls; also as Markdown with plots
weights.py    what the outcomes would change in the model
challenge.py  a challenger made of earlier outcomes, judged on later ones
tuning.py     a challenger trained on resolved charts: train, choose, judge
update.py     the three modes: written down, or made into a version that proved better
"""

from vision_ai.feedback.challenge import Challenge, Fold, challenge, days_needed, fold, later_fold
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
from vision_ai.feedback.loop import FeedbackPass, Source, resolve_pending, run
from vision_ai.feedback.outcome import expire, resolve
from vision_ai.feedback.pending import (
    CandleSpan,
    FetchBatch,
    PendingOutcome,
    WaitingOutcome,
    find_pending,
    key,
    plan,
)
from vision_ai.feedback.review import Filters, Review, markdown, review, wilson, write
from vision_ai.feedback.tuning import Stages, Tune, Tuned, stages
from vision_ai.feedback.update import Champion, UpdateStep, update_cv_model_weights
from vision_ai.feedback.weights import (
    ExemplarKey,
    exemplar_weights,
    outcome_shares,
    propose,
    recalibration,
    track_width_factor,
)
from vision_ai.measures.significance import (
    Comparison,
    betting_test,
    compare,
    sign_test,
    spend_alpha,
)
from vision_ai.records import UPDATE_MODES, GateAttempt, PartVerdict, UpdateMode, UpdateProposal

__all__ = [
    "UPDATE_MODES",
    "CandleSpan",
    "Challenge",
    "Champion",
    "Comparison",
    "ExemplarKey",
    "FeedbackPass",
    "FetchBatch",
    "Filters",
    "Fold",
    "GateAttempt",
    "Journal",
    "PartVerdict",
    "PendingOutcome",
    "Review",
    "Source",
    "Stages",
    "Tune",
    "Tuned",
    "UpdateMode",
    "UpdateProposal",
    "UpdateStep",
    "WaitingOutcome",
    "append",
    "betting_test",
    "challenge",
    "compare",
    "days_needed",
    "exemplar_weights",
    "expire",
    "find_pending",
    "fold",
    "key",
    "later_fold",
    "markdown",
    "open_journal",
    "outcome_shares",
    "plan",
    "prediction_files",
    "propose",
    "read_log",
    "read_logs",
    "read_prediction",
    "read_predictions",
    "recalibration",
    "resolve",
    "resolve_pending",
    "review",
    "run",
    "sign_test",
    "spend_alpha",
    "stages",
    "track_width_factor",
    "update_cv_model_weights",
    "wilson",
    "write",
]

if __name__ == "__main__":
    from vision_ai.cli import main

    main("feedback")
