"""The segment detector: which sideways segments of a chart are boxes or floors, and what followed.

As in Faster R-CNN (Ren et al. 2015) a small proposal head scores all anchors and a larger network
classifies the best of them. A segment is pooled in quarters (RoI pooling: Girshick, Fast R-CNN,
2015), and the bar at which price first crossed one of its levels is found by a learned hazard.
"""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from vision_ai.domain import WINDOW
from vision_ai.model.training.anchors import (  # fmt: skip
    BARS_AFTER,
    CHANNELS,
    CLOSE,
    HIGH,
    MAX_VOLUME_RATIO,
    NEAR_ATR,
    NEG_CLOSE,
    NEG_LOW,
    PRIOR_LOGIT,
    RETEST_BARS,
    SEGMENT_ANCHORS,
    SEGMENT_CLASSES,
    VOLUME,
    first_passage_probability,
    mirror_channels,
    rank_quarters,
    rebound_from_extremes,
    rolling_max,
    sort_quarters,
)

CROSSING_CHANNELS = (CLOSE, NEG_CLOSE, HIGH, NEG_LOW)
"""Channels whose first crossing of a level is looked for."""

PROPOSALS = 56
"""Segments that are classified; the median chart has two real ones, one chart in thirty more."""

PROPOSAL_WIDTH = 48
"""Width of the proposal head."""

CROSSING_KINDS = 2
"""A level can be crossed in two ways: by a close, or by a longer wick."""

CROSSING_SLOPE = 3.0
"""How fast a crossing gets certain at first: logits in each ATR beyond its level."""

MAX_CROSSING_ATR = 3.0
"""ATR beyond a level at which a crossing is as certain as it gets."""


