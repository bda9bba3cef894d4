"""Charts and texts to vectors, and the training of the models that do it."""
