"""What a chart shows by the rule book, what followed it, and how a trader would say it."""
