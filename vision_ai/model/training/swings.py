"""The swing detector: each recent bar of a chart is classified as the end of a leg."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from vision_ai.domain import WINDOW
from vision_ai.model.training.anchors import (  # fmt: skip
    CHANNELS,
    CLOSE,
    HIGH,
    MAX_LEG_BARS,
    MAX_VOLUME_RATIO,
    NEAR_ATR,
    NEG_CLOSE,
    NEG_LOW,
    NEG_SOFT_LOW,
    PADDING,
    PRIOR_LOGIT,
    RETEST_BARS,
    SOFT_HIGH,
    SWING_BARS,
    SWING_CLASSES,
    TRUE_RANGE,
    VOLUME,
    mirror_channels,
    rolling_max,
)

MIN_LEG_ATR = 6.0
"""Leg size about which a leg begins to count."""


class SwingDetector(nn.Module):
    """Normalized bars (n, 96, 8) to an embedding and logits of each recent bar as a swing point.

    Each bar is compared with the extremes before it, since it, and of the whole chart; distances
    enter unscaled where they are small, and in parts of the leg that ends at the bar.
    """

    leg_rows: Tensor

    def __init__(self, width: int) -> None:
        super().__init__()
        bar = torch.arange(WINDOW - SWING_BARS, WINDOW)[:, None] + torch.arange(MAX_LEG_BARS + 1)
        self.register_buffer("leg_rows", bar.flatten(), persistent=False)
        self.bar_embedding = nn.Parameter(torch.zeros(SWING_BARS, width))
        nn.init.normal_(self.bar_embedding, std=0.2)
        self.encoder = nn.Linear(17 * CHANNELS + 18 + 24, width)
        self.residual = nn.Linear(width, width)
        self.classifier = nn.Linear(width, SWING_CLASSES)
        nn.init.constant_(self.classifier.bias, PRIOR_LOGIT)

    def forward(self, bars: Tensor, since: Tensor, so_far: Tensor) -> tuple[Tensor, Tensor]:
        """Classify all recent bars.

        Args:
            bars: (n, 96, 8), of `BarFeatures`.
            since: the same shape, running maxima from each bar to the last.
            so_far: the same shape, running maxima from the first bar to each.

        Returns:
            Embeddings (2, n, 48, width) and logits (2, n, 48, 3), upright first.
        """
        # extremes of the leg that may end at each bar, of the recent bars, of the whole chart
        padded = functional.pad(bars, (0, 0, MAX_LEG_BARS, 0), value=PADDING)
        leg = rolling_max(padded, MAX_LEG_BARS + 1)
        recent = bars[:, -SWING_BARS:].amax(dim=1, keepdim=True)
        whole = bars.amax(dim=1, keepdim=True)
        parts = [leg[:, -SWING_BARS:], since[:, -SWING_BARS:]]
        parts += [part.expand(-1, SWING_BARS, -1) for part in (recent, whole)]
        # (n, 6, 48, 8): the bar itself, its leg, since, recent, whole chart, so far
        context = torch.stack([bars[:, -SWING_BARS:], *parts, so_far[:, -SWING_BARS:]], dim=1)
        path = cumulative_path(bars)
        window_paths, leg_paths = _window_paths(path), self.leg_paths(bars, path)
        retest = since[:, -RETEST_BARS, None].expand(-1, SWING_BARS, -1)
        embeddings = torch.stack(
            [
                self._embed(context, window_paths, leg_paths, retest),
                self._embed(
                    mirror_channels(context), window_paths, leg_paths.flip(-1),
                    mirror_channels(retest),
                ),
            ]
        )  # fmt: skip
        return embeddings, self.classifier(embeddings)

    def leg_paths(self, bars: Tensor, path: Tensor) -> Tensor:
        """Distance that closes went since a leg up to each bar began, and a leg down: (n, 48, 2).

        A leg begins at the lowest, or highest, middle of low and close of the bars before. `path`
        is what `cumulative_path` gives.
        """
        # path at each of the 41 bars that end at each recent bar: (n, 48, 41)
        past = functional.pad(path, (MAX_LEG_BARS, 0))[:, self.leg_rows]
        past = past.view(-1, SWING_BARS, MAX_LEG_BARS + 1)
        sides = []
        for extreme in (NEG_SOFT_LOW, SOFT_HIGH):
            before = functional.pad(bars[..., extreme], (MAX_LEG_BARS, 0), value=PADDING)
            before = before[:, self.leg_rows].view(-1, SWING_BARS, MAX_LEG_BARS + 1)
            start = before.argmax(dim=2)  # (n, 48): where the leg began
            sides.append(path[:, -SWING_BARS:] - past.gather(2, start[..., None])[..., 0])
        return torch.stack(sides, dim=-1)

    def _embed(
        self, context: Tensor, window_paths: Tensor, leg_paths: Tensor, retest: Tensor
    ) -> Tensor:
        """Embeddings (n, 48, width) of each bar, in one orientation."""
        bar, leg, since = context[:, 0], context[:, 1], context[:, 2]  # (n, 48, 8) each
        high, neg_low = bar[..., SOFT_HIGH], bar[..., NEG_SOFT_LOW]
        none = torch.zeros_like(high)
        own = torch.stack([high, neg_low, high, neg_low, high, neg_low, none, none], dim=-1)
        # size of a leg up, and of a leg down, that ends here: (n, 48, 1) each
        up = (high + leg[..., NEG_SOFT_LOW]).clamp(min=0.5)[..., None]
        down = (neg_low + leg[..., SOFT_HIGH]).clamp(min=0.5)[..., None]
        # distances of all context extremes from this bar's own: (n, 48, 5 * 8)
        distance = torch.cat([part - own for part in context[:, 1:].unbind(dim=1)], dim=-1)
        edges, sizes = torch.stack([high, neg_low], dim=-1), torch.cat([up, down], dim=-1)
        # the same sizes from wick to wick
        wick_sizes = (leg[..., [NEG_LOW, HIGH]] + bar[..., [HIGH, NEG_LOW]]).clamp(min=0.5)
        # how far closes came back since: from the wicks, and from the soft extremes
        retraced = torch.stack(
            [
                since[..., CLOSE] + bar[..., NEG_LOW], since[..., NEG_CLOSE] + bar[..., HIGH],
                since[..., CLOSE] + neg_low, since[..., NEG_CLOSE] + high,
            ], dim=-1,
        )  # fmt: skip
        features = torch.cat(
            [
                bar.clamp(-NEAR_ATR, NEAR_ATR), bar / 8, distance.clamp(-NEAR_ATR, NEAR_ATR),
                distance / up, distance / down, edges / up, edges / down, sizes / 8,
                (sizes - MIN_LEG_ATR).clamp(-NEAR_ATR, NEAR_ATR), window_paths,
                sizes / (1 + 10 * window_paths), edges.clamp(-NEAR_ATR, NEAR_ATR), edges / 8,
                window_paths - sizes / 10, retraced.clamp(-NEAR_ATR, NEAR_ATR), retraced / up,
                retraced / down, sizes / leg_paths.clamp(min=1), wick_sizes / 8,
                (wick_sizes - MIN_LEG_ATR - 1).clamp(-NEAR_ATR, NEAR_ATR),
                retest[..., [VOLUME, TRUE_RANGE]].clamp(max=MAX_VOLUME_RATIO),
                bar[..., :2] / wick_sizes, bar[..., :2] / wick_sizes.flip(-1),
            ], dim=-1,
        )  # fmt: skip
        hidden = functional.relu(self.encoder(features) + self.bar_embedding)
        return hidden + functional.relu(self.residual(hidden))


def cumulative_path(bars: Tensor) -> Tensor:
    """Distance that closes went up to each bar, summed from the first: (n, 96, 8) to (n, 96)."""
    close = bars[..., CLOSE]
    return functional.pad((close[:, 1:] - close[:, :-1]).abs().cumsum(dim=1), (1, 0))


def _window_paths(path: Tensor) -> Tensor:
    """Path within the longest leg before each bar, and since, in tens: (n, 96) to (n, 48, 2)."""
    before = functional.pad(path, (MAX_LEG_BARS, 0))[:, :WINDOW]
    return torch.stack([path - before, path[:, -1:] - path], dim=-1)[:, -SWING_BARS:] / 10
