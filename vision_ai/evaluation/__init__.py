"""The report card: splits that cannot leak, figures with intervals, baselines on equal terms.

splits.py     what may be measured on what: symbols apart, time apart, an embargo between
sampling.py   charts of a folder that share no time with what the model has seen
metrics.py    each figure one function, and block-bootstrap intervals for all of them
card.py       the figures of the card, of all charts and of every part of them
coverage.py   how often bands hold, and how far chance alone moves that
versus.py     a baseline beside the model, on the same draws
adaptive.py   outcome bands that follow drift, replayed
baselines.py  what any model must beat, on the same charts under the same purge
learned.py    baselines that need a library: a probe, boosted trees, time warping
price_trends.py, trend_net.py  the pictures and the network of Jiang, Kelly and Xiu (2023)
captions.py   names of figures and baselines
report.py     the card as Markdown with its plots
"""
