"""Sideways stretches of a chart: which are boxes or floors, and what became of them.

As in Faster R-CNN (Ren et al. 2015) a small network proposes and a larger one judges what was
proposed. A stretch is pooled in quarters (RoI pooling: Girshick, Fast R-CNN, 2015) and sees the
bar at which price first crossed a level, by a learned hazard.
"""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from vision_ai.domain import WINDOW
from vision_ai.model.training.anchors import (  # fmt: skip
    AFTER,
    CHANNELS,
    CLOSE,
    FALL,
    FRESH,
    HIGH,
    LOW,
    MANY,
    NEAR,
    RARE,
    STRETCH_MARKS,
    STRETCHES,
    VOLUME,
    exchanged,
    leading,
    ordered,
    passage,
    rebound,
    rolling,
)

CROSSED = (CLOSE, FALL, HIGH, LOW)
"""Channels whose first crossing of a level is looked for."""

CHOSEN = 56
"""Stretches that are looked at closely; the median chart has two, one in thirty more than these."""

PROPOSING = 48
"""Width of the small network that chooses them."""

WAYS = 2
"""Ways in which one thing can happen: a level is left by a close or by a longer wick."""

SHARP = 3.0
"""How fast a crossing gets certain at first: logits in each ATR beyond its level."""

FAR = 3.0
"""ATR beyond a level at which a crossing is as certain as it gets."""


class Stretches(nn.Module):
    """Numbers (n, 96, 8) to judgements of the best stretches, of the chart and of its mirror.

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
        self.pairs = pairs
        self.propose = Proposals(PROPOSING)
        self.place = nn.Parameter(torch.zeros(len(STRETCHES), width))
        nn.init.normal_(self.place, std=0.2)
        self.look = nn.Linear(2 * (11 * CHANNELS + 6) + 7 + 3, width)
        self.level = nn.Linear(width, pairs * WAYS)
        self.cross = nn.Parameter(torch.empty(pairs * WAYS, len(CROSSED)))
        self.sharper = nn.Parameter(torch.zeros(pairs * WAYS, 1))
        self.start(pairs)
        self.meet = nn.Linear(pairs * (4 * CHANNELS + 3), width)
        self.judge = nn.Linear(width, width)
        self.again = nn.Linear(width, width)
        self.marks = nn.Linear(width, STRETCH_MARKS)
        nn.init.constant_(self.marks.bias, RARE)

    def forward(self, numbers: Tensor, since: Tensor) -> "Judged":
        """Judge the stretches of both sides that are worth it.

        Args:
            numbers: (n, 96, 8), of `Numbers`.
            since: the same shape, the running maxima from each bar to the last.
        """
        rolled = torch.cat([rolling(numbers, size) for size in self.sizes], dim=1)
        cells = rolled[:, self.quarter].view(-1, len(STRETCHES), 4, CHANNELS)
        fresh = torch.stack([since[:, -FRESH], since[:, -AFTER - 1]], dim=1)
        pooled = Pooled(
            cells, self._means(numbers), since[:, self.after], fresh, rebound(numbers, since)
        )
        late = torch.cat([numbers, since], dim=-1)[:, -AFTER:]
        sides = [self._side(pooled, late), self._side(pooled.mirrored(), exchanged(late))]
        return Judged(*(torch.stack(parts) for parts in zip(*sides, strict=True)))

    def _side(self, pooled: "Pooled", late: Tensor) -> "Judged":
        proposed = self.propose(pooled)
        chosen = proposed.detach().topk(CHOSEN, dim=1).indices
        judged = self._judge(pooled.take(chosen), chosen, late)
        return Judged(proposed, chosen, judged, self.marks(judged))

    @torch.no_grad()
    def start(self, pairs: int) -> None:
        """Begin with what a chartist would look for: a close, or a longer wick, past an edge."""
        nn.init.normal_(self.cross, std=0.05)
        for way, (channels, near, far) in enumerate((((0, 1), 0.0, 0.8), ((2, 3), 0.3, 1.2))):
            for pair in range(pairs):
                self.cross[way * pairs + pair, channels[pair % 2]] += 1
            nn.init.uniform_(self.level.bias[way * pairs : (way + 1) * pairs], -far, -near)

    def _means(self, numbers: Tensor) -> Tensor:
        """Mean close and volume of the halves of each stretch (n, stretches, 2, 2)."""
        told = numbers[..., [CLOSE, VOLUME]]
        sums = functional.pad(told.cumsum(dim=1), (0, 0, 1, 0))[:, self.edges]
        sums = sums.view(-1, len(STRETCHES), 3, 2)
        return (sums[:, :, 1:] - sums[:, :, :-1]) / self.halves[:, :, None]

    def _judge(self, pooled: "Pooled", chosen: Tensor, late: Tensor) -> Tensor:
        first = functional.relu(self.look(pooled.told()) + self.place[chosen])
        levels = pooled.levels
        bars = late[..., list(CROSSED)].transpose(1, 2)[:, None]
        beyond = (bars - levels[..., list(CROSSED)][..., None]).clamp(-FAR, FAR)
        hazard = self.cross @ beyond + self.level(first)[..., None]
        hazard = hazard * (SHARP * (4 * self.sharper).exp())
        hazard = torch.maximum(*hazard.chunk(WAYS, dim=2))
        weight = passage(hazard, self.open[chosen], self.earlier)
        age = torch.linspace(-1, 1, AFTER, device=late.device)[None, :, None]
        age = age.expand(late.shape[0], -1, -1)
        state = torch.cat([late, torch.ones_like(age), age], dim=-1)
        found = (weight.flatten(1, 2) @ state).view(-1, CHOSEN, self.pairs, state.shape[-1])
        judged = functional.relu(first + self.meet(pooled.against(found).flatten(2)))
        judged = judged + functional.relu(self.judge(judged))
        return judged + functional.relu(self.again(judged))


class Judged(NamedTuple):
    """What was made of stretches; sides, upright first, come before all when stacked.

    Attributes:
        proposed: (n, stretches), logits that a stretch is worth a look.
        chosen: int64 (n, c), which were looked at, the most promising first.
        judged: (n, c, width), judgements of those.
        marks: (n, c, 7), logits of what holds there.
    """

    proposed: Tensor
    chosen: Tensor
    judged: Tensor
    marks: Tensor


class Proposals(nn.Module):
    """How promising each stretch is: a small network looks at all, a larger one at the best.

    As in Faster R-CNN. Nine of ten stretches are no box, and it takes little to see that.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.place = nn.Parameter(torch.zeros(len(STRETCHES), width))
        nn.init.normal_(self.place, std=0.2)
        self.look = nn.Linear(20, width)
        self.judge = nn.Linear(width, width)
        self.score = nn.Linear(width, 1)
        nn.init.constant_(self.score.bias, RARE)

    def forward(self, pooled: "Pooled") -> Tensor:
        """Logits (n, stretches)."""
        judged = functional.relu(self.look(pooled.outline()) + self.place)
        judged = judged + functional.relu(self.judge(judged))
        score: Tensor = self.score(judged)[..., 0]
        return score


