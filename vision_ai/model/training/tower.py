"""The image tower of `chart-clip`: pixels to OHLCV, OHLCV to the features of a chart.

A picture of the model view holds one candle per pixel column. The stem finds the ends of bodies,
wicks and volume bars in each column and reads the candle's OHLCV from them; nothing else of the
pixels passes on. Two detectors classify regions of the normalized bars: `segments` that price left
or tested, `swings` where a leg ended. Beside them the candles pass as tokens through blocks of
convolution along time, running extremes and attention. The read-out joins the last candles,
attention-pooled summaries of all candles, and the pooled regions.

The tower is registered with timm, so that `open_clip.create_model` can make and load it.
"""

import re
from typing import Any, NamedTuple

import timm.models
import torch
from torch import Tensor, nn
from torch.nn import functional

from vision_ai.domain import WINDOW
from vision_ai.model.training import anchors
from vision_ai.model.training.segments import SegmentDetector
from vision_ai.model.training.stem import Stem
from vision_ai.model.training.swings import SwingDetector


class RunningExtremes(nn.Module):
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
        return cumulative_max_for_onnx(values)
    rows = values.transpose(1, 2).contiguous()
    return torch.cummax(rows, dim=-1).values.transpose(1, 2)


def highest_since(values: Tensor) -> Tensor:
    """Maximum over each candle and all after it: (n, 96, channels) to the same shape."""
    return highest_so_far(values.flip(1)).flip(1)


def cumulative_max_for_onnx(values: Tensor) -> Tensor:
    """`highest_so_far` in seven doublings that ONNX can express; cummax is ten times faster."""
    step = 1
    while step < WINDOW:
        later = torch.maximum(values[:, step:], values[:, :-step])
        values = torch.cat([values[:, :step], later], dim=1)
        step *= 2
    return values


