"""One cycle of the loop over past candles: replayed over a socket, or in memory."""
