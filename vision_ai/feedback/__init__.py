"""The loop that learns from its outcomes: what followed each prediction, and what that says."""