class Block(nn.Module):
    """Convolution, running extremes, attention, MLP; every part adds to its input."""

    def __init__(self, width: int, heads: int, expansion: int, kernel: int, extremes: int) -> None:
        super().__init__()
        self.heads = heads
        self.extremes = RunningExtremes(width, extremes) if extremes else nn.Identity()
        self.conv_norm = nn.LayerNorm(width)
        self.conv = nn.Conv1d(width, width, kernel, padding=kernel // 2, groups=width)
        self.attention_norm = nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * width)
        self.attention_out = nn.Linear(width, width)
        self.mlp_norm = nn.LayerNorm(width)
        self.mlp_in = nn.Linear(width, expansion * width)
        self.mlp_out = nn.Linear(expansion * width, width)

    def forward(self, tokens: Tensor) -> Tensor:
        """(n, 96, width) to the same shape."""
        # neighbours along time, then extremes
        near = self.conv(self.conv_norm(tokens).transpose(1, 2)).transpose(1, 2)
        tokens = self.extremes(tokens + near)
        # multi-head attention over all candles: (n, heads, 96, width / heads)
        n, length, width = tokens.shape
        qkv = self.qkv(self.attention_norm(tokens))
        qkv = qkv.view(n, length, 3, self.heads, width // self.heads)
        query, key, value = qkv.permute(2, 0, 3, 1, 4)
        scores = query @ key.transpose(-1, -2) * (width // self.heads) ** -0.5
        attended = scores.softmax(dim=-1) @ value
        merged = attended.transpose(1, 2).reshape(n, length, width)
        tokens = tokens + self.attention_out(merged)
        # each candle by itself
        out: Tensor = self.mlp_out(functional.relu(self.mlp_in(self.mlp_norm(tokens))))
        return tokens + out


class Readout(nn.Module):
    """The last candles and a few attention-pooled summaries of all candles, side by side."""

    def __init__(self, width: int, last: int = 4, summaries: int = 4) -> None:
        super().__init__()
        self.last = last
        self.norm = nn.LayerNorm(width)
        self.attention = nn.Linear(width, summaries)
        self.features = (last + summaries) * width

    def forward(self, tokens: Tensor) -> Tensor:
        """(n, 96, width) to (n, features)."""
        tokens = self.norm(tokens)
        weights = self.attention(tokens).softmax(dim=1)  # (n, 96, summaries)
        summary = weights.transpose(1, 2) @ tokens  # (n, summaries, width)
        return torch.cat([tokens[:, -self.last :], summary], dim=1).flatten(1)


class TowerOutput(NamedTuple):
    """What the tower makes of n charts; of sides, the upright one comes first.

    Attributes:
        features: (n, num_features).
        ohlcv: (n, 96, 5), the candles as read from single columns.
        proposal_logits: (2, n, anchors), logits that a segment is worth classifying.
        proposals: int64 (2, n, c), which anchors were classified.
        segment_logits: (2, n, c, 7), of the segment classes.
        swing_logits: (2, n, 48, 3), of the swing classes of each recent bar.
    """

    features: Tensor
    ohlcv: Tensor
    proposal_logits: Tensor
    proposals: Tensor
    segment_logits: Tensor
    swing_logits: Tensor

    def take(self, rows: slice) -> "TowerOutput":
        """The same of some of the charts."""
        sides = (part[:, rows] for part in self[2:])
        return TowerOutput(self.features[rows], self.ohlcv[rows], *sides)


class AttentionPooling(nn.Module):
    """Embeddings of k regions (2, n, k, width) to features of the chart, of both sides.

    The maximum over regions and attention-weighted means: rules ask whether one holds anywhere,
    and the first region in which it does is the one that counts.
    """

    def __init__(self, width: int, heads: int = 2) -> None:
        super().__init__()
        self.attention = nn.Linear(width, heads)
        self.features = 2 * (1 + heads) * width

    def forward(self, embeddings: Tensor) -> Tensor:
        """(2, n, k, width) to (n, features)."""
        weights = self.attention(embeddings).softmax(dim=2)  # (2, n, k, heads)
        means = weights.transpose(2, 3) @ embeddings  # (2, n, heads, width)
        both = torch.cat([embeddings.amax(dim=2, keepdim=True), means], dim=2).flatten(2)
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
        region_width: int = 128,
        pairs: int = 8,
    ) -> None:
        super().__init__()
        self.stem = Stem(width)
        self.normalize = anchors.BarFeatures()
        self.bar_encoder = nn.Linear(2 * anchors.CHANNELS, width)
        self.position = nn.Parameter(torch.empty(WINDOW, width))
        nn.init.normal_(self.position, std=0.02)
        self.blocks = nn.ModuleList(
            Block(width, heads, expansion, kernel, extremes if level % 2 else 0)
            for level in range(depth)
        )
        self.readout = Readout(width)
        self.segments = SegmentDetector(region_width, pairs)
        self.swings = SwingDetector(region_width)
        self.segment_pool = AttentionPooling(region_width)
        self.swing_pool = AttentionPooling(region_width)
        logits = 2 * (anchors.SEGMENT_CLASSES + anchors.SWING_CLASSES)
        self.num_features = 3 * width
        joined = self.readout.features + self.segment_pool.features
        joined += self.swing_pool.features + logits
        self.hidden = nn.Linear(joined, self.num_features)
        self.residual = nn.Linear(self.num_features, self.num_features)
        self.default_cfg: dict[str, Any] = {}

    def _load_from_state_dict(
        self, state_dict: dict[str, Tensor], prefix: str, *args: Any, **kwargs: Any
    ) -> None:
        """Read parameters under the names of version 0.1.0 too; torch calls this on loading."""
        for name in [name for name in state_dict if name.startswith(prefix)]:
            renamed = prefix + current_name(name.removeprefix(prefix))
            state_dict[renamed] = state_dict.pop(name)
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)

    def reset_classifier(self, num_classes: int, global_pool: str = "") -> None:
        """There is no classifier to take off; open_clip adds its own projection."""

    def analyze(self, pixels: Tensor, given: Tensor | None = None) -> TowerOutput:
        """Features, and all that is computed on the way to them.

        Args:
            pixels: (m, 3, 192, 96), 0 to 1.
            given: OHLCV (n - m, 96, 5) of charts that need no picture; they come first.
        """
        ohlcv = self.stem(pixels)
        return self.analyze_ohlcv(ohlcv if given is None else torch.cat([given, ohlcv]))

    def analyze_ohlcv(self, ohlcv: Tensor) -> TowerOutput:
        """The same of OHLCV (n, 96, 5), as the stem would read it."""
        # half floats would blur the last candles' distances, on which setups hang
        with torch.autocast(ohlcv.device.type, enabled=False):
            # detached: the stem learns from the OHLCV loss alone
            bars = self.normalize(ohlcv.detach().float())  # (n, 96, 8)
            since, so_far = highest_since(bars), highest_so_far(bars)
            segments = self.segments(bars, since)
            swings, swing_logits = self.swings(bars, since, so_far)
            # each channel twice: in tenths of the usual range, and exact near the last close
            tokens = self.bar_encoder(torch.cat([bars / 4, bars.clamp(-2, 2)], dim=-1))
        tokens = tokens + self.position
        for block in self.blocks:
            tokens = block(tokens)
        # the strongest logit of each class, wherever it is: (2, n, 10)
        strongest = torch.cat([segments.logits.amax(dim=2), swing_logits.amax(dim=2)], dim=-1)
        joined = [
            self.readout(tokens), self.segment_pool(segments.embeddings), self.swing_pool(swings),
        ]  # fmt: skip
        joined += [strongest[0] / 4, strongest[1] / 4]
        features = functional.relu(self.hidden(torch.cat(joined, dim=-1)))
        features = features + functional.relu(self.residual(features))
        return TowerOutput(
            features, ohlcv, segments.proposal_logits, segments.proposals, segments.logits,
            swing_logits,
        )  # fmt: skip

    def forward(self, pixels: Tensor) -> Tensor:
        """Features of each chart."""
        return self.analyze(pixels).features


