"""The trader's decision: features and the model's reading in, join, consider or avoid out.

rules.py       weights, thresholds, grades and the rules of the model
features.py    what the score is made of, measured on candles
context.py     the context dict, checked and completed
prediction.py  the newest prediction, if it may still count
verdict.py     the score and its reasons
"""

from vision_ai.trader_decision.context import Loader
from vision_ai.trader_decision.prediction import (
    CvReading,
    find_cv_prediction,
    load_cv_prediction,
    usable,
)
from vision_ai.trader_decision.rules import CV_RULES, GRADES, INVERTED, WEIGHTS
from vision_ai.trader_decision.verdict import simulate_trader_decision_advanced

__all__ = [
    "CV_RULES",
    "GRADES",
    "INVERTED",
    "WEIGHTS",
    "CvReading",
    "Loader",
    "find_cv_prediction",
    "load_cv_prediction",
    "simulate_trader_decision_advanced",
    "usable",
]
