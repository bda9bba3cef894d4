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


CROSSED = (CLOSE, FALL, HIGH, LOW)
"""Channels whose first crossing of a level is looked for."""

CHOSEN = 56
"""Stretches that are looked at closely; the median chart has two boxes, one in thirty more than 56."""
PROPOSING = 48
"""Width of the small network that chooses them."""

NEAR, FAR = 2.0, 3.0
"""ATR within which distances are told plainly; rules compare small distances with constants."""

CLEAR_LEG = 6.0
"""ATR about which a leg begins to count."""

WAYS = 2
"""Ways in which one thing can happen: a level is left by a close or by a longer wick."""

SHARP = 3.0
"""How fast a crossing gets certain at first: logits in each ATR beyond its level."""

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
        levels = pooled.levels()
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


class Pooled(NamedTuple):
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
            for x, part in zip(taken.split(sizes, dim=-1), parts, strict=True)
        )
        return self._replace(cells=cells, means=means, beyond=beyond)

    def outline(self) -> Tensor:
        """What tells a box or a floor from anything else: (n, k, 20)."""
        high, second, apart = leading(self.cells[..., :2])
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

    def edges(self) -> tuple[Tensor, Tensor]:
        """Second highest high, and second lowest low negated: (n, k) each."""
        second = leading(self.cells[..., :2])[1]
        return second[..., HIGH], second[..., LOW]

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
                (ordered(self.cells) - levels[:, :, None]).flatten(2),
                (self.means - middle[:, :, None]).flatten(2),
                self.beyond - levels,
                (self.fresh[:, None] - levels[:, :, None]).flatten(2),
                leading(self.cells[..., :2])[2] - levels[..., :2],
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
        top, bottom = self.edges()
        height = (top + bottom)[..., None, None].clamp(min=1.0)
        values, chance = found[..., : 2 * CHANNELS], found[..., 2 * CHANNELS :]
        levels = self.levels()[:, :, None].repeat(1, 1, 1, 2)
        apart = values - levels * chance[..., :1]
        volume = values[..., CHANNELS + VOLUME, None] / self._usual()[:, :, None]
        return torch.cat(
            [apart.clamp(-NEAR, NEAR), apart / height, chance, volume.clamp(max=MANY)], dim=-1
        )

    def _usual(self) -> Tensor:
        """Mean volume of the stretch (n, k, 1)."""
        return self.means[..., 1].mean(dim=2)[..., None].abs().clamp(min=0.1)


def rebound(numbers: Tensor, since: Tensor) -> Tensor:
    """How far closes came back from the fresh low, and from the fresh high: (n, 2)."""
    last, best = numbers[:, -FRESH:], since[:, -FRESH:]
    sides = []
    for extreme, close in ((LOW, CLOSE), (HIGH, FALL)):
        top = last[..., extreme].amax(dim=1, keepdim=True)
        here = torch.where(last[..., extreme] == top, best[..., close], -NEVER)
        sides.append(here.amin(dim=1) + top[:, 0])  # of equal extremes the latest counts
    return torch.stack(sides, dim=-1)


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

    legs: Tensor

    def __init__(self, width: int) -> None:
        super().__init__()
        bar = torch.arange(WINDOW - RECENT, WINDOW)[:, None] + torch.arange(LEG + 1)
        self.register_buffer("legs", bar.flatten(), persistent=False)
        self.place = nn.Parameter(torch.zeros(RECENT, width))
        nn.init.normal_(self.place, std=0.2)
        self.look = nn.Linear(17 * CHANNELS + 18 + 24, width)
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
        steps, ways = _way(numbers[..., CLOSE]), self.ways(numbers)
        fresh = since[:, -FRESH, None].expand(-1, RECENT, -1)
        judged = torch.stack(
            [
                self._judge(seen, steps, ways, fresh),
                self._judge(exchanged(seen), steps, ways.flip(-1), exchanged(fresh)),
            ]
        )
        return judged, self.marks(judged)

    def ways(self, numbers: Tensor) -> Tensor:
        """How far closes went since a leg up to each bar began, and since a leg down: (n, 48, 2).

        It began at the lowest, or highest, middle of low and close of the bars before.
        """
        close = numbers[..., CLOSE]
        way = functional.pad((close[:, 1:] - close[:, :-1]).abs().cumsum(dim=1), (1, 0))
        sides = []
        for extreme in (SOFT_LOW, SOFT_HIGH):
            before = functional.pad(numbers[..., extreme], (LEG, 0), value=NEVER)[:, self.legs]
            begun = before.view(-1, RECENT, LEG + 1).argmax(dim=2)
            past = functional.pad(way, (LEG, 0))[:, self.legs].view(-1, RECENT, LEG + 1)
            sides.append(way[:, -RECENT:] - past.gather(2, begun[..., None])[..., 0])
        return torch.stack(sides, dim=-1)

    def _judge(self, seen: Tensor, steps: Tensor, ways: Tensor, fresh: Tensor) -> Tensor:
        here, leg, since = seen[:, 0], seen[:, 1], seen[:, 2]
        high, low = here[..., SOFT_HIGH], here[..., SOFT_LOW]
        none = torch.zeros_like(high)
        own = torch.stack([high, low, high, low, high, low, none, none], dim=-1)
        up = (high + leg[..., SOFT_LOW]).clamp(min=0.5)[..., None]
        down = (low + leg[..., SOFT_HIGH]).clamp(min=0.5)[..., None]
        apart = torch.cat([part - own for part in seen[:, 1:].unbind(dim=1)], dim=-1)
        edges, sizes = torch.stack([high, low], dim=-1), torch.cat([up, down], dim=-1)
        hard = (leg[..., [LOW, HIGH]] + here[..., [HIGH, LOW]]).clamp(min=0.5)
        back = torch.stack(
            [
                since[..., CLOSE] + here[..., LOW], since[..., FALL] + here[..., HIGH],
                since[..., CLOSE] + low, since[..., FALL] + high,
            ], dim=-1,
        )  # fmt: skip
        told = torch.cat(
            [
                here.clamp(-NEAR, NEAR), here / 8, apart.clamp(-NEAR, NEAR), apart / up,
                apart / down, edges / up, edges / down, sizes / 8,
                (sizes - CLEAR_LEG).clamp(-NEAR, NEAR), steps, sizes / (1 + 10 * steps),
                edges.clamp(-NEAR, NEAR), edges / 8, steps - sizes / 10,
                back.clamp(-NEAR, NEAR), back / up, back / down, sizes / ways.clamp(min=1),
                hard / 8, (hard - CLEAR_LEG - 1).clamp(-NEAR, NEAR),
                fresh[..., [VOLUME, SPAN]].clamp(max=MANY), here[..., :2] / hard,
                (here[..., :2] / hard.flip(-1)),
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
