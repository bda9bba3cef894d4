"""The image tower of `chart-clip`: a chart is read candle by candle, then as a sequence.

A picture of the model view holds one candle per pixel column. The stem turns each column into
one vector: a short vertical convolution makes edges independent of colours, a linear map then
measures where the body, the wicks, the volume and any overlay stand. Every block lets a candle
see its close neighbours (a convolution along time), then all candles (attention), because a
level is wherever earlier candles turned. The end of a chart is what a setup is about, so the
read-out joins the last candles with a learned summary of all of them.

The tower is registered with timm, so that `open_clip.create_model` can make and load it.
"""

from typing import Any

import timm.models
import torch
from torch import Tensor, nn
from torch.nn import functional

from vision_ai.domain import WINDOW

ROWS = 192
"""Pixel rows of the model view."""

DIGITS = 5
"""Numbers read back from each column while training: open, high, low, close, volume."""


class Stem(nn.Module):
    """Pixels (n, 3, 192, 96), 0 to 1, to one vector per candle (n, 96, width)."""

    def __init__(self, width: int, features: int = 16) -> None:
        super().__init__()
        self.edges = nn.Conv2d(3, features, (8, 1), stride=(4, 1), padding=(2, 0))
        self.column = nn.Linear(features * ROWS // 4, 2 * width)
        self.token = nn.Linear(2 * width, width)
        self.position = nn.Parameter(torch.empty(WINDOW, width))
        nn.init.normal_(self.position, std=0.02)

    def forward(self, pixels: Tensor) -> Tensor:
        """Centre the colours of each picture, then measure every column."""
        centred = pixels - pixels.mean(dim=(1, 2, 3), keepdim=True)
        edges = functional.relu(self.edges(4 * centred))
        columns = edges.permute(0, 3, 2, 1).flatten(2)
        hidden = functional.relu(self.column(columns))
        tokens: Tensor = self.token(hidden) + self.position
        return tokens


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


class ChartTower(nn.Module):
    """Charts (n, 3, 192, 96), 0 to 1, to features (n, num_features).

    `default_cfg`, `num_features` and `reset_classifier` are what open_clip asks of a timm model.
    """

    def __init__(
        self,
        *,
        width: int = 128,
        depth: int = 5,
        heads: int = 4,
        expansion: int = 3,
        kernel: int = 7,
        extremes: int = 32,
    ) -> None:
        super().__init__()
        self.stem = Stem(width)
        self.digits = nn.Linear(width, DIGITS)
        self.blocks = nn.ModuleList(
            Block(width, heads, expansion, kernel, extremes if level % 2 else 0)
            for level in range(depth)
        )
        self.readout = Readout(width)
        self.num_features = 3 * width
        self.hidden = nn.Linear(self.readout.features, self.num_features)
        self.default_cfg: dict[str, Any] = {}

    def reset_classifier(self, num_classes: int, global_pool: str = "") -> None:
        """There is no classifier to take off; open_clip adds its own projection."""

    def forward_with_digits(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """Features, and the numbers (n, 96, 5) read from each column."""
        tokens = self.stem(pixels)
        digits = self.digits(tokens)
        for block in self.blocks:
            tokens = block(tokens)
        return functional.relu(self.hidden(self.readout(tokens))), digits

    def forward(self, pixels: Tensor) -> Tensor:
        """Features of each chart."""
        return self.forward_with_digits(pixels)[0]


def chart_tower(pretrained: bool = False, **_ignored: Any) -> ChartTower:
    """The tower of `chart-clip`, for timm's registry."""
    return ChartTower(width=128, depth=5, heads=4, expansion=3, kernel=7)


def chart_tower_tiny(pretrained: bool = False, **_ignored: Any) -> ChartTower:
    """A tower that trains within seconds, for tests and dry runs."""
    return ChartTower(width=16, depth=2, heads=2, expansion=2, kernel=3, extremes=4)


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
