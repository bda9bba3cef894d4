"""Losses of training: charts and texts with the same label attract, all others repel.

`-similarity` alone is least when everything maps to one point, so negatives are required.
Descriptions repeat within a batch, so every chart and text of one label are positives of each
other. All functions are pure; all but `prompted` return the mean over the batch as a scalar.
"""

import math

from torch import Tensor
from torch.nn import functional


def same(left: Tensor, right: Tensor) -> Tensor:
    """Which labels agree: bool (n, m) of codes (n,) and (m,).

    >>> import torch
    >>> same(torch.tensor([0, 1]), torch.tensor([1, 1])).tolist()
    [[False, False], [True, True]]
    """
    return left[:, None] == right[None, :]


def one_way(logits: Tensor, positive: Tensor) -> Tensor:
    """Softmax cross-entropy of each row, its probability spread evenly over its positives.

    Args:
        logits: (n, m), scaled similarities.
        positive: bool (n, m); rows without a positive say nothing and are left out.
    """
    log_probability = functional.log_softmax(logits.float(), dim=1)
    count = positive.sum(dim=1)
    found = count > 0
    total = -(log_probability * positive).sum(dim=1)
    each = total / count.clamp(min=1)
    return (each * found).sum() / found.sum().clamp(min=1)


def contrastive(images: Tensor, texts: Tensor, positive: Tensor, scale: Tensor) -> Tensor:
    """Multi-positive contrastive loss, both ways (InfoNCE with a label mask).

    Args:
        images: (n, d), unit length.
        texts: (m, d), unit length.
        positive: bool (n, m), pairs with the same label.
        scale: the inverse temperature.
    """
    logits = scale * images.float() @ texts.float().T
    return (one_way(logits, positive) + one_way(logits.T, positive.T)) / 2


def prompted(images: Tensor, prompts: Tensor, codes: Tensor, scale: Tensor) -> Tensor:
    """Contrast each chart with one prompt a class: the loss behind reading by words, (n,).

    Args:
        images: (n, d), unit length.
        prompts: (classes, d), unit length, in the order of the codes.
        codes: int64 (n,).
        scale: the inverse temperature.
    """
    logits = scale * images.float() @ prompts.float().T
    return functional.cross_entropy(logits, codes, reduction="none")


def undecided(images: Tensor, prompts: Tensor, scale: Tensor) -> Tensor:
    """How far what is no chart is from fitting every prompt alike (outlier exposure).

    Cross-entropy to equal shares less its least value, so that 0 is best; Hendrycks et al., Deep
    Anomaly Detection with Outlier Exposure, 2019.
    """
    logits = scale * images.float() @ prompts.float().T
    return logits.logsumexp(dim=1).mean() - logits.mean() - math.log(logits.shape[1])


def classified(logits: Tensor, codes: Tensor, smoothing: float) -> Tensor:
    """Cross-entropy of the linear heads that only training has."""
    return functional.cross_entropy(logits.float(), codes, label_smoothing=smoothing)


def measured(guess: Tensor, facts: Tensor) -> Tensor:
    """Mean absolute error of the rule book's measurements, over those that were made.

    Args:
        guess: (n, facts).
        facts: (n, facts), NaN where the rule book measured nothing.
    """
    known = ~facts.isnan()
    miss = (guess.float() - facts.nan_to_num()).abs() * known
    return miss.sum() / known.sum().clamp(min=1)


def read_back(digits: Tensor, truth: Tensor) -> Tensor:
    """Mean absolute error of the candles that the stem read from its columns."""
    return functional.l1_loss(digits.float(), truth)


def detected(logits: Tensor, held: Tensor) -> Tensor:
    """Focal loss of the places where rules hold, a sum in parts of their number.

    Places where nothing holds outnumber the others a hundred to one; the focal factor keeps them
    from drowning the rest (Lin et al., Focal Loss for Dense Object Detection, 2017, gamma 2).

    Args:
        logits: (..., marks).
        held: bool, the same shape.
    """
    logits, target = logits.float(), held.float()
    entropy = functional.binary_cross_entropy_with_logits(logits, target, reduction="none")
    miss = (logits.sigmoid() - target).abs()
    return (miss.square() * entropy).sum() / target.sum().clamp(min=1)
