"""Losses of training: charts and texts with the same label attract, all others repel.

`-similarity` alone is least when everything maps to one point, so negatives are required.
Descriptions repeat within a batch, so every chart and text of one label are positives of each
other. All functions are pure; all but `prompt_cross_entropy` return the batch's mean as a scalar.
"""

import math

from torch import Tensor
from torch.nn import functional


def same_label(left: Tensor, right: Tensor) -> Tensor:
    """Which labels agree: bool (n, m) of codes (n,) and (m,).

    >>> import torch
    >>> same_label(torch.tensor([0, 1]), torch.tensor([1, 1])).tolist()
    [[False, False], [True, True]]
    """
    return left[:, None] == right[None, :]


def multi_positive_cross_entropy(logits: Tensor, is_positive: Tensor) -> Tensor:
    """Softmax cross-entropy of each row, its target spread evenly over its positives.

    Args:
        logits: (n, m), scaled similarities.
        is_positive: bool (n, m); rows without a positive have no target and are left out.
    """
    log_probability = functional.log_softmax(logits.float(), dim=1)  # (n, m)
    count = is_positive.sum(dim=1)  # (n,): positives of each row
    has_target = count > 0
    total = -(log_probability * is_positive).sum(dim=1)
    each = total / count.clamp(min=1)
    return (each * has_target).sum() / has_target.sum().clamp(min=1)


def contrastive(images: Tensor, texts: Tensor, is_positive: Tensor, scale: Tensor) -> Tensor:
    """Multi-positive contrastive loss, both ways (InfoNCE with a label mask).

    Args:
        images: (n, d), unit length.
        texts: (m, d), unit length.
        is_positive: bool (n, m), pairs with the same label.
        scale: the inverse temperature.
    """
    logits = scale * images.float() @ texts.float().T  # (n, m)
    image_to_text = multi_positive_cross_entropy(logits, is_positive)
    return (image_to_text + multi_positive_cross_entropy(logits.T, is_positive.T)) / 2


def prompt_cross_entropy(images: Tensor, prompts: Tensor, codes: Tensor, scale: Tensor) -> Tensor:
    """Contrast each chart with one prompt a class, the loss behind zero-shot reading: (n,).

    Args:
        images: (n, d), unit length.
        prompts: (classes, d), unit length, in the order of the codes.
        codes: int64 (n,).
        scale: the inverse temperature.
    """
    logits = scale * images.float() @ prompts.float().T  # (n, classes)
    return functional.cross_entropy(logits, codes, reduction="none")


def outlier_exposure(images: Tensor, prompts: Tensor, scale: Tensor) -> Tensor:
    """How far pictures that are no chart are from fitting every prompt alike.

    Cross-entropy to equal shares less its least value, so that 0 is best; Hendrycks et al., Deep
    Anomaly Detection with Outlier Exposure, 2019.
    """
    logits = scale * images.float() @ prompts.float().T  # (n, classes)
    return logits.logsumexp(dim=1).mean() - logits.mean() - math.log(logits.shape[1])


def smoothed_cross_entropy(logits: Tensor, codes: Tensor, smoothing: float) -> Tensor:
    """Cross-entropy of the linear heads that only training has."""
    return functional.cross_entropy(logits.float(), codes, label_smoothing=smoothing)


def masked_l1(guess: Tensor, facts: Tensor) -> Tensor:
    """Mean absolute error of the rule book's measurements, over those that were made.

    Args:
        guess: (n, facts).
        facts: (n, facts), NaN where the rule book measured nothing.
    """
    is_known = ~facts.isnan()
    error = (guess.float() - facts.nan_to_num()).abs() * is_known
    return error.sum() / is_known.sum().clamp(min=1)


def ohlcv_l1(ohlcv: Tensor, truth: Tensor) -> Tensor:
    """Mean absolute error of the OHLCV that the stem read from its columns."""
    return functional.l1_loss(ohlcv.float(), truth)


def focal(logits: Tensor, is_present: Tensor) -> Tensor:
    """Focal loss of the regions where rules hold: a sum, divided by the number of positives.

    Regions where nothing holds outnumber the others a hundred to one; the focal factor keeps them
    from drowning the rest (Lin et al., Focal Loss for Dense Object Detection, 2017, gamma 2).

    Args:
        logits: (..., classes).
        is_present: bool, the same shape.
    """
    logits, target = logits.float(), is_present.float()
    entropy = functional.binary_cross_entropy_with_logits(logits, target, reduction="none")
    error = (logits.sigmoid() - target).abs()  # 1 less the probability of the truth
    return (error.square() * entropy).sum() / target.sum().clamp(min=1)