class SegmentDetector(nn.Module):
    """Normalized bars (n, 96, 8) to logits of the best segments, of the chart and of its mirror.

    Of each segment it sees the extremes of the four quarters, as they come and sorted; means of
    both halves; extremes since; and the state of the chart at the first bar that crosses each of
    a few learned levels around the segment. All are distances from the second highest and the
    second lowest quarter (the edges), unscaled near them and in parts of the height farther out.
    """

    quarter_rows: Tensor
    half_rows: Tensor
    half_bars: Tensor
    next_row: Tensor
    is_after: Tensor
    earlier: Tensor

    def __init__(self, width: int, pairs: int) -> None:
        super().__init__()
        self.quarter_sizes = sorted({bars // 4 for bars, _ in SEGMENT_ANCHORS})
        for name, table in _index_tables(self.quarter_sizes).items():
            self.register_buffer(name, table, persistent=False)
        self.pairs = pairs
        self.proposal_head = ProposalHead(PROPOSAL_WIDTH)
        self.anchor_embedding = nn.Parameter(torch.zeros(len(SEGMENT_ANCHORS), width))
        nn.init.normal_(self.anchor_embedding, std=0.2)
        self.encoder = nn.Linear(2 * (11 * CHANNELS + 6) + 7 + 3, width)
        self.level_offset = nn.Linear(width, pairs * CROSSING_KINDS)
        self.crossing_weight = nn.Parameter(
            torch.empty(pairs * CROSSING_KINDS, len(CROSSING_CHANNELS))
        )
        self.log_slope = nn.Parameter(torch.zeros(pairs * CROSSING_KINDS, 1))
        self.init_crossings(pairs)
        self.crossing_encoder = nn.Linear(pairs * (4 * CHANNELS + 3), width)
        self.residual_1 = nn.Linear(width, width)
        self.residual_2 = nn.Linear(width, width)
        self.classifier = nn.Linear(width, SEGMENT_CLASSES)
        nn.init.constant_(self.classifier.bias, PRIOR_LOGIT)

    def forward(self, bars: Tensor, since: Tensor) -> "SegmentOutput":
        """Classify the proposed segments of both sides.

        Args:
            bars: (n, 96, 8), of `BarFeatures`.
            since: the same shape, the running maxima from each bar to the last.
        """
        # extremes of every run of each quarter length, stacked along time: (n, runs, 8)
        runs = torch.cat([rolling_max(bars, size) for size in self.quarter_sizes], dim=1)
        # the four quarters of every anchor: (n, anchors, 4, 8)
        quarters = runs[:, self.quarter_rows].view(-1, len(SEGMENT_ANCHORS), 4, CHANNELS)
        # extremes of the retest bars and of all bars after a segment: (n, 2, 8)
        recent = torch.stack([since[:, -RETEST_BARS], since[:, -BARS_AFTER - 1]], dim=1)
        pooled = PooledSegments(
            quarters,
            self._half_means(bars),
            since[:, self.next_row],
            recent,
            rebound_from_extremes(bars, since),
        )
        after = torch.cat([bars, since], dim=-1)[:, -BARS_AFTER:]  # (n, 24, 16)
        sides = [
            self._classify_side(pooled, after),
            self._classify_side(pooled.mirrored(), mirror_channels(after)),
        ]
        return SegmentOutput(*(torch.stack(parts) for parts in zip(*sides, strict=True)))

    def _classify_side(self, pooled: "PooledSegments", after: Tensor) -> "SegmentOutput":
        proposal_logits = self.proposal_head(pooled)  # (n, anchors)
        # which anchors are looked at is no function to be learned: no gradient
        proposals = proposal_logits.detach().topk(PROPOSALS, dim=1).indices
        embeddings = self._embed(pooled.take(proposals), proposals, after)
        return SegmentOutput(proposal_logits, proposals, embeddings, self.classifier(embeddings))

    @torch.no_grad()
    def init_crossings(self, pairs: int) -> None:
        """Begin with what a chartist would look for: a close, or a longer wick, past an edge."""
        nn.init.normal_(self.crossing_weight, std=0.05)
        for kind, (channels, near, far) in enumerate((((0, 1), 0.0, 0.8), ((2, 3), 0.3, 1.2))):
            for pair in range(pairs):
                self.crossing_weight[kind * pairs + pair, channels[pair % 2]] += 1
            nn.init.uniform_(self.level_offset.bias[kind * pairs : (kind + 1) * pairs], -far, -near)

    def _half_means(self, bars: Tensor) -> Tensor:
        """Mean close and volume of the halves of each segment: (n, anchors, 2, 2)."""
        values = bars[..., [CLOSE, VOLUME]]
        # sums before each bar, at the start, middle and end of each anchor: (n, anchors, 3, 2)
        sums = functional.pad(values.cumsum(dim=1), (0, 0, 1, 0))[:, self.half_rows]
        sums = sums.view(-1, len(SEGMENT_ANCHORS), 3, 2)
        return (sums[:, :, 1:] - sums[:, :, :-1]) / self.half_bars[:, :, None]

    def _embed(self, pooled: "PooledSegments", proposals: Tensor, after: Tensor) -> Tensor:
        """Embeddings (n, c, width) of proposed segments, with the state at first crossings."""
        # what the segment itself looks like: (n, c, width)
        first = functional.relu(self.encoder(pooled.features()) + self.anchor_embedding[proposals])
        # how far each bar after it is beyond the edges: (n, c, 4 channels, 24 bars)
        edges = pooled.channel_edges
        bars = after[..., list(CROSSING_CHANNELS)].transpose(1, 2)[:, None]
        beyond = (bars - edges[..., list(CROSSING_CHANNELS)][..., None]).clamp(
            -MAX_CROSSING_ATR, MAX_CROSSING_ATR
        )
        # logits that a learned level is crossed at each bar: (n, c, pairs * kinds, 24)
        hazard = self.crossing_weight @ beyond + self.level_offset(first)[..., None]
        hazard = hazard * (CROSSING_SLOPE * (4 * self.log_slope).exp())
        hazard = torch.maximum(*hazard.chunk(CROSSING_KINDS, dim=2))  # the likelier of both kinds
        # probability that each bar is the first crossing: (n, c, pairs, 24)
        probability = first_passage_probability(hazard, self.is_after[proposals], self.earlier)
        # expected state of the chart at the first crossing, with its probability and age
        age = torch.linspace(-1, 1, BARS_AFTER, device=after.device)[None, :, None]
        age = age.expand(after.shape[0], -1, -1)
        state = torch.cat([after, torch.ones_like(age), age], dim=-1)  # (n, 24, 18)
        crossing = (probability.flatten(1, 2) @ state).view(
            -1, PROPOSALS, self.pairs, state.shape[-1]
        )
        # join both, then two residual layers
        encoded = self.crossing_encoder(pooled.crossing_features(crossing).flatten(2))
        embedding = functional.relu(first + encoded)
        embedding = embedding + functional.relu(self.residual_1(embedding))
        return embedding + functional.relu(self.residual_2(embedding))


class SegmentOutput(NamedTuple):
    """What was made of segments; sides, upright first, come before all when stacked.

    Attributes:
        proposal_logits: (n, anchors), logits that a segment is worth classifying.
        proposals: int64 (n, c), the anchors that were classified, the most promising first.
        embeddings: (n, c, width), of those.
        logits: (n, c, 7), of the segment classes.
    """

    proposal_logits: Tensor
    proposals: Tensor
    embeddings: Tensor
    logits: Tensor


class ProposalHead(nn.Module):
    """How promising each anchor is: a small network scores all, a larger one sees the best.

    As in Faster R-CNN. Nine of ten segments are no box, and it takes little to see that.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.anchor_embedding = nn.Parameter(torch.zeros(len(SEGMENT_ANCHORS), width))
        nn.init.normal_(self.anchor_embedding, std=0.2)
        self.encoder = nn.Linear(20, width)
        self.residual = nn.Linear(width, width)
        self.score = nn.Linear(width, 1)
        nn.init.constant_(self.score.bias, PRIOR_LOGIT)

    def forward(self, pooled: "PooledSegments") -> Tensor:
        """Logits (n, anchors)."""
        hidden = functional.relu(self.encoder(pooled.proposal_features()) + self.anchor_embedding)
        hidden = hidden + functional.relu(self.residual(hidden))
        score: Tensor = self.score(hidden)[..., 0]
        return score


@dataclass(frozen=True, eq=False)
class PooledSegments:
    """What was pooled from each segment, in one orientation; k segments.

    Attributes:
        quarters: (n, k, 4, 8), extremes of each quarter.
        half_means: (n, k, 2, 2), mean close and volume of both halves.
        after: (n, k, 8), extremes of all bars since.
        recent: (n, 2, 8), extremes of the retest bars and of all bars that can come after.
        rebounds: (n, 2), how far closes came back from the recent low, and from the recent high.
    """

    quarters: Tensor
    half_means: Tensor
    after: Tensor
    recent: Tensor
    rebounds: Tensor

    def mirrored(self) -> "PooledSegments":
        """The same of the mirrored chart."""
        sign = torch.tensor([-1.0, 1.0], device=self.half_means.device)  # closes turn, volumes not
        return PooledSegments(
            mirror_channels(self.quarters), self.half_means * sign, mirror_channels(self.after),
            mirror_channels(self.recent), self.rebounds.flip(-1),
        )  # fmt: skip

    def take(self, proposals: Tensor) -> "PooledSegments":
        """Only the proposed segments (n, c)."""
        parts = [self.quarters, self.half_means, self.after]
        # one gather of all parts side by side is faster than three: (n, k, 32 + 4 + 8)
        flat = torch.cat([part.flatten(2) for part in parts], dim=-1)
        rows = flat.gather(1, proposals[..., None].expand(-1, -1, flat.shape[-1]))
        sizes = [part[0, 0].numel() for part in parts]
        quarters, half_means, after = (
            x.reshape(-1, PROPOSALS, *part.shape[2:])
            for x, part in zip(torch.split(rows, sizes, dim=-1), parts, strict=True)
        )
        return replace(self, quarters=quarters, half_means=half_means, after=after)

    def proposal_features(self) -> Tensor:
        """What distinguishes a box or a floor from anything else: (n, k, 20)."""
        high, second, apart = self.ranked  # (n, k, 2) each: of highs, of negated lows
        (top, bottom), height = second.unbind(dim=-1), second.sum(dim=-1, keepdim=True)
        part = height.clamp(min=1.0)
        # does one quarter stick out; was the level tested twice; does price drift or lean
        spike, twice = high - second, apart - second
        close = self.half_means[..., 0]
        lean = close.mean(dim=-1) - (top - bottom) / 2
        drift = torch.stack([lean, close[..., 1] - close[..., 0]], dim=-1).abs()
        # where the retest bars lie against the lower edge, and how far price rebounded from it
        now = torch.stack(
            [self.recent[:, 0, NEG_LOW, None], self.recent[:, 0, NEG_CLOSE, None]], dim=-1
        )
        rebound = torch.cat([self.rebounds[:, :1], self.recent[:, 1, :1] / 4], dim=-1)
        return torch.cat(
            [
                torch.cat([spike, twice, drift], dim=-1).div(part).clamp(-0.5, 0.5) * 4,
                (now - bottom[..., None]).clamp(-NEAR_ATR, NEAR_ATR),
                torch.stack([spike[..., NEG_LOW], twice[..., NEG_LOW]], dim=-1)
                .clamp(-NEAR_ATR, NEAR_ATR),
                height / 4, self.after[..., :4] / 8, bottom[..., None] / 4,
                rebound[:, None].expand(-1, height.shape[1], -1).clamp(max=NEAR_ATR),
                height.clamp(max=8.0) / 2, height.clamp(max=4.0),
            ], dim=-1,
        )  # fmt: skip

    @cached_property
    def ranked(self) -> tuple[Tensor, Tensor, Tensor]:
        """Highest, second and twice reached of highs and of negated lows: (n, k, 2) each."""
        return rank_quarters(self.quarters[..., :2])

    @cached_property
    def edges(self) -> tuple[Tensor, Tensor]:
        """Second highest high, and second lowest low negated: (n, k) each."""
        second = self.ranked[1]
        return second[..., HIGH], second[..., NEG_LOW]

    @cached_property
    def channel_edges(self) -> Tensor:
        """The edge that each channel is measured from: (n, k, 8)."""
        top, bottom = self.edges
        none = torch.zeros_like(top)
        return torch.stack([top, bottom, top, bottom, top, bottom, none, none], dim=-1)

    def features(self) -> Tensor:
        """Everything as distances from the edges: (n, k, features)."""
        (top, bottom), channel_edges = self.edges, self.channel_edges
        height = (top + bottom)[..., None].clamp(min=1.0)
        edges = torch.stack([top, bottom], dim=-1)
        middle = torch.stack([(top - bottom) / 2, torch.zeros_like(top)], dim=-1)
        # quarters in their order and sorted, half means, what came after, twice reached levels
        distance = torch.cat(
            [
                (self.quarters - channel_edges[:, :, None]).flatten(2),
                (sort_quarters(self.quarters) - channel_edges[:, :, None]).flatten(2),
                (self.half_means - middle[:, :, None]).flatten(2),
                self.after - channel_edges,
                (self.recent[:, None] - channel_edges[:, :, None]).flatten(2),
                self.ranked[2] - channel_edges[..., :2],
            ], dim=-1,
        )  # fmt: skip
        rebounds = self.rebounds[:, None].expand(-1, channel_edges.shape[1], -1)
        volume_ratio = self.after[..., VOLUME, None] / self._mean_volume()
        # each distance twice: exact near the edges, and in parts of the height
        return torch.cat(
            [
                distance.clamp(-NEAR_ATR, NEAR_ATR), distance / height,
                edges.clamp(-NEAR_ATR, NEAR_ATR), edges / height, height / 4, edges / 8,
                rebounds.clamp(max=NEAR_ATR), volume_ratio.clamp(max=MAX_VOLUME_RATIO),
            ], dim=-1,
        )  # fmt: skip

    def crossing_features(self, crossing: Tensor) -> Tensor:
        """States at first crossings, as distances from the edges.

        Args:
            crossing: (n, k, pairs, 2 * 8 + 2), bars, extremes since, probability and age, each
                already times the probability that the crossing happened there.

        Returns:
            (n, k, pairs, 35): exact near the edges, in parts of the height, and volume in parts
            of the segment's own.
        """
        top, bottom = self.edges
        height = (top + bottom)[..., None, None].clamp(min=1.0)
        values, probability = crossing[..., : 2 * CHANNELS], crossing[..., 2 * CHANNELS :]
        channel_edges = self.channel_edges[:, :, None].repeat(1, 1, 1, 2)
        # the edges are weighted alike, so that no crossing is a distance of 0
        distance = values - channel_edges * probability[..., :1]
        volume = values[..., CHANNELS + VOLUME, None] / self._mean_volume()[:, :, None]
        return torch.cat(
            [
                distance.clamp(-NEAR_ATR, NEAR_ATR), distance / height, probability,
                volume.clamp(max=MAX_VOLUME_RATIO),
            ], dim=-1,
        )  # fmt: skip

    def _mean_volume(self) -> Tensor:
        """Mean volume of the segment: (n, k, 1)."""
        return self.half_means[..., 1].mean(dim=2)[..., None].abs().clamp(min=0.1)


def _index_tables(quarter_sizes: list[int]) -> dict[str, Tensor]:
    """Where each anchor finds its parts, by the name of the buffer.

    Args:
        quarter_sizes: lengths of quarters in bars; the rolling maxima of each are stacked.
    """
    # where the runs of each quarter length begin in the stack
    offsets, total = {}, 0
    for size in quarter_sizes:
        offsets[size] = total
        total += WINDOW - size + 1
    bars, ended = torch.tensor(SEGMENT_ANCHORS).T  # (anchors,) each
    starts = [
        [offsets[long // 4] + WINDOW - ago - long + part * (long // 4) for part in range(4)]
        for long, ago in SEGMENT_ANCHORS
    ]
    first, half = WINDOW - ended - bars, bars // 2
    ages = torch.arange(BARS_AFTER - 1, -1, -1)  # of the last 24 bars, the oldest first
    return {
        "quarter_rows": torch.tensor(starts).flatten(),
        "half_rows": torch.stack([first, first + half, first + 2 * half], dim=1).flatten(),
        "half_bars": half.float()[:, None],
        "next_row": (WINDOW - ended).clamp(max=WINDOW - 1),
        "is_after": (ages[None, :] < ended[:, None]).float()[:, None],
        "earlier": torch.ones(BARS_AFTER, BARS_AFTER).triu(1),
    }
