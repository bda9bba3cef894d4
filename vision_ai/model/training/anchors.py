"""Normalized bars, the anchors laid over them, and the tensor steps that both detectors share.

A setup is found where it happens before it is named: in the range that price left, at the level
that held, at the bar where a leg ended. `BarFeatures` brings the candles of every chart into
one unit, the chart's ATR; `segments` classifies a fixed set of anchors (as an object detector
has), `swings` each recent bar as a swing point. Upright and mirrored charts share every weight: a
mirrored chart is the same bars with channels exchanged.
"""

import torch
from torch import Tensor, nn

HIGH, NEG_LOW, CLOSE, NEG_CLOSE, SOFT_HIGH, NEG_SOFT_LOW, VOLUME, TRUE_RANGE = range(8)
"""Channels of `BarFeatures`. Lows are negated, so that a maximum is always the extreme; a soft
high is the middle of high and close."""

CHANNELS = 8
MIRRORED_CHANNELS = (
    NEG_LOW, HIGH, NEG_CLOSE, CLOSE, NEG_SOFT_LOW, SOFT_HIGH, VOLUME, TRUE_RANGE,
)  # fmt: skip
"""Channels of the mirrored chart, by the channels of the upright one."""

BOX_ANCHORS = tuple((bars, ended) for bars in (64, 56, 48, 40, 32, 28, 24) for ended in range(25))
FLOOR_ANCHORS = tuple((bars, ended) for bars in (80, 64, 48) for ended in range(3, 11))
SEGMENT_ANCHORS = BOX_ANCHORS + FLOOR_ANCHORS
"""Anchors: (length in bars, bars between its end and the last candle)."""

BARS_AFTER = 24
"""Bars after a segment in which its outcome is looked for."""
RETEST_BARS = 7
"""Last bars in which a touch of a level counts as a retest."""
SWING_BARS = 48
"""Last bars that are classified as swing points."""
MAX_LEG_BARS = 40
"""Bars before a swing point in which its leg may begin."""

MIN_UNIT = 1 / 40
"""Smallest ATR that distances are divided by, in parts of the chart's height."""

SEGMENT_CLASSES = 7
"""Logits of a segment, upright: is it a live box, five outcomes of a box, is it a held floor."""
IS_CANDIDATE = SEGMENT_CLASSES
"""Column after them in the training targets: whether the segment is worth proposing."""
SWING_CLASSES = 3
"""Logits of a bar, upright: did a pullback, an exhaustion, a reversal start here."""

NEAR_ATR = 2.0
"""Distances up to here enter unscaled: the rules compare small distances with constants."""

MAX_VOLUME_RATIO = 4.0
"""Volume enters in parts of the segment's mean volume, clipped here."""

PADDING = -99.0
"""Value of bars before the chart's first; no maximum ever picks it."""

PRIOR_LOGIT = -4.0
"""First bias of the logits: nearly every anchor is negative."""


class BarFeatures(nn.Module):
    """OHLCV (n, 96, 5), 0 to 1 of the chart, to ATR from the last close: (n, 96, 8)."""

    def forward(self, ohlcv: Tensor) -> Tensor:
        """In this unit every threshold of the rule book is a constant."""
        high, low, close = ohlcv[..., 1], ohlcv[..., 2], ohlcv[..., 3]  # (n, 96) each
        # true range against the close before; the first bar has none and takes its own
        before = torch.cat([close[:, :1], close[:, :-1]], dim=1)
        true_range = torch.maximum(high, before) - torch.minimum(low, before)
        unit = true_range.mean(dim=1, keepdim=True).clamp(min=MIN_UNIT)  # ATR, (n, 1)
        # prices in ATR from the last close
        last = close[:, -1:]
        high, low, close = (high - last) / unit, (low - last) / unit, (close - last) / unit
        # volume in parts of its mean over the chart
        volume = ohlcv[..., 4].clamp(min=0)
        volume = volume / volume.mean(dim=1, keepdim=True).clamp(min=1e-3)
        soft_high, soft_low = (high + close) / 2, (low + close) / 2
        return torch.stack(
            [high, -low, close, -close, soft_high, -soft_low, volume, true_range / unit], dim=-1
        )