@dataclass(frozen=True, eq=False)
class Pooled:
    """What was pooled from each stretch, in one orientation; k stretches.

    Attributes:
        cells: (n, k, 4, 8), extremes of each quarter.
        means: (n, k, 2, 2), close and volume of both halves.
        beyond: (n, k, 8), extremes since.
        fresh: (n, 2, 8), extremes of the last few bars and of all bars that can be seen after.
        turned: (n, 2), how far closes came back from the fresh low, and from the fresh high.
    """

    cells: Tensor
    means: Tensor
    beyond: Tensor
    fresh: Tensor
    turned: Tensor

    def mirrored(self) -> "Pooled":
        """The same of the mirrored chart."""
        sign = torch.tensor([-1.0, 1.0], device=self.means.device)
        return Pooled(
            exchanged(self.cells), self.means * sign, exchanged(self.beyond),
            exchanged(self.fresh), self.turned.flip(-1),
        )  # fmt: skip

    def take(self, chosen: Tensor) -> "Pooled":
        """Only the chosen stretches (n, c)."""
        parts = [self.cells, self.means, self.beyond]
        flat = torch.cat([part.flatten(2) for part in parts], dim=-1)
        taken = flat.gather(1, chosen[..., None].expand(-1, -1, flat.shape[-1]))
        sizes = [part[0, 0].numel() for part in parts]
        cells, means, beyond = (
            x.reshape(-1, CHOSEN, *part.shape[2:])
            for x, part in zip(torch.split(taken, sizes, dim=-1), parts, strict=True)
        )
        return replace(self, cells=cells, means=means, beyond=beyond)

    def outline(self) -> Tensor:
        """What tells a box or a floor from anything else: (n, k, 20)."""
        high, second, apart = self.leading
        (top, bottom), height = second.unbind(dim=-1), second.sum(dim=-1, keepdim=True)
        part = height.clamp(min=1.0)
        spike, twice = high - second, apart - second
        close = self.means[..., 0]
        lean = close.mean(dim=-1) - (top - bottom) / 2
        away = torch.stack([lean, close[..., 1] - close[..., 0]], dim=-1).abs()
        now = torch.stack([self.fresh[:, 0, LOW, None], self.fresh[:, 0, FALL, None]], dim=-1)
        turned = torch.cat([self.turned[:, :1], self.fresh[:, 1, :1] / 4], dim=-1)
        return torch.cat(
            [
                torch.cat([spike, twice, away], dim=-1).div(part).clamp(-0.5, 0.5) * 4,
                (now - bottom[..., None]).clamp(-NEAR, NEAR),
                torch.stack([spike[..., LOW], twice[..., LOW]], dim=-1).clamp(-NEAR, NEAR),
                height / 4, self.beyond[..., :4] / 8, bottom[..., None] / 4,
                turned[:, None].expand(-1, height.shape[1], -1).clamp(max=NEAR),
                height.clamp(max=8.0) / 2, height.clamp(max=4.0),
            ], dim=-1,
        )  # fmt: skip

    @cached_property
    def leading(self) -> tuple[Tensor, Tensor, Tensor]:
        """Highest, second and twice reached of highs and of lows negated: (n, k, 2) each."""
        return leading(self.cells[..., :2])

    @cached_property
    def edges(self) -> tuple[Tensor, Tensor]:
        """Second highest high, and second lowest low negated: (n, k) each."""
        second = self.leading[1]
        return second[..., HIGH], second[..., LOW]

    @cached_property
    def levels(self) -> Tensor:
        """The edge that each channel is measured from (n, k, 8)."""
        top, bottom = self.edges
        none = torch.zeros_like(top)
        return torch.stack([top, bottom, top, bottom, top, bottom, none, none], dim=-1)

    def told(self) -> Tensor:
        """Everything as distances from the edges: (n, k, features)."""
        (top, bottom), levels = self.edges, self.levels
        height = (top + bottom)[..., None].clamp(min=1.0)
        edges = torch.stack([top, bottom], dim=-1)
        middle = torch.stack([(top - bottom) / 2, torch.zeros_like(top)], dim=-1)
        apart = torch.cat(
            [
                (self.cells - levels[:, :, None]).flatten(2),
                (ordered(self.cells) - levels[:, :, None]).flatten(2),
                (self.means - middle[:, :, None]).flatten(2),
                self.beyond - levels,
                (self.fresh[:, None] - levels[:, :, None]).flatten(2),
                self.leading[2] - levels[..., :2],
            ], dim=-1,
        )  # fmt: skip
        turned = self.turned[:, None].expand(-1, levels.shape[1], -1)
        busy = self.beyond[..., VOLUME, None] / self._usual()
        return torch.cat(
            [
                apart.clamp(-NEAR, NEAR), apart / height, edges.clamp(-NEAR, NEAR),
                edges / height, height / 4, edges / 8, turned.clamp(max=NEAR),
                busy.clamp(max=MANY),
            ], dim=-1,
        )  # fmt: skip

    def against(self, found: Tensor) -> Tensor:
        """States at first crossings, as distances from the edges.

        Args:
            found: (n, k, pairs, 2 * 8 + 2), numbers, extremes since, chance and age, each already
                times the chance that the crossing happened there.

        Returns:
            (n, k, pairs, 35), plainly near the edges, in parts of the height, and volume in
            parts of the stretch's own.
        """
        top, bottom = self.edges
        height = (top + bottom)[..., None, None].clamp(min=1.0)
        values, chance = found[..., : 2 * CHANNELS], found[..., 2 * CHANNELS :]
        levels = self.levels[:, :, None].repeat(1, 1, 1, 2)
        apart = values - levels * chance[..., :1]
        volume = values[..., CHANNELS + VOLUME, None] / self._usual()[:, :, None]
        return torch.cat(
            [apart.clamp(-NEAR, NEAR), apart / height, chance, volume.clamp(max=MANY)], dim=-1
        )

    def _usual(self) -> Tensor:
        """Mean volume of the stretch (n, k, 1)."""
        return self.means[..., 1].mean(dim=2)[..., None].abs().clamp(min=0.1)


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
