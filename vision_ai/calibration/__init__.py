"""From evidence to honest numbers: votes, calibration and outcome bands, below `predict_cv_setup`.

votes.py        neighbors and prompts as evidence
annotations.py  how far a person's annotation of one chart carries to another
bands.py        what neighbors did next, as bands that cover as often as they say
fusion.py       evidence to probabilities, and when to abstain; the calibration that is stored
fitting.py      a calibration from a purged fold
answers.py      many charts read at once, and the record of what each of them shows
"""
