"""Where on a chart to look: sideways stretches and turns, judged like an object detector's anchors.

A setup is a place before it is a name: the stretch that was left, the level that held, the bar
where a leg ended. `Numbers` brings what the columns say into one unit, `Stretches` looks at a
fixed set of stretches and at the bars after each, `Turns` at each recent bar as the end of a
leg. Stretches are pooled in quarters (RoI pooling: Girshick, Fast R-CNN, 2015), scored one by
one like anchors (Ren et al., Faster R-CNN, 2015), and find the bar that matters by additive
attention (Bahdanau et al., 2015). Upright and mirrored charts share every weight: a mirrored
chart is the same numbers with channels exchanged.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from vision_ai.domain import WINDOW

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
RECENT = 48
"""Bars that can be the end of a leg."""
LEG = 40
"""Bars in which a leg can start."""

VISIBLE = 1 / 40
"""Least unit, in parts of the chart's height."""

STRETCH_MARKS = 7
"""What is asked of a stretch, upright: is it a live box, five fates of a box, a held floor."""
TURN_MARKS = 3
"""What is asked of a bar, upright: did a pullback, an exhaustion, a reversal start here."""


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


class Stretches(nn.Module):
    """Numbers (n, 96, 8) to a judgement of every stretch, of the chart and of its mirror."""

    def __init__(self, width: int, pairs: int) -> None:
        super().__init__()
        count = len(STRETCHES)
        sizes = sorted({bars // 4 for bars, _ in STRETCHES})
        self.sizes = sizes
        offsets, total = {}, 0
        for size in sizes:
            offsets[size] = total
            total += WINDOW - size + 1
        starts = [
            [offsets[bars // 4] + WINDOW - ended - bars + q * (bars // 4) for q in range(4)]
            for bars, ended in STRETCHES
        ]
        first = [WINDOW - ended - bars for bars, ended in STRETCHES]
        half = [bars // 2 for bars, _ in STRETCHES]
        edge = [[f, f + h, f + 2 * h] for f, h in zip(first, half, strict=True)]
        self.register_buffer("quarter", torch.tensor(starts).flatten(), persistent=False)
        self.register_buffer("edge", torch.tensor(edge).flatten(), persistent=False)
        self.register_buffer(
            "halves", torch.tensor(half, dtype=torch.float32)[:, None], persistent=False
        )
        after = torch.tensor([min(WINDOW - ended, WINDOW - 1) for _, ended in STRETCHES])
        self.register_buffer("after", after, persistent=False)
        age = torch.arange(AFTER - 1, -1, -1)
        ended = torch.tensor([ended for _, ended in STRETCHES])
        later = (age[None, :] < ended[:, None]).float()
        self.register_buffer("open", later[:, None], persistent=False)
        earlier = torch.ones(AFTER, AFTER).triu(1)
        self.register_buffer("earlier", earlier, persistent=False)
        features = 2 * (9 * CHANNELS + 4) + 3 + 4
        self.place = nn.Parameter(torch.zeros(count, width))
        nn.init.normal_(self.place, std=0.2)
        self.look = nn.Linear(features, width)
        self.level = nn.Linear(width, pairs)
        self.cross = nn.Parameter(torch.randn(pairs, 4) * 0.5)
        self.sharp = nn.Parameter(torch.full((pairs, 1), 2.0))
        self.pairs = pairs
        self.meet = nn.Linear(pairs * (4 * CHANNELS + 2), width)
        self.judge = nn.Linear(width, width)
        self.again = nn.Linear(width, width)
        self.marks = nn.Linear(width, STRETCH_MARKS)
        nn.init.constant_(self.marks.bias, -4.0)

    def forward(self, numbers: Tensor, since: Tensor) -> tuple[Tensor, Tensor]:
        """Judgements (2, n, stretches, width) and marks (2, n, stretches, 7)."""
        n = numbers.shape[0]
        rolled = torch.cat([rolling(numbers, size) for size in self.sizes], dim=1)
        cells = rolled[:, self.quarter].view(n, len(STRETCHES), 4, CHANNELS)
        ranked = ordered(cells)
        told = numbers[..., [CLOSE, VOLUME]]
        sums = functional.pad(told.cumsum(dim=1), (0, 0, 1, 0))[:, self.edge]
        sums = sums.view(n, len(STRETCHES), 3, 2)
        means = (sums[:, :, 1:] - sums[:, :, :-1]) / self.halves[:, :, None]
        beyond = since[:, self.after]
        age = torch.linspace(-1, 1, AFTER, device=numbers.device)[None, :, None].expand(n, -1, -1)
        late = torch.cat([numbers, since], dim=-1)[:, -AFTER:]
        seen, marks = [], []
        for mirror in (False, True):
            order = list(EXCHANGED) if mirror else list(range(CHANNELS))
            sign = torch.tensor([-1.0 if mirror else 1.0, 1.0], device=numbers.device)
            top = ranked[:, :, 1, order[HIGH]]
            bottom = ranked[:, :, 1, order[LOW]]
            height = (top + bottom)[..., None].clamp(min=1.0)
            edges = torch.stack([top, bottom], dim=-1)
            zero = torch.zeros_like(top)
            level = torch.stack([top, bottom, top, bottom, top, bottom, zero, zero], dim=-1)
            center = torch.stack([(top - bottom) / 2, zero], dim=-1)
            whole = torch.cat(
                [
                    (cells[..., order] - level[:, :, None]).flatten(2),
                    (ranked[..., order] - level[:, :, None]).flatten(2),
                    ((means * sign) - center[:, :, None]).flatten(2), beyond[..., order] - level,
                ], dim=-1,
            )  # fmt: skip
            first = torch.cat(
                [whole.clamp(-2, 2), whole / height, edges.clamp(-2, 2), edges / height,
                 height / 4, edges / 8], dim=-1,
            )  # fmt: skip
            bars = late[..., order + [CHANNELS + k for k in order]]
            first = functional.relu(self.look(first) + self.place)
            late_ = bars[..., [CLOSE, FALL, HIGH, LOW]].transpose(1, 2)[:, None]
            delta = (late_ - level[..., [CLOSE, FALL, HIGH, LOW], None]).clamp(-3, 3)
            hazard = (self.cross @ delta + self.level(first)[..., None]) * self.sharp
            weight = passage(hazard, self.open, self.earlier)
            values = torch.cat([bars.clamp(-2, 2), bars / 8, age, torch.ones_like(age)], dim=-1)
            found = (weight.flatten(1, 2) @ values).view(n, len(STRETCHES), -1)
            judged = functional.relu(first + self.meet(found))
            judged = judged + functional.relu(self.judge(judged))
            judged = judged + functional.relu(self.again(judged))
            seen.append(judged)
            marks.append(self.marks(judged))
        return torch.stack(seen), torch.stack(marks)


def passage(logits: Tensor, open_: Tensor, earlier: Tensor) -> Tensor:
    """Chance that something happens first at each bar, of a hazard in each: both (..., bars).

    Hazard times survival so far, as in discrete-time survival analysis. Bars that are not open
    cannot be the first; what is missing to 1 is the chance that it never happened.
    """
    lasting = functional.softplus(logits) * open_
    return logits.sigmoid() * open_ * (-(lasting @ earlier)).exp()


class Turns(nn.Module):
    """Numbers (n, 96, 8) to a judgement of each recent bar as the end of a leg."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.place = nn.Parameter(torch.zeros(RECENT, width))
        nn.init.normal_(self.place, std=0.2)
        self.look = nn.Linear(3 * 5 * CHANNELS + 2 * CHANNELS + 6 * 2 + 6, width)
        self.judge = nn.Linear(width, width)
        self.marks = nn.Linear(width, TURN_MARKS)
        nn.init.constant_(self.marks.bias, -4.0)

    def forward(self, numbers: Tensor, since: Tensor, so_far: Tensor) -> tuple[Tensor, Tensor]:
        """Judgements (2, n, 48, width) and marks (2, n, 48, 3)."""
        n = numbers.shape[0]
        leg = rolling(functional.pad(numbers, (0, 0, LEG, 0), value=-99.0), LEG + 1)
        recent = numbers[:, -RECENT:].amax(dim=1, keepdim=True).expand(n, RECENT, CHANNELS)
        whole = numbers.amax(dim=1, keepdim=True).expand(n, RECENT, CHANNELS)
        way = (numbers[:, 1:, CLOSE] - numbers[:, :-1, CLOSE]).abs()
        way = functional.pad(way.cumsum(dim=1), (1, 0))
        gone = functional.pad(way, (LEG, 0))[:, :WINDOW]
        steps = torch.stack([way - gone, way[:, -1:] - way], dim=-1)[:, -RECENT:] / 10
        seen, marks = [], []
        parts = [numbers[:, -RECENT:], leg[:, -RECENT:], since[:, -RECENT:], recent, whole,
                 so_far[:, -RECENT:]]  # fmt: skip
        for mirror in (False, True):
            order = list(EXCHANGED) if mirror else list(range(CHANNELS))
            here, leg_, since_, recent_, whole_ = (part[..., order] for part in parts[:5])
            high, low = here[..., SOFT_HIGH], here[..., SOFT_LOW]
            zero = torch.zeros_like(high)
            own = torch.stack([high, low, high, low, high, low, zero, zero], dim=-1)
            up = (high + leg_[..., SOFT_LOW]).clamp(min=0.5)[..., None]
            down = (low + leg_[..., SOFT_HIGH]).clamp(min=0.5)[..., None]
            apart = torch.cat([x - own for x in (leg_, since_, recent_, whole_, parts[5][..., order])], -1)
            edges = torch.stack([high, low], dim=-1)
            sizes = torch.cat([up, down], dim=-1)
            features = torch.cat(
                [
                    here.clamp(-2, 2), here / 8, apart.clamp(-2, 2), apart / up, apart / down,
                    edges / up, edges / down, sizes / 8, (sizes - 6).clamp(-2, 2), steps,
                    sizes / (1 + 10 * steps), edges.clamp(-2, 2), edges / 8, steps - sizes / 10,
                ], dim=-1,
            )  # fmt: skip
            judged = functional.relu(self.look(features) + self.place)
            judged = judged + functional.relu(self.judge(judged))
            seen.append(judged)
            marks.append(self.marks(judged))
        return torch.stack(seen), torch.stack(marks)


def rolling(values: Tensor, width: int) -> Tensor:
    """Maximum over each run of `width` bars: (n, m, c) to (n, m - width + 1, c)."""
    done = 1
    while done < width:
        step = min(done, width - done)
        values = torch.maximum(values[:, :-step], values[:, step:])
        done += step
    return values


def ordered(cells: Tensor) -> Tensor:
    """Four values from the highest to the lowest: (n, k, 4, c), by a sorting network."""
    a, b, c, d = cells.unbind(dim=2)
    a, b = torch.maximum(a, b), torch.minimum(a, b)
    c, d = torch.maximum(c, d), torch.minimum(c, d)
    a, c = torch.maximum(a, c), torch.minimum(a, c)
    b, d = torch.maximum(b, d), torch.minimum(b, d)
    b, c = torch.maximum(b, c), torch.minimum(b, c)
    return torch.stack([a, b, c, d], dim=2)
