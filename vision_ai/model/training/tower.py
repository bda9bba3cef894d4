"""The image tower of `chart-clip`: a chart is read candle by candle, then by its places.

A picture of the model view holds one candle per pixel column. The stem finds the ends of bodies,
wicks and volume bars in each column and reads the candle's five numbers from them, and nothing
else goes on. Places are judged by the numbers: `stretches` that price left or tested, `turns`
where a leg ended. Beside that the candles pass as tokens through blocks in which one sees its
neighbours (a convolution along time), extremes, and all candles (attention). The read-out joins
the last candles, learned summaries of all, and the places that were chosen.

The tower is registered with timm, so that `open_clip.create_model` can make and load it.
"""

from typing import Any, NamedTuple

import timm.models
import torch
from torch import Tensor, nn
from torch.nn import functional

from vision_ai.domain import WINDOW
from vision_ai.model.training import anchors
from vision_ai.model.training.segments import Stretches
from vision_ai.model.training.swings import Turns

ROWS = 192
"""Pixel rows of the model view."""

PRICE_ROWS = 151
"""Rows of the price panel and of the gap below it; the rest is volume."""

DIM = 105 / 255
"""Ink of wicks in the canonical drawing; bodies are brighter."""

SMALL = 1e-2
"""Ink below which a feature's place fades out."""

COLOUR = 40.0
"""How sharply a column's colour tells up from down at first."""

BIN = 16
"""Rows in which a token sees ink coarsely."""

DIGITS = 5
"""Numbers read from each column: open, high, low, close, volume."""


class Stem(nn.Module):
    """Pixels (n, 3, 192, 96), 0 to 1, to the five numbers of each candle.

    Two short vertical convolutions find ends of bodies, wicks and volume bars. Each feature then
    tells how much of it a column holds and where its centre of mass lies, which is exact to a
    part of a row where the ends are anti-aliased (as in Nibali et al., Numerical Coordinate
    Regression, 2018), and how it spreads over coarse bins.
    """

    rulers: Tensor

    def __init__(self, width: int, features: int = 16) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, features, (3, 1), padding=(1, 0))
        self.second = nn.Conv2d(features, features, (3, 1), padding=(1, 0))
        self.register_buffer("rulers", _rulers(), persistent=False)
        self.column = nn.Linear(features * len(self.rulers), width)
        self.deduced = nn.Linear(width, DIGITS)
        nn.init.normal_(self.deduced.weight, std=1e-3)
        self.exact = nn.Linear(4 * features, 3 * DIGITS)
        self.start(features)

    @torch.no_grad()
    def start(self, features: int) -> None:
        """Begin as the inverse of the canonical drawing: ends of bright and of any ink.

        What random weights find after a thousand steps to a hundredth of the chart's height.
        """
        ink, bright, blue, red, green = range(5)
        above, here, below = range(3)
        first, second = self.first.weight[..., 0], self.second.weight[..., 0]
        first[:5] = 0
        first[ink, :2, here] = first[bright, :2, here] = 1
        first[blue, 2, here] = first[red, 0, here] = first[green, 1, here] = 1
        assert self.first.bias is not None
        assert self.second.bias is not None
        self.first.bias[:5] = 0
        self.first.bias[bright] = -DIM
        second[:7] = 0
        self.second.bias[:7] = 0
        for end, other in enumerate((above, below)):
            second[end, ink, here] = second[end, bright, other] = 1
            second[end, bright, here] = second[end, ink, other] = -1
            second[2 + end, bright, here], second[2 + end, bright, other] = 1, -1
        second[4, blue, here], second[4, blue, above] = 1, -1
        second[5, red, here] = second[6, green, here] = 1
        weight, bias = self.exact.weight, self.exact.bias
        weight.mul_(0.01)
        bias.zero_()
        mass, place = weight[:, :features], weight[:, features : 2 * features]
        wick, body = (DIM + SMALL) / DIM, (1 - DIM + SMALL) / (1 - DIM)
        row = 1 / (PRICE_ROWS - 1)
        opened, high, low, closed, volume = range(DIGITS)
        place[high, 0] = place[low, 1] = wick
        place[[opened, closed], 2] = place[[opened, closed], 3] = body / 2
        bias[low], bias[[opened, closed]] = -row, -row / 2
        weight[volume, 3 * features + 4] = 1 + SMALL
        swing, gate = slice(DIGITS, 2 * DIGITS), slice(2 * DIGITS, 3 * DIGITS)
        for end, sign in ((closed, 1.0), (opened, -1.0)):
            place[swing][end, 2], place[swing][end, 3] = sign * body / 2, -sign * body / 2
            bias[swing][end] = sign * row / 2
            mass[gate][end, 6], mass[gate][end, 5] = COLOUR, -COLOUR

    def forward(self, pixels: Tensor) -> Tensor:
        """Digits (n, 96, 5): open, high, low, close and volume, each 0 to 1 of its panel."""
        pixels = pixels.contiguous(memory_format=torch.channels_last)
        found = functional.relu(self.second(functional.relu(self.first(pixels))))
        n, features, rows, columns = found.shape
        # half floats would round a place to a hundredth of the panel
        with torch.autocast(pixels.device.type, enabled=False):
            stacked = found.permute(0, 2, 3, 1).reshape(n, rows, columns * features).float()
            sums = (self.rulers @ stacked).view(n, len(self.rulers), columns, features)
            price, price_place, volume, volume_place, *coarse = sums.unbind(dim=1)
            exact = torch.cat(
                [
                    price / 16, price_place / (price + SMALL),
                    volume / 16, volume_place / (volume + SMALL),
                ], dim=-1,
            )  # fmt: skip
        hidden = functional.relu(self.column(torch.cat([exact, *coarse], dim=-1)))
        deduced: Tensor = self.deduced(hidden).float()
        with torch.autocast(pixels.device.type, enabled=False):
            plain, swing, gate = self.exact(exact).chunk(3, dim=-1)
            digits: Tensor = deduced + plain + swing * gate.tanh()
            return digits


