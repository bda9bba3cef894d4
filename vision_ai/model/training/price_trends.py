"""A peer from the literature: Jiang, Kelly and Xiu, "(Re-)Imag(in)ing Price Trends", 2023.

Pictures (J. Finance 78): black ground, white ink, three columns a candle: a dot for the open, a
bar from low to high, a dot for the close; a moving average; volume bars in the lowest fifth. Their
60-day picture is 96 x 180, ours of 96 candles is 96 x 288 by the same rule. Two things differ.
Their average reaches back as many days as the picture holds and so is computed from candles before
it; ours is that of the candles drawn so far, so that this net sees what every other model sees.
And their days are days: our candles of 15m and 1h look alike to it, as they do to the model.

Net, as in the paper: four blocks of a 5 x 3 convolution, batch norm, leaky ReLU and a 2 x 1
maximum; the first convolution takes every third row and looks three rows apart; channels double
from block to block; half of the last features are dropped; Xavier weights; cross-entropy; Adam.
Otherwise, because it is trained for minutes on a processor and not for hours on graphics cards: 16
to 128 channels instead of 64 to 512, about 41,000 pictures instead of millions, and so a rate that
rises to 1e-3 and falls to nothing instead of a steady 1e-5, which would not have moved it. No early
stopping: no picture is seen often enough. One net answers two questions that share pictures, by a
linear layer each. Drawing needs numpy alone, the net the `train` extra.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vision_ai import storage
from vision_ai.domain import CLOSE, HIGH, LOW, OPEN, VOLUME, WINDOW, Bytes, Floats, Ints
from vision_ai.errors import InputError, install

ROWS = 96
COLUMNS = 3 * WINDOW
_VOLUME_ROWS = ROWS // 5
_PRICE_ROWS = ROWS - _VOLUME_ROWS - 1
"""One empty row keeps price and volume apart."""
_INK = 255


def draw(bars: NDArray[np.float64]) -> Bytes:
    """Pictures uint8 (n, 96, 288) of candles (n, 96, 5): 255 where there is ink, else 0.

    The highest and the lowest of prices and average touch the ends of the price rows, linear in
    price; the greatest volume fills the volume rows.
    """
    # the average of the closes so far, and the price range that all rows share: (n, 96), (n, 1)
    mean = np.cumsum(bars[:, :, CLOSE], axis=1) / np.arange(1, WINDOW + 1)
    top = np.maximum(bars[:, :, HIGH], mean).max(axis=1, keepdims=True)
    bottom = np.minimum(bars[:, :, LOW], mean).min(axis=1, keepdims=True)
    per_row = np.maximum(top - bottom, 1e-12 * top) / (_PRICE_ROWS - 1)

    def row(prices: Floats) -> Ints:
        rows: Ints = np.rint((top - prices) / per_row).astype(np.int64)
        return rows

    picture = np.zeros((len(bars), ROWS, COLUMNS), np.uint8)
    rows = np.arange(ROWS)[None, :, None]
    middle = np.arange(1, COLUMNS, 3)
    high, low = row(bars[:, :, HIGH])[:, None], row(bars[:, :, LOW])[:, None]
    # the bar from low to high, and the volume bar below it: (n, rows, 96 middle columns)
    stroke = (high <= rows) & (rows <= low)
    tallest = np.maximum(bars[:, :, VOLUME].max(axis=1, keepdims=True), 1e-12)
    heights = np.rint(bars[:, :, VOLUME] / tallest * _VOLUME_ROWS)[:, None]
    picture[:, :, middle] = _INK * (stroke | (ROWS - rows <= heights))
    # dots left and right of it, then the line of the average
    chart = np.arange(len(bars))[:, None]
    picture[chart, row(bars[:, :, OPEN]), middle - 1] = _INK
    picture[chart, row(bars[:, :, CLOSE]), middle + 1] = _INK
    picture[chart, row(_between(mean)), np.arange(1, COLUMNS - 1)] = _INK
    return picture


def _between(mean: Floats) -> Floats:
    """The line through the averages at every column from the first candle's middle to the last's.

    (n, 96) to (n, 286).
    """
    at = np.arange(COLUMNS - 2) / 3
    left = np.minimum(at.astype(np.int64), WINDOW - 2)
    line: Floats = mean[:, left] + (at - left) * (mean[:, left + 1] - mean[:, left])
    return line


UNKNOWN = -1
"""Code of an answer that is not known; it has no part in the loss."""

_CHUNK = 64

Draw = Callable[[np.random.Generator, int], tuple[Bytes, Ints]]
"""A random source and a count to pictures uint8 (n, 96, 288) and their answers int64 (n, heads)."""


@dataclass(frozen=True)
class Budget:
    """How large the net is and how long it learns.

    Attributes:
        channels: of the first block; the fourth has eight times as many.
        batch: pictures a step.
        steps: how many.
        rate: highest learning rate.
        seed: of weights and pictures.
    """

    channels: int = 16
    batch: int = 128
    steps: int = 320
    rate: float = 1e-3
    seed: int = 0

    @property
    def charts(self) -> int:
        """Pictures that the net sees while it learns, repeats counted."""
        return self.batch * self.steps


def train_net(draw: Draw, classes: Sequence[int], budget: Budget) -> Any:
    """A trained net.

    Args:
        draw: where pictures come from.
        classes: how many answers each head chooses from.
        budget: how long to learn.

    Raises:
        InputError: torch is not installed.
    """
    net = make_net(classes, budget)
    _train(net, draw, budget)
    return net.eval()


def make_net(classes: Sequence[int], budget: Budget) -> Any:
    """An untrained net.

    Raises:
        InputError: torch is not installed.
    """
    try:
        import torch
    except ModuleNotFoundError as error:
        raise InputError(f"{error.name} is not installed.", hint=install("train")) from error
    torch.manual_seed(budget.seed)
    return _build_net(classes, budget.channels).eval()


def save(net: Any, path: Path) -> None:
    """Write the net's parameters as safetensors.

    Raises:
        StorageError: the file could not be written.
    """
    from safetensors.torch import save as to_bytes

    tensors = {name: tensor.contiguous() for name, tensor in net.state_dict().items()}
    storage.write_bytes(path, to_bytes(tensors))


def restore(net: Any, path: Path) -> bool:
    """Fill an untrained net from a file; False where the file is missing or damaged."""
    from safetensors import SafetensorError
    from safetensors.torch import load

    try:
        net.load_state_dict(load(path.read_bytes()))
    except (SafetensorError, RuntimeError, OSError):
        return False
    return True


def adjust_head(net: Any, head: int, slope: float, bias: Floats) -> None:
    """Make a head's logits `slope * logits + bias` from now on, bias (classes,)."""
    import torch

    layer = net.heads[head]
    with torch.no_grad():
        layer.weight *= slope
        layer.bias.copy_(slope * layer.bias + torch.from_numpy(np.asarray(bias)).float())


