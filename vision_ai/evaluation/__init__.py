"""The report card: splits that cannot leak, figures with intervals, baselines on equal terms.

splits.py     what may be measured on what: symbols apart, time apart, an embargo between
metrics.py    each figure one function, and block-bootstrap intervals for all of them
baselines.py  what any model must beat, on the same charts under the same purge
"""
