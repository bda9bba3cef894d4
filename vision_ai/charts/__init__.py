"""Candles to pictures and back: what the model sees, what people see, what a screenshot shows."""