def compute_logits(net: Any, bars: NDArray[np.float64]) -> list[Floats]:
    """Logits (n, classes) of each head for candles (n, 96, 5)."""
    import torch

    chunks: list[list[Floats]] = []
    with torch.no_grad():
        for at in range(0, len(bars), _CHUNK):
            pictures = draw(bars[at : at + _CHUNK])
            chunks.append([head.double().numpy() for head in net(_pixels(pictures))])
    return [np.concatenate(parts) for parts in zip(*chunks, strict=True)]


def count_parameters(net: Any) -> int:
    """How many parameters the net has."""
    return sum(parameter.numel() for parameter in net.parameters())


def _build_net(classes: Sequence[int], channels: int) -> Any:
    from torch import nn

    blocks: list[nn.Module] = []
    before = 1
    for number in range(4):
        after = channels * 2**number
        wide = (3, 1) if number == 0 else (1, 1)
        blocks += [
            nn.Conv2d(before, after, (5, 3), stride=wide, dilation=wide, padding=(2 * wide[0], 1)),
            nn.BatchNorm2d(after),
            nn.LeakyReLU(0.01),
            nn.MaxPool2d((2, 1)),
        ]
        before = after
    rows = ROWS // 3 // 2**4
    features = before * rows * COLUMNS

    class _Heads(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.trunk = nn.Sequential(*blocks, nn.Flatten(), nn.Dropout(0.5))
            self.heads = nn.ModuleList(nn.Linear(features, count) for count in classes)

        def forward(self, pixels: Any) -> list[Any]:
            seen = self.trunk(pixels)
            return [head(seen).float() for head in self.heads]

    net = _Heads()
    for module in net.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.xavier_uniform_(module.weight)
    return net


def _train(net: Any, draw: Draw, budget: Budget) -> None:
    import torch
    from torch.nn import functional

    from vision_ai.model.training import trainer

    rng = np.random.default_rng(budget.seed)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # small layers lose more to waiting for each other than they gain
    bf16 = trainer.is_bf16_faster(torch.device("cpu"))
    net.train().to(memory_format=torch.channels_last)
    optimizer = torch.optim.Adam(net.parameters(), lr=budget.rate)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, budget.rate, total_steps=budget.steps, cycle_momentum=False
    )
    for _ in range(budget.steps):
        pictures, answers = draw(rng, budget.batch)
        truth = torch.from_numpy(answers)
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            logits = net(_pixels(pictures))
        loss = sum(
            functional.cross_entropy(head, truth[:, number], ignore_index=UNKNOWN)
            for number, head in enumerate(logits)
            if (truth[:, number] != UNKNOWN).any()
        )
        optimizer.zero_grad()
        loss.backward()  # type: ignore[union-attr]
        optimizer.step()
        schedule.step()
    torch.set_num_threads(threads)


def _pixels(pictures: Bytes) -> Any:
    import torch

    pixels = torch.from_numpy(pictures)[:, None].float() / 255
    return pixels.to(memory_format=torch.channels_last)
