"""What one training step does: weights, their average, optimizer, schedule and loss.

All randomness of a step is drawn from the seed and the step's number, so that the state that
a checkpoint holds, together with the step, is everything.
"""

import copy
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from tokenizers import Tokenizer
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from vision_ai.config import Section
from vision_ai.domain import PHASES, READINGS, Bytes
from vision_ai.errors import ConfigError
from vision_ai.model import vocabulary
from vision_ai.model.training import anchors, checkpoint, loss, presets
from vision_ai.model.training.batches import Batch
from vision_ai.model.training.presets import ChartReader
from vision_ai.model.training.tower import TowerOutput, current_name

Device = torch.device


class Recipe(Section):
    """How to train: the defaults are the recipe of the shipped model."""

    preset: str = "chart-clip"
    steps: int = Field(default=7500, ge=1)
    batch: int = Field(default=128, ge=2, le=4096)
    rate: float = Field(default=4e-3, gt=0, description="peak learning rate")
    decay: float = Field(default=0.05, ge=0, description="weight decay")
    warmup: int = Field(default=150, ge=0, description="steps until the peak rate")
    average: float = Field(default=0.999, ge=0, lt=1, description="decay of the weights' average")
    smoothing: float = Field(default=0.05, ge=0, lt=1, description="of the heads' labels")
    clip: float = Field(default=1.0, gt=0, description="largest norm of a gradient")
    caption_weight: float = Field(default=0.3, ge=0)
    head_weight: float = Field(default=0.5, ge=0)
    fact_weight: float = Field(default=0.5, ge=0)
    digit_weight: float = Field(default=2.0, ge=0)
    place_weight: float = Field(default=1.0, ge=0)
    noise_weight: float = Field(default=0.2, ge=0)
    shown: float = Field(default=0.25, gt=0, le=1, description="share of charts that are drawn")
    balance: float = Field(default=0.5, ge=0, le=1, description="0 natural shares, 1 equal")
    hard: float = Field(
        default=0.95, ge=0, lt=1, description="how much misread charts are drawn more often"
    )
    seed: int = Field(default=0, ge=0)
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    check_every: int = Field(default=500, ge=1, description="steps between validations")
    save_every: int = Field(default=250, ge=1, description="steps between checkpoints")
    patience: int = Field(default=5, ge=1, description="validations without a better one")


@dataclass(frozen=True)
class PromptSet:
    """The sentences that stand for each class, and their tokenizer.

    Attributes:
        tokenizer: sentences to tokens.
        context: tokens of a text.
        groups: several sentences for each reading, then for each phase, in the order of codes.
    """

    tokenizer: Tokenizer
    context: int
    groups: list[list[str]]

    def tokens(self, sentences: Sequence[str]) -> NDArray[np.int64]:
        """Tokens of sentences: int64 (n, context)."""
        return vocabulary.encode(self.tokenizer, sentences, self.context)

    def draw(self, rng: np.random.Generator) -> list[str]:
        """One random sentence of each group."""
        return [group[int(rng.integers(len(group)))] for group in self.groups]

    def sentences(self, names: Sequence[str]) -> tuple[list[str], list[str]]:
        """All sentences, and the name of the group of each."""
        pairs = [
            (sentence, name)
            for group, name in zip(self.groups, names, strict=True)
            for sentence in group
        ]
        return [sentence for sentence, _ in pairs], [name for _, name in pairs]


def pick_device(requested: str | None = None) -> torch.device:
    """The device asked for, or the best one here: cuda, then mps, then cpu.

    Raises:
        ConfigError: the device asked for is not here.
    """
    here = {
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
        "cpu": True,
    }
    name = requested or next(name for name, is_here in here.items() if is_here)
    if not here.get(name, False):
        raise ConfigError(
            f"Device {name[:20]!r} is not here.",
            hint=f"Use --device {' or '.join(n for n, is_here in here.items() if is_here)}.",
        )
    return torch.device(name)