def rebound_from_extremes(bars: Tensor, since: Tensor) -> Tensor:
    """How far closes came back from the low of the last bars, and from their high: (n, 2).

    Args:
        bars: (n, 96, 8), normalized.
        since: the same shape, running maxima from each bar to the last.
    """
    last, best = bars[:, -RETEST_BARS:], since[:, -RETEST_BARS:]
    sides = []
    for extreme, close in ((NEG_LOW, CLOSE), (HIGH, NEG_CLOSE)):
        top = last[..., extreme].amax(dim=1, keepdim=True)  # (n, 1)
        # best close since the extreme bar; bars that are no extreme are masked with a large value
        at_extreme = torch.where(last[..., extreme] == top, best[..., close], -PADDING)
        sides.append(at_extreme.amin(dim=1) + top[:, 0])  # of equal extremes the latest counts
    return torch.stack(sides, dim=-1)


def first_passage_probability(logits: Tensor, is_open: Tensor, earlier: Tensor) -> Tensor:
    """Probability that an event first happens at each bar: hazard times survival, (..., bars).

    As in discrete-time survival analysis; what is missing to 1 is the probability that it never
    happened.

    Args:
        logits: (..., bars), logits of each bar's hazard.
        is_open: the same shape, 1 where the event is possible, else 0.
        earlier: (bars, bars), 1 above the diagonal: sums over the bars before each.
    """
    # log(1 - hazard); softplus would be the same, and takes ONNX Runtime four times as long
    log_survival = (-logits).sigmoid().clamp(min=1e-9).log() * is_open
    return logits.sigmoid() * is_open * (log_survival @ earlier).exp()


def mirror_channels(values: Tensor) -> Tensor:
    """Channels of the mirrored chart; blocks of eight channels side by side are each exchanged."""
    order = [
        block * CHANNELS + channel
        for block in range(values.shape[-1] // CHANNELS)
        for channel in MIRRORED_CHANNELS
    ]
    return values[..., order]


def rolling_max(values: Tensor, width: int) -> Tensor:
    """Maximum over each run of `width` bars: (n, m, c) to (n, m - width + 1, c)."""
    covered = 1
    while covered < width:  # each step joins two runs of `covered` bars that overlap or adjoin
        step = min(covered, width - covered)
        values = torch.maximum(values[:, :-step], values[:, step:])
        covered += step
    return values


def rank_quarters(quarters: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Of four quarters: the highest, the second, and what two that do not adjoin both reach.

    (n, k, 4, c) to three times (n, k, c). A level that was tested twice, well apart, is one that
    two quarters reached which do not adjoin.
    """
    a, b, c, d = quarters.unbind(dim=2)
    highs, lows = torch.maximum(a, b), torch.minimum(a, b)
    later, lower = torch.maximum(c, d), torch.minimum(c, d)
    # the second is the loser of the final, or the best loser of the half that won
    second = torch.maximum(torch.minimum(highs, later), torch.maximum(lows, lower))
    # pairs that do not adjoin: (a, c), (a, d), (b, d)
    apart = torch.maximum(torch.minimum(a, later), torch.minimum(b, d))
    return torch.maximum(highs, later), second, apart


def sort_quarters(quarters: Tensor) -> Tensor:
    """Four values from the highest to the lowest: (n, k, 4, c), by a sorting network."""
    a, b, c, d = quarters.unbind(dim=2)
    a, b = torch.maximum(a, b), torch.minimum(a, b)
    c, d = torch.maximum(c, d), torch.minimum(c, d)
    a, c = torch.maximum(a, c), torch.minimum(a, c)
    b, d = torch.maximum(b, d), torch.minimum(b, d)
    b, c = torch.maximum(b, c), torch.minimum(b, c)
    return torch.stack([a, b, c, d], dim=2)
