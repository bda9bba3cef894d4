"""From evidence to honest numbers: votes, calibration and outcome bands, below `predict_cv_setup`.

votes.py        look-alikes and prompts as evidence
calibration.py  evidence to probabilities, and when to stay silent; the record that is stored
fitting.py      a calibration from a purged fold
logistic.py     the one convex fit that this takes
bands.py        what look-alikes did next, conformalised
schema.py       the published form of a prediction, with a complete example
"""
