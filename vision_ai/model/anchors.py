"""Where on a chart to look: sideways stretches and turns, judged like an object detector's anchors.

A setup is a place before it is a name: the stretch that was left, the level that held, the bar
where a leg ended. `Numbers` brings what the columns say into one unit, `Stretches` looks at a
fixed set of stretches and at the bars after each, `Turns` at each recent bar as the end of a
leg. Stretches are pooled in quarters (RoI pooling: Girshick, Fast R-CNN, 2015), scored one by
one like anchors (Ren et al., Faster R-CNN, 2015), and see the bar at which price first crossed
an edge by a learned hazard. Upright and mirrored charts share every weight: a mirrored chart is
the same numbers with channels exchanged.
"""

from typing import NamedTuple

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


CROSSED = (CLOSE, FALL, HIGH, LOW)
"""Channels whose first crossing of a level is looked for."""

NEAR, FAR = 2.0, 3.0
"""ATR within which distances are told plainly; rules compare small distances with constants."""

CLEAR_LEG = 6.0
"""ATR about which a leg begins to count."""

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


class Stretches(nn.Module):
    """Numbers (n, 96, 8) to a judgement of every stretch, of the chart and of its mirror.

    Of each stretch it sees the extremes of the four quarters, as they come and in order; means of
    both halves; extremes since; and the state of the chart at the first bar that crosses each of
    a few learned levels around the stretch. All are told as distances from the second highest and
    the second lowest quarter, plain near those edges and in parts of the height farther out.
    """

    quarter: Tensor
    edges: Tensor
    halves: Tensor
    after: Tensor
    open: Tensor
    earlier: Tensor

    def __init__(self, width: int, pairs: int) -> None:
        super().__init__()
        self.sizes = sorted({bars // 4 for bars, _ in STRETCHES})
        for name, table in _tables(self.sizes).items():
            self.register_buffer(name, table, persistent=False)
        self.place = nn.Parameter(torch.zeros(len(STRETCHES), width))
        nn.init.normal_(self.place, std=0.2)
        self.look = nn.Linear(2 * (9 * CHANNELS + 4) + 3 + 4, width)
        self.level = nn.Linear(width, pairs)
        self.cross = nn.Parameter(torch.randn(pairs, len(CROSSED)) * 0.5)
        self.sharp = nn.Parameter(torch.full((pairs, 1), 2.0))
        self.meet = nn.Linear(pairs * (4 * CHANNELS + 2), width)
        self.judge = nn.Linear(width, width)
        self.again = nn.Linear(width, width)
        self.marks = nn.Linear(width, STRETCH_MARKS)
        nn.init.constant_(self.marks.bias, RARE)

    def forward(self, numbers: Tensor, since: Tensor) -> tuple[Tensor, Tensor]:
        """Judge all stretches.

        Args:
            numbers: (n, 96, 8), of `Numbers`.
            since: the same shape, the running maxima from each bar to the last.

        Returns:
            Judgements (2, n, stretches, width) and logits of marks (2, n, stretches, 7), the
            upright chart first.
        """
        rolled = torch.cat([rolling(numbers, size) for size in self.sizes], dim=1)
        cells = rolled[:, self.quarter].view(-1, len(STRETCHES), 4, CHANNELS)
        pooled = Pooled(cells, ordered(cells), self._means(numbers), since[:, self.after])
        late = torch.cat([numbers, since], dim=-1)[:, -AFTER:]
        sides = [self._judge(pooled, late), self._judge(pooled.mirrored(), exchanged(late))]
        judged = torch.stack(sides)
        return judged, self.marks(judged)

    def _means(self, numbers: Tensor) -> Tensor:
        """Mean close and volume of the halves of each stretch (n, stretches, 2, 2)."""
        told = numbers[..., [CLOSE, VOLUME]]
        sums = functional.pad(told.cumsum(dim=1), (0, 0, 1, 0))[:, self.edges]
        sums = sums.view(-1, len(STRETCHES), 3, 2)
        return (sums[:, :, 1:] - sums[:, :, :-1]) / self.halves[:, :, None]

    def _judge(self, pooled: "Pooled", late: Tensor) -> Tensor:
        first = functional.relu(self.look(pooled.told()) + self.place)
        levels = pooled.levels()[..., list(CROSSED)]
        bars = late[..., list(CROSSED)].transpose(1, 2)[:, None]
        beyond = (bars - levels[..., None]).clamp(-FAR, FAR)
        hazard = (self.cross @ beyond + self.level(first)[..., None]) * self.sharp
        weight = passage(hazard, self.open, self.earlier)
        age = torch.linspace(-1, 1, AFTER, device=late.device)[None, :, None]
        age = age.expand(late.shape[0], -1, -1)
        state = torch.cat([late.clamp(-NEAR, NEAR), late / 8, age, torch.ones_like(age)], dim=-1)
        found = (weight.flatten(1, 2) @ state).view(late.shape[0], len(STRETCHES), -1)
        judged = functional.relu(first + self.meet(found))
        judged = judged + functional.relu(self.judge(judged))
        return judged + functional.relu(self.again(judged))


class Pooled(NamedTuple):
    """What was pooled from each stretch, in one orientation; k stretches.

    Attributes:
        cells: (n, k, 4, 8), extremes of each quarter.
        ranked: the same from the highest to the lowest.
        means: (n, k, 2, 2), close and volume of both halves.
        beyond: (n, k, 8), extremes since.
    """

    cells: Tensor
    ranked: Tensor
    means: Tensor
    beyond: Tensor

    def mirrored(self) -> "Pooled":
        """The same of the mirrored chart."""
        sign = torch.tensor([-1.0, 1.0], device=self.means.device)
        return Pooled(
            exchanged(self.cells), exchanged(self.ranked), self.means * sign,
            exchanged(self.beyond),
        )  # fmt: skip

    def edges(self) -> tuple[Tensor, Tensor]:
        """Second highest high, and second lowest low negated: (n, k) each."""
        return self.ranked[:, :, 1, HIGH], self.ranked[:, :, 1, LOW]

    def levels(self) -> Tensor:
        """The edge that each channel is measured from (n, k, 8)."""
        top, bottom = self.edges()
        none = torch.zeros_like(top)
        return torch.stack([top, bottom, top, bottom, top, bottom, none, none], dim=-1)

    def told(self) -> Tensor:
        """Everything as distances from the edges: (n, k, features)."""
        (top, bottom), levels = self.edges(), self.levels()
        height = (top + bottom)[..., None].clamp(min=1.0)
        edges = torch.stack([top, bottom], dim=-1)
        middle = torch.stack([(top - bottom) / 2, torch.zeros_like(top)], dim=-1)
        apart = torch.cat(
            [
                (self.cells - levels[:, :, None]).flatten(2),
                (self.ranked - levels[:, :, None]).flatten(2),
                (self.means - middle[:, :, None]).flatten(2),
                self.beyond - levels,
            ], dim=-1,
        )  # fmt: skip
        return torch.cat(
            [
                apart.clamp(-NEAR, NEAR), apart / height, edges.clamp(-NEAR, NEAR),
                edges / height, height / 4, edges / 8,
            ], dim=-1,
        )  # fmt: skip


def _tables(sizes: list[int]) -> dict[str, Tensor]:
    """Where each stretch finds its parts; `sizes` are the lengths of quarters, stacked."""
    offsets, total = {}, 0
    for size in sizes:
        offsets[size] = total
        total += WINDOW - size + 1
    bars, ended = torch.tensor(STRETCHES).T
    starts = [
        [offsets[long // 4] + WINDOW - ago - long + part * (long // 4) for part in range(4)]
        for long, ago in STRETCHES
    ]
    first, half = WINDOW - ended - bars, bars // 2
    ages = torch.arange(AFTER - 1, -1, -1)
    return {
        "quarter": torch.tensor(starts).flatten(),
        "edges": torch.stack([first, first + half, first + 2 * half], dim=1).flatten(),
        "halves": half.float()[:, None],
        "after": (WINDOW - ended).clamp(max=WINDOW - 1),
        "open": (ages[None, :] < ended[:, None]).float()[:, None],
        "earlier": torch.ones(AFTER, AFTER).triu(1),
    }


class Turns(nn.Module):
    """Numbers (n, 96, 8) to a judgement of each recent bar as the end of a leg.

    Each bar is compared with the extremes before it, since it, and of the whole chart; distances
    are told plainly where they are small, and in parts of the leg that ends at the bar.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.place = nn.Parameter(torch.zeros(RECENT, width))
        nn.init.normal_(self.place, std=0.2)
        self.look = nn.Linear(17 * CHANNELS + 18, width)
        self.judge = nn.Linear(width, width)
        self.marks = nn.Linear(width, TURN_MARKS)
        nn.init.constant_(self.marks.bias, RARE)

    def forward(self, numbers: Tensor, since: Tensor, so_far: Tensor) -> tuple[Tensor, Tensor]:
        """Judge all recent bars.

        Args:
            numbers: (n, 96, 8), of `Numbers`.
            since: the same shape, running maxima from each bar to the last.
            so_far: the same shape, running maxima from the first bar to each.

        Returns:
            Judgements (2, n, 48, width) and logits of marks (2, n, 48, 3), upright first.
        """
        leg = rolling(functional.pad(numbers, (0, 0, LEG, 0), value=NEVER), LEG + 1)
        recent = numbers[:, -RECENT:].amax(dim=1, keepdim=True)
        whole = numbers.amax(dim=1, keepdim=True)
        parts = [leg[:, -RECENT:], since[:, -RECENT:]]
        parts += [part.expand(-1, RECENT, -1) for part in (recent, whole)]
        seen = torch.stack([numbers[:, -RECENT:], *parts, so_far[:, -RECENT:]], dim=1)
        steps = _way(numbers[..., CLOSE])
        judged = torch.stack([self._judge(seen, steps), self._judge(exchanged(seen), steps)])
        return judged, self.marks(judged)

    def _judge(self, seen: Tensor, steps: Tensor) -> Tensor:
        here, leg = seen[:, 0], seen[:, 1]
        high, low = here[..., SOFT_HIGH], here[..., SOFT_LOW]
        none = torch.zeros_like(high)
        own = torch.stack([high, low, high, low, high, low, none, none], dim=-1)
        up = (high + leg[..., SOFT_LOW]).clamp(min=0.5)[..., None]
        down = (low + leg[..., SOFT_HIGH]).clamp(min=0.5)[..., None]
        apart = torch.cat([part - own for part in seen[:, 1:].unbind(dim=1)], dim=-1)
        edges, sizes = torch.stack([high, low], dim=-1), torch.cat([up, down], dim=-1)
        told = torch.cat(
            [
                here.clamp(-NEAR, NEAR), here / 8, apart.clamp(-NEAR, NEAR), apart / up,
                apart / down, edges / up, edges / down, sizes / 8,
                (sizes - CLEAR_LEG).clamp(-NEAR, NEAR), steps, sizes / (1 + 10 * steps),
                edges.clamp(-NEAR, NEAR), edges / 8, steps - sizes / 10,
            ], dim=-1,
        )  # fmt: skip
        judged = functional.relu(self.look(told) + self.place)
        return judged + functional.relu(self.judge(judged))


def _way(close: Tensor) -> Tensor:
    """How far closes went within a leg's bars, and since, in tens: (n, 96) to (n, 48, 2)."""
    way = functional.pad((close[:, 1:] - close[:, :-1]).abs().cumsum(dim=1), (1, 0))
    before = functional.pad(way, (LEG, 0))[:, :WINDOW]
    return torch.stack([way - before, way[:, -1:] - way], dim=-1)[:, -RECENT:] / 10


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


def ordered(cells: Tensor) -> Tensor:
    """Four values from the highest to the lowest: (n, k, 4, c), by a sorting network."""
    a, b, c, d = cells.unbind(dim=2)
    a, b = torch.maximum(a, b), torch.minimum(a, b)
    c, d = torch.maximum(c, d), torch.minimum(c, d)
    a, c = torch.maximum(a, c), torch.minimum(a, c)
    b, d = torch.maximum(b, d), torch.minimum(b, d)
    b, c = torch.maximum(b, c), torch.minimum(b, c)
    return torch.stack([a, b, c, d], dim=2)