OLD_NAMES = (
    ("stem.deduced", "stem.correction"),
    ("stem.exact", "stem.coordinates"),
    ("told", "bar_encoder"),
    ("blocks.*.near_norm", "blocks.*.conv_norm"),
    ("blocks.*.near", "blocks.*.conv"),
    ("blocks.*.all_norm", "blocks.*.attention_norm"),
    ("blocks.*.merge", "blocks.*.attention_out"),
    ("blocks.*.own_norm", "blocks.*.mlp_norm"),
    ("blocks.*.widen", "blocks.*.mlp_in"),
    ("blocks.*.narrow", "blocks.*.mlp_out"),
    ("stretches.propose.place", "segments.proposal_head.anchor_embedding"),
    ("stretches.propose.look", "segments.proposal_head.encoder"),
    ("stretches.propose.judge", "segments.proposal_head.residual"),
    ("stretches.propose.score", "segments.proposal_head.score"),
    ("stretches.place", "segments.anchor_embedding"),
    ("stretches.look", "segments.encoder"),
    ("stretches.level", "segments.level_offset"),
    ("stretches.cross", "segments.crossing_weight"),
    ("stretches.sharper", "segments.log_slope"),
    ("stretches.meet", "segments.crossing_encoder"),
    ("stretches.judge", "segments.residual_1"),
    ("stretches.again", "segments.residual_2"),
    ("stretches.marks", "segments.classifier"),
    ("turns.place", "swings.bar_embedding"),
    ("turns.look", "swings.encoder"),
    ("turns.judge", "swings.residual"),
    ("turns.marks", "swings.classifier"),
    ("stretch.choose", "segment_pool.attention"),
    ("turn.choose", "swing_pool.attention"),
    ("weigh", "residual"),
)
"""Parameters by their names in weights and checkpoints of version 0.1.0 and now; `*` is a number.

The shipped weights have the old names; both are read."""

_OLD_NAMES = tuple(
    (re.compile(old.replace(".", r"\.").replace("*", r"(\d+)") + r"(?=\.|\Z)"),
     new.replace("*", r"\1"))
    for old, new in OLD_NAMES
)  # fmt: skip


def current_name(name: str) -> str:
    """A parameter's present name, given the one it has in a file.

    Args:
        name: within the tower, or in full with `visual.trunk.` before it.

    >>> current_name("optimizer/exp_avg/reader.clip.visual.trunk.turns.look.weight")
    'optimizer/exp_avg/reader.clip.visual.trunk.swings.encoder.weight'
    """
    head, separator, tail = name.rpartition("visual.trunk.")
    for pattern, new in _OLD_NAMES:
        if pattern.match(tail):
            return head + separator + pattern.sub(new, tail, count=1)
    return name


def chart_tower(pretrained: bool = False, **_ignored: Any) -> ChartTower:
    """The tower of `chart-clip`, for timm's registry."""
    return ChartTower(width=128, depth=2, heads=4, expansion=3, kernel=7)


def chart_tower_tiny(pretrained: bool = False, **_ignored: Any) -> ChartTower:
    """A tower that trains within seconds, for tests and dry runs."""
    return ChartTower(
        width=16, depth=2, heads=2, expansion=2, kernel=3, extremes=4, region_width=16, pairs=2
    )


__all__ = [
    "OLD_NAMES",
    "ChartTower",
    "chart_tower",
    "chart_tower_tiny",
    "cumulative_max_for_onnx",
    "current_name",
    "highest_since",
    "highest_so_far",
]

timm.models.register_model(chart_tower)
timm.models.register_model(chart_tower_tiny)
