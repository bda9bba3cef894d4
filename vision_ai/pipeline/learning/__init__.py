"""Use cases that make model versions: train, reweight, fine-tune."""
