"""Measures: pure numpy on columns, no files, no clocks, no network; each defined once.

purge         the one wall against leaks: spans, purge and embargo, folds, and their check
indicators    what candles show: true range, volatility
targets       what followed a chart: forward moves, barriers; the only code that looks ahead
scores        how good answers are: macro-F1, Brier, ECE, reliability, coverage
significance  how sure a figure is: block bootstrap, Wilson, sign test, betting test
fitting       small convex fits: isotonic, multinomial logistic, quantiles
returns       what returns of days were worth: Sharpe, Sortino, drawdown
"""
