"""From evidence to honest numbers: votes, calibration and outcome bands, below `predict_cv_setup`.

votes.py        look-alikes and prompts as evidence
calibration.py  evidence to probabilities, and when to stay silent; the record that is stored
fitting.py      a calibration from a purged fold
people.py       how far a person's word about one chart carries to another
logistic.py     the one convex fit that this takes
isotonic.py     the closest curve that never falls
bands.py        what look-alikes did next, conformalised
answers.py      charts read all at once
writing.py      what they show, as records
schema.py       the published form of a prediction, with a complete example
"""