def _rulers() -> Tensor:
    """What is summed over the rows of a column: ink and place in each panel, ink in coarse bins."""
    lines = torch.zeros(4 + ROWS // BIN, ROWS)
    for panel, (start, stop) in enumerate(((0, PRICE_ROWS), (PRICE_ROWS, ROWS))):
        lines[2 * panel, start:stop] = 1
        lines[2 * panel + 1, start:stop] = torch.linspace(1, 0, stop - start)
    for place in range(ROWS // BIN):
        lines[4 + place, place * BIN : (place + 1) * BIN] = 1 / BIN
    return lines


class Extremes(nn.Module):
    """Running maxima of learned quantities: what was the highest so far, and since.

    Levels, ranges and legs are made of extremes, which averages (attention) only approach.
    """

    def __init__(self, width: int, channels: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.measure = nn.Linear(width, 2 * channels)
        self.merge = nn.Linear(2 * channels, width)

    def forward(self, tokens: Tensor) -> Tensor:
        """(n, 96, width) to the same shape."""
        so_far, since = self.measure(self.norm(tokens)).chunk(2, dim=-1)
        merged: Tensor = self.merge(torch.cat([highest_so_far(so_far), highest_since(since)], -1))
        return tokens + merged


def highest_so_far(values: Tensor) -> Tensor:
    """Maximum over each candle and all before it: (n, 96, channels) to the same shape."""
    if torch.onnx.is_in_onnx_export():
        return by_doublings(values)
    rows = values.transpose(1, 2).contiguous()
    return torch.cummax(rows, dim=-1).values.transpose(1, 2)


def highest_since(values: Tensor) -> Tensor:
    """Maximum over each candle and all after it: (n, 96, channels) to the same shape."""
    return highest_so_far(values.flip(1)).flip(1)


def by_doublings(values: Tensor) -> Tensor:
    """`highest_so_far` in seven steps that ONNX can express; torch's own is ten times faster."""
    step = 1
    while step < WINDOW:
        later = torch.maximum(values[:, step:], values[:, :-step])
        values = torch.cat([values[:, :step], later], dim=1)
        step *= 2
    return values


class Block(nn.Module):
    """Neighbours, extremes, all candles, then each by itself; every part adds to its input."""

    def __init__(self, width: int, heads: int, expansion: int, kernel: int, extremes: int) -> None:
        super().__init__()
        self.heads = heads
        self.extremes = Extremes(width, extremes) if extremes else nn.Identity()
        self.near_norm = nn.LayerNorm(width)
        self.near = nn.Conv1d(width, width, kernel, padding=kernel // 2, groups=width)
        self.all_norm = nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * width)
        self.merge = nn.Linear(width, width)
        self.own_norm = nn.LayerNorm(width)
        self.widen = nn.Linear(width, expansion * width)
        self.narrow = nn.Linear(expansion * width, width)

    def forward(self, tokens: Tensor) -> Tensor:
        """(n, 96, width) to the same shape."""
        near = self.near(self.near_norm(tokens).transpose(1, 2)).transpose(1, 2)
        tokens = self.extremes(tokens + near)
        n, length, width = tokens.shape
        qkv = self.qkv(self.all_norm(tokens)).view(n, length, 3, self.heads, width // self.heads)
        query, key, value = qkv.permute(2, 0, 3, 1, 4)
        scores = query @ key.transpose(-1, -2) * (width // self.heads) ** -0.5
        seen = scores.softmax(dim=-1) @ value
        tokens = tokens + self.merge(seen.transpose(1, 2).reshape(n, length, width))
        own: Tensor = self.narrow(functional.relu(self.widen(self.own_norm(tokens))))
        return tokens + own


class Readout(nn.Module):
    """The last candles and two learned summaries of all candles, side by side."""

    def __init__(self, width: int, last: int = 4, summaries: int = 4) -> None:
        super().__init__()
        self.last = last
        self.norm = nn.LayerNorm(width)
        self.attention = nn.Linear(width, summaries)
        self.features = (last + summaries) * width

    def forward(self, tokens: Tensor) -> Tensor:
        """(n, 96, width) to (n, features)."""
        tokens = self.norm(tokens)
        weights = self.attention(tokens).softmax(dim=1)
        summary = weights.transpose(1, 2) @ tokens
        return torch.cat([tokens[:, -self.last :], summary], dim=1).flatten(1)


class Insight(NamedTuple):
    """What the tower makes of n charts; of sides, the upright one comes first.

    Attributes:
        features: (n, num_features).
        digits: (n, 96, 5), the candles read from single columns.
        proposed: (2, n, stretches), logits that a stretch is worth a look.
        chosen: int64 (2, n, c), which stretches were looked at.
        stretches: (2, n, c, 7), logits of the marks of each chosen stretch.
        turns: (2, n, 48, 3), logits of the marks of each recent bar.
    """

    features: Tensor
    digits: Tensor
    proposed: Tensor
    chosen: Tensor
    stretches: Tensor
    turns: Tensor

    def part(self, rows: slice) -> "Insight":
        """The same of some of the charts."""
        sides = (part[:, rows] for part in self[2:])
        return Insight(self.features[rows], self.digits[rows], *sides)


class Gather(nn.Module):
    """Judgements of many places (2, n, k, width) to features of the chart, of both sides.

    The strongest answer of each kind and the place that was chosen: rules ask whether one holds
    anywhere, and the first place that does is the one that counts.
    """

    def __init__(self, width: int, heads: int = 2) -> None:
        super().__init__()
        self.choose = nn.Linear(width, heads)
        self.features = 2 * (1 + heads) * width

    def forward(self, judged: Tensor) -> Tensor:
        """(2, n, k, width) to (n, features)."""
        weights = self.choose(judged).softmax(dim=2)
        chosen = weights.transpose(2, 3) @ judged
        both = torch.cat([judged.amax(dim=2, keepdim=True), chosen], dim=2).flatten(2)
        return torch.cat([both[0], both[1]], dim=-1)


class ChartTower(nn.Module):
    """Charts (n, 3, 192, 96), 0 to 1, to features (n, num_features).

    `default_cfg`, `num_features` and `reset_classifier` are what open_clip asks of a timm model.
    """

    def __init__(  # noqa: PLR0913 - the sizes of a tower are what tells two of them apart
        self,
        *,
        width: int = 128,
        depth: int = 2,
        heads: int = 4,
        expansion: int = 3,
        kernel: int = 7,
        extremes: int = 32,
        places: int = 128,
        pairs: int = 8,
    ) -> None:
        super().__init__()
        self.stem = Stem(width)
        self.numbers = anchors.Numbers()
        self.told = nn.Linear(2 * anchors.CHANNELS, width)
        self.position = nn.Parameter(torch.empty(WINDOW, width))
        nn.init.normal_(self.position, std=0.02)
        self.blocks = nn.ModuleList(
            Block(width, heads, expansion, kernel, extremes if level % 2 else 0)
            for level in range(depth)
        )
        self.readout = Readout(width)
        self.stretches = Stretches(places, pairs)
        self.turns = Turns(places)
        self.stretch = Gather(places)
        self.turn = Gather(places)
        marks = 2 * (anchors.STRETCH_MARKS + anchors.TURN_MARKS)
        self.num_features = 3 * width
        read = self.readout.features + self.stretch.features + self.turn.features + marks
        self.hidden = nn.Linear(read, self.num_features)
        self.weigh = nn.Linear(self.num_features, self.num_features)
        self.default_cfg: dict[str, Any] = {}

    def reset_classifier(self, num_classes: int, global_pool: str = "") -> None:
        """There is no classifier to take off; open_clip adds its own projection."""

    def look(self, pixels: Tensor, told: Tensor | None = None) -> Insight:
        """Features, and all that is read on the way to them.

        Args:
            pixels: (m, 3, 192, 96), 0 to 1.
            told: digits (n - m, 96, 5) of charts that need not be looked at; they come first.
        """
        digits = self.stem(pixels)
        return self.read(digits if told is None else torch.cat([told, digits]))

    def read(self, digits: Tensor) -> Insight:
        """What candles mean, given the digits (n, 96, 5) that the stem would read."""
        # half floats would blur the last candles' distances, on which setups hang
        with torch.autocast(digits.device.type, enabled=False):
            numbers = self.numbers(digits.detach().float())
            since, so_far = highest_since(numbers), highest_so_far(numbers)
            stretches = self.stretches(numbers, since)
            turned, turn_marks = self.turns(numbers, since, so_far)
            tokens = self.told(torch.cat([numbers / 4, numbers.clamp(-2, 2)], dim=-1))
        tokens = tokens + self.position
        for block in self.blocks:
            tokens = block(tokens)
        marks = torch.cat([stretches.marks.amax(dim=2), turn_marks.amax(dim=2)], dim=-1)
        read = [self.readout(tokens), self.stretch(stretches.judged), self.turn(turned)]
        read += [marks[0] / 4, marks[1] / 4]
        features = functional.relu(self.hidden(torch.cat(read, dim=-1)))
        features = features + functional.relu(self.weigh(features))
        return Insight(
            features, digits, stretches.proposed, stretches.chosen, stretches.marks, turn_marks
        )

    def forward(self, pixels: Tensor) -> Tensor:
        """Features of each chart."""
        return self.look(pixels).features


def chart_tower(pretrained: bool = False, **_ignored: Any) -> ChartTower:
    """The tower of `chart-clip`, for timm's registry."""
    return ChartTower(width=128, depth=2, heads=4, expansion=3, kernel=7)


def chart_tower_tiny(pretrained: bool = False, **_ignored: Any) -> ChartTower:
    """A tower that trains within seconds, for tests and dry runs."""
    return ChartTower(
        width=16, depth=2, heads=2, expansion=2, kernel=3, extremes=4, places=16, pairs=2
    )


__all__ = [
    "DIGITS",
    "ROWS",
    "ChartTower",
    "by_doublings",
    "chart_tower",
    "chart_tower_tiny",
    "highest_since",
    "highest_so_far",
]

timm.models.register_model(chart_tower)
timm.models.register_model(chart_tower_tiny)
