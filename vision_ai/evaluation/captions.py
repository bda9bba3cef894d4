"""What the page calls each figure and baseline, and what it says beside its tables."""

FIGURES = {
    "setup.macro_f1": "setup macro-F1",
    "setup.accuracy": "setup accuracy",
    "reading.macro_f1": "setup with direction, macro-F1",
    "phase.macro_f1": "phase macro-F1",
    "phase.accuracy": "phase accuracy",
    "clear_cut.setup.macro_f1": "setup macro-F1, clear-cut charts",
    "clear_cut.phase.macro_f1": "phase macro-F1, clear-cut charts",
    "clear_cut.share": "share of charts that are clear-cut",
    "confidence.ece": "calibration error of confidence (ECE)",
    "confidence.ece_noise": "ECE that honest confidence would show by chance",
    "abstention.accuracy_at_50": "accuracy of the surest half",
    "abstention.share": "share of charts without a claim",
    "retrieval.precision_at_1": "first look-alike has the chart's own label",
    "retrieval.precision_at_5": "of the first 5 look-alikes",
    "retrieval.precision_at_24": "of 24 look-alikes",
    "bands.coverage_error_max": "worst coverage error of the bands",
    "bands.coverage_noise": "worst coverage error that right bands would show by chance",
    "bands.coverage.2h": "coverage of the band, 2h",
    "bands.coverage.6h": "coverage of the band, 6h",
    "bands.width.2h": "mean width of the band, 2h",
    "bands.width.6h": "mean width of the band, 6h",
    "bands.adaptive.coverage_error_max": "worst coverage error of bands that follow drift",
    "bands.adaptive.coverage.2h": "coverage of the band that follows drift, 2h",
    "bands.adaptive.coverage.6h": "coverage of the band that follows drift, 6h",
    "outcome.2h.brier_skill": "Brier skill of the chance of a rise, 2h",
    "outcome.6h.brier_skill": "Brier skill of the chance of a rise, 6h",
}
"""Every figure of all charts and its name for people."""

AIMS = {
    "setup.macro_f1": 0.85,
    "phase.macro_f1": 0.90,
    "clear_cut.setup.macro_f1": 0.95,
    "clear_cut.phase.macro_f1": 0.97,
    "confidence.ece": -0.03,
    "abstention.accuracy_at_50": 0.97,
    "bands.coverage_error_max": -0.02,
    "bands.adaptive.coverage_error_max": -0.02,
}
"""What was aimed for: at least so much, or at most where negative."""

PART = (
    "setup.macro_f1",
    "phase.macro_f1",
    "clear_cut.setup.macro_f1",
    "confidence.ece",
    "confidence.ece_noise",
    "abstention.accuracy_at_50",
    "bands.coverage_error_max",
    "bands.coverage_noise",
)
"""Figures shown of every part."""

OUTCOME_PART = (
    "bands.coverage.2h",
    "bands.coverage.6h",
    "bands.width.2h",
    "bands.width.6h",
    "bands.adaptive.coverage_error_max",
    "outcome.2h.brier_skill",
    "outcome.6h.brier_skill",
    "retrieval.precision_at_5",
)
"""More figures of every part, in a table of their own."""

DRIFT = """Bands that follow drift are the same bands, stretched by a tracker of interval, horizon
and volatility from the outcomes that were complete when each chart was seen. They are a replay: a
stored version's bands move only where the feedback loop's gate allows it. Terciles in hindsight are
of all charts; those at the time are of the charts before each, which is all that a tracker can
know."""

PEERS = {
    "majority": "the commonest label",
    "zero_shot_prompts": "prompts alone, zero shot",
    "pixel_knn": "look-alikes by pixels",
    "returns_knn": "look-alikes by z-scored returns",
    "dtw_knn": "look-alikes by dynamic time warping",
    "linear_probe": "linear probe on the frozen tower",
    "untrained_tower_probe": "linear probe on the same tower, untrained",
    "price_trends_cnn": "CNN of price-trend images (Jiang, Kelly and Xiu 2023)",
    "rule_facts": "LightGBM on the rule book's facts (ceiling)",
}


PEER_RULES = """The difference is the model less the baseline on the same charts and draws. All
learn from, or vote with, the same exemplars under the same purge. The probe and the trees weigh
them by how often each reading occurs in the candles. Time warping, the untrained tower and the
price-trend CNN are slow: they answer a random part of the charts, and the model is measured beside
them on that part; time warping looks at a random part of the exemplars as well."""
