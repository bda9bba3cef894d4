"""A server on this machine that answers as Bybit does, from stored candles."""
