"""The models that can be trained, all defined, made and loaded with open_clip.

`chart-clip` is compact and starts from nothing; `clip-vit-b16` is OpenAI's ViT-B-16, to be
fine-tuned. Both take the model view as it is drawn, uint8 (n, 192, 96, 3): whatever a tower
wants instead (floats, another size, its own colour scale) happens inside, and so inside the
exported graph. Needs the `train` extra.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import open_clip
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from tokenizers import Tokenizer
from torch import Tensor, nn
from torch.nn import functional

from vision_ai.errors import ConfigError, CorruptFileError, MissingModelError
from vision_ai.model import vocabulary
from vision_ai.model.training.tower import ChartTower, TowerOutput

CONFIGS = Path(__file__).parents[2] / "assets" / "open_clip"
open_clip.add_model_config(CONFIGS)


@dataclass(frozen=True)
class Preset:
    """What one kind of model needs beside its weights.

    Attributes:
        name: as the user writes it.
        architecture: open_clip's name for it.
        weights: open_clip's tag of the weights to start from; None starts from nothing.
        side: pixels that the picture is resized to, None to take it as drawn.
        mean, std: colour scale of the tower.
        has_own_vocabulary: whether the vocabulary is made from our descriptions, or is CLIP's.
        rate_factor: learning rate in parts of the recipe's; pretrained weights are moved gently.
        wise_ft_alpha: share of the trained weights in the finished ones, the rest being the
            starting ones (WiSE-FT); 1 keeps none of those.
    """

    name: str
    architecture: str
    weights: str | None = None
    side: int | None = None
    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    std: tuple[float, float, float] = (1.0, 1.0, 1.0)
    has_own_vocabulary: bool = True
    rate_factor: float = 1.0
    wise_ft_alpha: float = 1.0


PRESETS = {
    preset.name: preset
    for preset in (
        Preset("chart-clip", "chart-clip"),
        Preset("chart-clip-tiny", "chart-clip-tiny"),
        Preset(
            "clip-vit-b16",
            "ViT-B-16-quickgelu",  # OpenAI trained with the sigmoid form of GELU
            weights="openai",
            side=224,
            mean=open_clip.OPENAI_DATASET_MEAN,
            std=open_clip.OPENAI_DATASET_STD,
            has_own_vocabulary=False,
            rate_factor=0.01,
            wise_ft_alpha=0.7,
        ),
    )
}


def resolve(name: str) -> Preset:
    """The preset of that name.

    Raises:
        ConfigError: there is none.
    """
    if name not in PRESETS:
        raise ConfigError(
            f"Model preset {name[:40]!r} is unknown.", hint=f"Known: {', '.join(PRESETS)}."
        )
    return PRESETS[name]


class ImageOutput(NamedTuple):
    """What a model makes of n charts.

    Attributes:
        vectors: (n, d), unit length.
        features: (n, f), before the projection; what linear heads and probes read.
        tower: what our own tower computed on the way; None for other towers.
    """

    vectors: Tensor
    features: Tensor
    tower: TowerOutput | None

    def take(self, rows: slice) -> "ImageOutput":
        """The same of some of the charts."""
        tower = None if self.tower is None else self.tower.take(rows)
        return ImageOutput(self.vectors[rows], self.features[rows], tower)


class ChartReader(nn.Module):
    """An open_clip model that takes pictures of the model view and tokens."""

    mean: Tensor
    std: Tensor

    def __init__(self, preset: Preset, clip: Any) -> None:
        super().__init__()
        self.preset = preset
        self.clip: Any = clip
        self.register_buffer("mean", torch.tensor(preset.mean).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(preset.std).view(1, 3, 1, 1), persistent=False)

    def pixels(self, pictures: Tensor) -> Tensor:
        """Pictures uint8 (n, 192, 96, 3) as the tower wants them: (n, 3, height, width)."""
        pixels = pictures.contiguous().permute(0, 3, 1, 2).float() / 255
        if self.preset.side is None:
            return pixels
        size = (self.preset.side, self.preset.side)
        pixels = functional.interpolate(pixels, size, mode="bilinear", align_corners=False)
        return (pixels - self.mean) / self.std

    @property
    def reads_candles(self) -> bool:
        """Whether its tower can be given a chart's OHLCV instead of its picture."""
        return isinstance(getattr(self.clip.visual, "trunk", None), ChartTower)

    def analyze(self, pictures: Tensor, given: Tensor | None = None) -> ImageOutput:
        """Vectors, and what training needs beside them.

        Args:
            pictures: uint8 (m, 192, 96, 3).
            given: float (n - m, 96, 5), OHLCV of charts that have no picture but come first; only
                for a model that `reads_candles`.
        """
        visual = self.clip.visual
        if not self.reads_candles:
            features = visual(self.pixels(pictures))
            return ImageOutput(functional.normalize(features.float(), dim=-1), features, None)
        output = visual.trunk.analyze(self.pixels(pictures), given)
        vectors = functional.normalize(visual.head(output.features).float(), dim=-1)
        return ImageOutput(vectors, output.features, output)

    def images(self, pictures: Tensor) -> Tensor:
        """Unit vectors (n, d) of pictures uint8 (n, 192, 96, 3)."""
        return self.analyze(pictures).vectors

    def texts(self, tokens: Tensor) -> Tensor:
        """Unit vectors (n, d) of tokens int64 (n, context)."""
        encoded: Tensor = self.clip.encode_text(tokens)
        return functional.normalize(encoded.float(), dim=-1)

    @property
    def scale(self) -> Tensor:
        """Inverse temperature, kept below 100 as CLIP does."""
        logit: Tensor = self.clip.logit_scale
        return logit.exp().clamp(max=100)

    @property
    def context(self) -> int:
        """Tokens of a text."""
        return int(self.clip.context_length)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep open_clip, which logs each step of making a model to the root logger, silent."""

    def is_not_open_clip(record: logging.LogRecord) -> bool:
        return "open_clip" not in record.pathname

    root = logging.getLogger()
    root.addFilter(is_not_open_clip)
    try:
        yield
    finally:
        root.removeFilter(is_not_open_clip)


def create(preset: Preset, weights: Path | None = None, *, pretrained: bool = True) -> ChartReader:
    """Make a model with open_clip, with its first weights.

    Args:
        preset: which one.
        weights: a local safetensors file of weights in open_clip's or OpenAI's names, or one of
            our own; without it the preset's tag is downloaded where it has one.
        pretrained: False leaves random weights, for loading a checkpoint over them.

    Raises:
        ConfigError: the file is of a kind that may run code when it is read.
        CorruptFileError: the file is damaged, or holds another model.
        MissingModelError: the weights can neither be found nor downloaded.
    """
    source = _check_weights(weights) if weights is not None else preset.weights
    try:
        with _quiet():
            clip = open_clip.create_model(
                preset.architecture, pretrained=source if pretrained else None
            )
    except (SafetensorError, RuntimeError, OSError, KeyError) as error:
        if weights is not None:
            raise CorruptFileError(
                f"Weights {weights} do not fit {preset.name}: {str(error)[:200]}.",
                hint="Give a complete safetensors file of this architecture.",
            ) from error
        raise MissingModelError(
            f"Weights {preset.weights} of {preset.name} cannot be fetched: {str(error)[:200]}.",
            hint="Download them elsewhere and pass --weights FILE (safetensors).",
        ) from error
    return ChartReader(preset, clip)


def _check_weights(weights: Path) -> str:
    if weights.suffix != ".safetensors":
        raise ConfigError(
            f"Weights {weights.name!r} are refused: expected a .safetensors file, because a "
            "pickled one can run code.",
            hint="Convert it with safetensors.torch.save_file on a machine you trust.",
        )
    if not weights.is_file():
        raise MissingModelError(
            f"Weights {weights} do not exist.", hint="Check the path after --weights."
        )
    return str(weights)


def load_weights(reader: ChartReader, path: Path, *, repair: str) -> None:
    """Put a trained model's `model.safetensors` into `reader`.

    Raises:
        CorruptFileError: the file is damaged or holds another model; `repair` is the hint.
    """
    try:
        reader.clip.load_state_dict(load_file(path))
    except (SafetensorError, RuntimeError, OSError) as error:
        raise CorruptFileError(
            f"{path} holds no {reader.preset.name}: {str(error)[:200]}.", hint=repair
        ) from error


def byte_pairs() -> Path:
    """The merges of CLIP's tokenizer, which open_clip carries."""
    return Path(open_clip.tokenizer.default_bpe())


def tokenizer(reader: ChartReader, words: list[str]) -> Tokenizer:
    """The tokenizer of a model: our own words, or CLIP's byte pairs.

    Raises:
        ConfigError: more words than the text tower has room for.
    """
    preset = reader.preset
    if not preset.has_own_vocabulary:
        return vocabulary.clip_byte_pairs(byte_pairs())
    own = vocabulary.build(words)
    room = int(reader.clip.vocab_size)
    if own.get_vocab_size() > room:
        raise ConfigError(
            f"The vocabulary has {own.get_vocab_size()} words, {preset.name} has room for {room}.",
            hint=f"Raise vocab_size in {CONFIGS / (preset.architecture + '.json')}.",
        )
    return own
