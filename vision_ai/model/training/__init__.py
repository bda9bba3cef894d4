"""The training of the models: torch lives here alone."""
