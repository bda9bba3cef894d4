"""A trader's visual co-pilot: reads candlestick charts and says how sure it is.

Nothing heavy is imported here; the parts are imported by their own names, such as
`from vision_ai import domain` or `from vision_ai.trader_decision import load_cv_prediction`.
"""

__all__ = ["__version__"]

__version__ = "0.1.0"
