"""The one place where the stages meet: candles to charts to a prediction on disk."""
