"""Evaluation: how well charts are read and what following the decisions would have earned.

sampling.py         charts of a folder that share no time with what the model has seen
card.py             the figures of the report card, of all charts, of every part, beside baselines
baselines.py        what any model must beat, on the same charts under the same purge
adaptive.py         outcome bands that follow drift, replayed
report.py           the card as Markdown with its plots
trades.py           entry, exit and costs of each trade of a backtest
performance.py      what those trades earned a day, with intervals
trading.py          the backtest as Markdown
"""
