"""Pictures of charts back to candles: our own, and other people's screenshots."""
