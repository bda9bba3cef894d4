"""Where on a chart to look, as an object detector has anchors, and what places are measured with.

A setup is a place before it is a name: the stretch that was left, the level that held, the bar
where a leg ended. `Numbers` brings what the columns say into one unit; `stretches` looks at a
fixed set of stretches and at the bars after each, `turns` at each recent bar as the end of a
leg. Upright and mirrored charts share every weight: a mirrored chart is the same numbers with
channels exchanged.
"""

import torch
from torch import Tensor, nn

HIGH, LOW, CLOSE, FALL, SOFT_HIGH, SOFT_LOW, VOLUME, SPAN = range(8)
"""Channels of `Numbers`; those of lows and falls are negated, so that a maximum is an extreme."""

CHANNELS = 8
EXCHANGED = (LOW, HIGH, FALL, CLOSE, SOFT_LOW, SOFT_HIGH, VOLUME, SPAN)
"""Channels of the mirrored chart, by the channels of the upright one."""

BOXES = tuple((bars, ended) for bars in (64, 56, 48, 40, 32, 28, 24) for ended in range(25))
FLOORS = tuple((bars, ended) for bars in (80, 64, 48) for ended in range(3, 11))
STRETCHES = BOXES + FLOORS
"""Anchors: (bars, bars since)."""

AFTER = 24
"""Bars after a stretch that it can see."""
FRESH = 7
"""Bars in which a touch of a level is fresh."""
RECENT = 48
"""Bars that can be the end of a leg."""
LEG = 40
"""Bars in which a leg can start."""

VISIBLE = 1 / 40
"""Least unit, in parts of the chart's height."""

STRETCH_MARKS = 7
"""What is asked of a stretch, upright: is it a live box, five fates of a box, a held floor."""
STANDS = STRETCH_MARKS
"""Column after them in what training tells: whether the stretch is worth a look."""
TURN_MARKS = 3
"""What is asked of a bar, upright: did a pullback, an exhaustion, a reversal start here."""

NEAR = 2.0
"""ATR within which distances are told plainly; rules compare small distances with constants."""

MANY = 4.0
"""Parts of a stretch's mean volume within which volume is told."""

NEVER = -99.0
"""Extreme of bars that are not there."""

RARE = -4.0
"""First logit of marks: nearly no place is marked."""


class Numbers(nn.Module):
    """Read candles (n, 96, 5), 0 to 1, to ATR from the last close: (n, 96, 8)."""

    def forward(self, digits: Tensor) -> Tensor:
        """Every threshold of a chart becomes a constant in this unit."""
        high, low, close = digits[..., 1], digits[..., 2], digits[..., 3]
        before = torch.cat([close[:, :1], close[:, :-1]], dim=1)
        span = torch.maximum(high, before) - torch.minimum(low, before)
        unit = span.mean(dim=1, keepdim=True).clamp(min=VISIBLE)
        last = close[:, -1:]
        high, low, close = (high - last) / unit, (low - last) / unit, (close - last) / unit
        volume = digits[..., 4].clamp(min=0)
        volume = volume / volume.mean(dim=1, keepdim=True).clamp(min=1e-3)
        soft_high, soft_low = (high + close) / 2, (low + close) / 2
        return torch.stack(
            [high, -low, close, -close, soft_high, -soft_low, volume, span / unit], dim=-1
        )


def rebound(numbers: Tensor, since: Tensor) -> Tensor:
    """How far closes came back from the fresh low, and from the fresh high: (n, 2)."""
    last, best = numbers[:, -FRESH:], since[:, -FRESH:]
    sides = []
    for extreme, close in ((LOW, CLOSE), (HIGH, FALL)):
        top = last[..., extreme].amax(dim=1, keepdim=True)
        here = torch.where(last[..., extreme] == top, best[..., close], -NEVER)
        sides.append(here.amin(dim=1) + top[:, 0])  # of equal extremes the latest counts
    return torch.stack(sides, dim=-1)


def passage(logits: Tensor, open_: Tensor, earlier: Tensor) -> Tensor:
    """Chance that something happens first at each bar, of a hazard in each: both (..., bars).

    Hazard times survival so far, as in discrete-time survival analysis. Bars that are not open
    cannot be the first; what is missing to 1 is the chance that it never happened. `earlier` is
    1 above the diagonal: it sums over the bars before each.
    """
    # softplus would say the same, and takes ONNX Runtime four times as long
    lasting = (-logits).sigmoid().clamp(min=1e-9).log() * open_
    return logits.sigmoid() * open_ * (lasting @ earlier).exp()


def exchanged(values: Tensor) -> Tensor:
    """Channels of the mirrored chart; blocks of eight channels side by side are each exchanged."""
    order = [
        block * CHANNELS + channel
        for block in range(values.shape[-1] // CHANNELS)
        for channel in EXCHANGED
    ]
    return values[..., order]


def rolling(values: Tensor, width: int) -> Tensor:
    """Maximum over each run of `width` bars: (n, m, c) to (n, m - width + 1, c)."""
    done = 1
    while done < width:
        step = min(done, width - done)
        values = torch.maximum(values[:, :-step], values[:, step:])
        done += step
    return values


def leading(cells: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Of four quarters: the highest, the second, and what two that do not adjoin both reach.

    (n, k, 4, c) to three times (n, k, c). A level that was tested twice, well apart, is one that
    two quarters reached which are not neighbours.
    """
    a, b, c, d = cells.unbind(dim=2)
    highs, lows = torch.maximum(a, b), torch.minimum(a, b)
    later, lower = torch.maximum(c, d), torch.minimum(c, d)
    second = torch.maximum(torch.minimum(highs, later), torch.maximum(lows, lower))
    apart = torch.maximum(torch.minimum(a, later), torch.minimum(b, d))
    return torch.maximum(highs, later), second, apart


def ordered(cells: Tensor) -> Tensor:
    """Four values from the highest to the lowest: (n, k, 4, c), by a sorting network."""
    a, b, c, d = cells.unbind(dim=2)
    a, b = torch.maximum(a, b), torch.minimum(a, b)
    c, d = torch.maximum(c, d), torch.minimum(c, d)
    a, c = torch.maximum(a, c), torch.minimum(a, c)
    b, d = torch.maximum(b, d), torch.minimum(b, d)
    b, c = torch.maximum(b, c), torch.minimum(b, c)
    return torch.stack([a, b, c, d], dim=2)
