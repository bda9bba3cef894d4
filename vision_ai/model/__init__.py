"""Charts and texts to vectors, and the training of the models that do it."""

import os

# torch reads this once, when it loads; every module that loads it lies below this package
os.environ.setdefault("PYTORCH_ENABLE_MPS_FALLBACK", "1")