def set_seed(seed: int) -> None:
    """Make torch's random numbers start anew from `seed`."""
    torch.manual_seed(seed)


def create_model(recipe: Recipe, weights: Path | None = None) -> ChartReader:
    """The model that a recipe starts from: its seed decides whatever `weights` do not.

    Raises:
        ConfigError: an unknown preset, or weights that may run code.
        CorruptFileError: the weights are damaged, or another model's.
        MissingModelError: the weights can neither be found nor downloaded.
    """
    set_seed(recipe.seed)
    return presets.create(presets.resolve(recipe.preset), weights)


class StepResult(NamedTuple):
    """What a step measured before it changed the weights.

    Attributes:
        loss: of the whole batch.
        errors: float32 (n,), 1 less the probability that each chart's own setup got by its prompt.
    """

    loss: float
    errors: NDArray[np.float32]


class Trainer:
    """A model in training, with its averaged weights, its optimizer and its schedule."""

    def __init__(
        self,
        reader: ChartReader,
        prompts: PromptSet,
        recipe: Recipe,
        device: torch.device,
        *,
        facts: int,
        bf16: bool,
    ) -> None:
        self.recipe = recipe
        self.prompts = prompts
        self.device = device
        self.bf16 = bf16
        self.reader = reader.to(device)
        probe = torch.zeros((1, 192, 96, 3), dtype=torch.uint8, device=device)
        with torch.no_grad():
            width = self.reader.analyze(probe).features.shape[1]
        self.heads = nn.Linear(width, len(READINGS) + len(PHASES) + facts).to(device)
        self.average = copy.deepcopy(self.reader).requires_grad_(False)
        self._trained = nn.ModuleDict({"reader": self.reader, "heads": self.heads})
        named = dict(self._trained.named_parameters())
        groups: list[dict[str, Any]] = [
            {"params": [p for p in named.values() if p.ndim > 1]},
            {"params": [p for p in named.values() if p.ndim <= 1], "weight_decay": 0.0},
        ]
        self.optimizer = torch.optim.AdamW(
            groups,
            lr=recipe.rate,
            betas=(0.9, 0.98),
            weight_decay=recipe.decay,
        )

    @property
    def shown(self) -> float:
        """Share of charts that have to be drawn for it."""
        return self.recipe.shown if self.reader.reads_candles else 1.0

    def learning_rate(self, step: int) -> float:
        """Learning rate of a step: a linear rise, then half a cosine down to a hundredth."""
        recipe = self.recipe
        peak = recipe.rate * self.reader.preset.rate_factor
        if step < recipe.warmup:
            return peak * (step + 1) / recipe.warmup
        done = (step - recipe.warmup) / max(recipe.steps - recipe.warmup, 1)
        return peak * (0.01 + 0.99 * (1 + math.cos(math.pi * min(done, 1.0))) / 2)

    def train_step(self, batch: Batch, step: int) -> StepResult:
        """Take one step; the result is of the weights before it."""
        self.reader.train()
        for group in self.optimizer.param_groups:
            group["lr"] = self.learning_rate(step)
        total, errors = self.loss(batch, step)
        self.optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(total)
        nn.utils.clip_grad_norm_(self._trained.parameters(), self.recipe.clip)
        self.optimizer.step()
        self._update_average(step)
        return StepResult(float(total.detach()), errors.numpy(force=True))

    def loss(self, batch: Batch, step: int) -> tuple[Tensor, Tensor]:
        """The whole loss of a batch, and how wrong each of its charts was read, 0 to 1.

        The prompts that it is contrasted with depend on the step.
        """
        recipe = self.recipe
        reading = torch.from_numpy(batch.reading).to(self.device)  # (n,)
        phase = torch.from_numpy(batch.phase).to(self.device)
        # one prompt a class, then a caption of each drawn chart
        rng = np.random.default_rng([recipe.seed, step, 1])
        sentences = self.prompts.draw(rng) + batch.captions
        tokens = torch.from_numpy(self.prompts.tokens(sentences)).to(self.device)
        with self._precision(), sdpa_kernel(_attention_kernels(self.device)):
            # charts given as OHLCV, drawn charts, noise: in this order in one pass
            pictures = torch.from_numpy(np.concatenate([batch.pictures, batch.noise]))
            given = torch.from_numpy(batch.ohlcv[: batch.given]).to(self.device)
            output = self.reader.analyze(pictures.to(self.device), given if batch.given else None)
            charts, noise = output.take(slice(len(batch))), output.vectors[len(batch) :]
            texts = self.reader.texts(tokens)
            logits = self.heads(charts.features)  # (n, readings + phases + facts)
        first, second = len(READINGS), len(READINGS) + len(PHASES)
        scale = self.reader.scale
        # zero-shot: each chart against the prompts of all readings, and of all phases
        each = loss.prompt_cross_entropy(charts.vectors, texts[:first], reading, scale)
        total = each.mean() + (
            loss.prompt_cross_entropy(charts.vectors, texts[first:second], phase, scale).mean()
        )
        # scrambled pictures fit every prompt alike
        if len(noise):
            outliers = loss.outlier_exposure(noise, texts[:first], scale)
            outliers = outliers + loss.outlier_exposure(noise, texts[first:second], scale)
            total = total + recipe.noise_weight * outliers
        # charts and captions of the same reading and phase attract
        both = reading * len(PHASES) + phase
        total = total + recipe.caption_weight * loss.contrastive(
            charts.vectors, texts[second:], loss.same_label(both, both[batch.given :]), scale
        )
        # linear heads: classes, then the rule book's measurements
        total = total + recipe.head_weight * (
            loss.smoothed_cross_entropy(logits[:, :first], reading, recipe.smoothing)
            + loss.smoothed_cross_entropy(logits[:, first:second], phase, recipe.smoothing)
        )
        facts = torch.from_numpy(batch.facts).to(self.device)
        total = total + recipe.fact_weight * loss.masked_l1(logits[:, second:], facts)
        # what our own tower computes on the way: OHLCV of drawn charts, segments and swings
        if charts.tower is not None:
            truth = torch.from_numpy(batch.ohlcv[batch.given :]).to(self.device)
            ohlcv = charts.tower.ohlcv[batch.given :]
            total = total + recipe.digit_weight * loss.ohlcv_l1(ohlcv, truth)
            total = total + recipe.place_weight * self._region_loss(charts.tower, batch)
        return total, 1 - each.detach().neg().exp()

    def _region_loss(self, output: TowerOutput, batch: Batch) -> Tensor:
        """Focal losses of segments and swings: anywhere on the chart, of proposals, of each."""
        # (2, n, anchors, classes + 1) and (2, n, 48, classes): sides first, as the tower has them
        segments = torch.from_numpy(batch.segments).to(self.device).transpose(0, 1)
        swings = torch.from_numpy(batch.swings).to(self.device).transpose(0, 1)
        classes = segments[..., : anchors.IS_CANDIDATE]
        is_candidate = segments[..., anchors.IS_CANDIDATE]
        # whether a rule holds anywhere, by the strongest logit
        anywhere = loss.focal(output.segment_logits.amax(2), classes.any(2))
        anywhere = anywhere + loss.focal(output.swing_logits.amax(2), swings.any(2))
        # proposed segments against their own targets, and what was worth proposing
        proposals = output.proposals[..., None].expand(-1, -1, -1, anchors.SEGMENT_CLASSES)
        by_segment = loss.focal(output.segment_logits, classes.gather(2, proposals))
        by_segment = by_segment + loss.focal(output.proposal_logits, is_candidate)
        return anywhere + by_segment + loss.focal(output.swing_logits, swings)

    def _precision(self) -> torch.autocast:
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.bf16)

    @torch.no_grad()
    def _update_average(self, step: int) -> None:
        """Move the average towards the weights, fast at first."""
        keep = min(self.recipe.average, (1 + step) / (10 + step))
        for mean, now in zip(self.average.parameters(), self.reader.parameters(), strict=True):
            mean.lerp_(now, 1 - keep)

    def state(self) -> dict[str, Tensor]:
        """Everything that the next step depends on, by name."""
        tensors = {f"now/{k}": v for k, v in self._trained.state_dict().items()}
        tensors |= {f"mean/{k}": v for k, v in self.average.state_dict().items()}
        for name, parameter in self._trained.named_parameters():
            for key, value in self.optimizer.state[parameter].items():
                tensors[f"optimizer/{key}/{name}"] = value
        return {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Take up a state that `state` returned, of this version or the one before."""
        tensors = {current_name(name): tensor for name, tensor in tensors.items()}
        self._trained.load_state_dict(checkpoint.part(tensors, "now/"))
        self.average.load_state_dict(checkpoint.part(tensors, "mean/"))
        for name, parameter in self._trained.named_parameters():
            for key in ("step", "exp_avg", "exp_avg_sq"):
                value = tensors.get(f"optimizer/{key}/{name}")
                if value is not None:
                    where = "cpu" if key == "step" else self.device
                    self.optimizer.state[parameter][key] = value.clone().to(where)


@torch.no_grad()
def interpolate_weights(trained: ChartReader, start: ChartReader, alpha: float) -> None:
    """Move `trained` back towards the weights it started from.

    Fine-tuning forgets; a linear interpolation of old and new weights keeps most of both (WiSE-FT:
    Wortsman et al. 2022).

    Args:
        trained: what becomes the interpolated model.
        start: what it was trained from; left as it is.
        alpha: share of the trained weights; 0 gives those of `start`, 1 changes nothing, exactly.
    """
    before = start.state_dict()
    for name, now in trained.state_dict().items():
        if now.is_floating_point():
            now.lerp_(before[name].to(now.device), 1 - alpha)


def _attention_kernels(device: torch.device) -> list[SDPBackend]:
    """Plain arithmetic on a CPU, whose fused kernel is slow to go backward in bf16."""
    plain = [SDPBackend.MATH]
    fused = [SDPBackend.FLASH_ATTENTION, SDPBackend.EFFICIENT_ATTENTION]
    return plain if device.type == "cpu" else fused + plain


def is_bf16_faster(device: torch.device) -> bool:
    """Whether bfloat16 is faster here: measured on a CPU, since few have the hardware."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported())
    if device.type != "cpu":
        return False
    wide = _product_seconds(torch.ones(2048, 512))
    return _product_seconds(torch.ones(2048, 512, dtype=torch.bfloat16)) < wide / 2


def _product_seconds(rows: Tensor) -> float:
    """The quickest of a few products of a matrix with its own transpose."""
    times = []
    for _ in range(5):
        started = time.perf_counter()
        _ = rows @ rows.T
        times.append(time.perf_counter() - started)
    return min(times)


@torch.no_grad()
def embed_pictures(
    reader: ChartReader, pictures: Bytes, *, bf16: bool = False
) -> NDArray[np.float32]:
    """Unit vectors of pictures, wherever the model is: float32 (n, d)."""
    reader.eval()
    device = reader.mean.device
    parts = []
    for start in range(0, len(pictures), 128):
        part = torch.from_numpy(pictures[start : start + 128]).to(device)
        with torch.autocast(device.type, torch.bfloat16, enabled=bf16):
            parts.append(reader.images(part).float().cpu().numpy())
    return np.concatenate(parts)


@torch.no_grad()
def prototypes(reader: ChartReader, prompts: PromptSet) -> NDArray[np.float32]:
    """The mean direction of each group's sentences: float32 (23, d), unit length."""
    reader.eval()
    rows = []
    for group in prompts.groups:
        tokens = torch.from_numpy(prompts.tokens(group)).to(reader.mean.device)
        mean = reader.texts(tokens).mean(dim=0)
        rows.append((mean / mean.norm()).cpu().numpy())
    return np.stack(rows)
