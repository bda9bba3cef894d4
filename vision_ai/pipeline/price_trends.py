"""The price-trend network as a baseline, trained on the candles that the model learned from.

Only windows of the model's own training symbols and time are taken, so what may be measured of the
model may be measured of this reader too.
"""

import hashlib
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vision_ai.domain import HORIZONS, PHASES, READINGS, Floats, Ints, Klines, parse_time
from vision_ai.errors import InputError
from vision_ai.evaluation.baselines import BaselineAnswers
from vision_ai.labels import rules
from vision_ai.measures import fitting, purge, targets
from vision_ai.measures.purge import Spans
from vision_ai.model.registry import Manifest
from vision_ai.model.training import price_trends, split
from vision_ai.model.training.batches import Corpus
from vision_ai.model.training.price_trends import UNKNOWN, Budget
from vision_ai.model.training.sampler import class_weights
from vision_ai.model.training.split import SplitConfig

logger = logging.getLogger(__name__)

POOL = 60_000
"""Training windows from which pictures are drawn, chosen at random from all of them."""

BALANCE = 0.5
"""How far rare readings are drawn more often, as the model's own recipe does."""

HELD_BACK = 0.15
"""Last share of training time: it calibrates the chances of a rise and teaches nothing."""

_CHUNK = 2048


@dataclass(frozen=True, eq=False)
class PriceTrendAnswers:
    """What the two nets say of q charts, and what they cost.

    Attributes:
        guess: readings and phases.
        up: float (q, horizons), chance of a rise.
        budget: charts, steps and seconds of training.
    """

    guess: BaselineAnswers
    up: Floats
    budget: dict[str, int]


@dataclass(frozen=True)
class PriceTrendTraining:
    """Where and how the nets learn.

    Attributes:
        tables: candles; those that the model learned from are found among them.
        manifest: of the model.
        cache: folder for trained nets; None trains them each time.
        budget: how long each net learns.
    """

    tables: tuple[Klines, ...]
    manifest: Manifest
    cache: Path | None = None
    budget: Budget = field(default_factory=Budget)

    def windows(self) -> Corpus:
        """Training windows of the model among the candles, some of them if there are many.

        Raises:
            InputError: there are none.
        """
        data = self.manifest.data
        settings = SplitConfig.model_validate(self.manifest.recipe.get("split", {}))
        train = split.divide(self.tables, settings).train
        settled = purge.settled(_spans(train), parse_time(data.train_until))
        rows = np.flatnonzero(settled & np.isin(train.symbol, data.train_symbols))
        if not len(rows):
            raise InputError(
                "The candles hold no window that the model was trained on.",
                hint="Give --learned-from the folder of its training.",
            )
        rng = np.random.default_rng(self.budget.seed)
        return train.take(np.sort(rng.choice(rows, min(POOL, len(rows)), replace=False)))

    def file(self, what: str) -> Path | None:
        """Where a net is kept: its name is a hash of what it was made from."""
        if self.cache is None:
            return None
        made_from = [
            *sorted(table.digest for table in self.tables),
            repr((self.manifest.recipe.get("split"), self.manifest.data.train_symbols)),
            repr((self.manifest.data.train_until, rules.RULES_VERSION, self.budget)),
            repr((POOL, BALANCE, HELD_BACK)),
        ]
        digest = hashlib.sha256("|".join(made_from).encode()).hexdigest()[:16]
        return self.cache / f"price-trends-{what}-{digest}.safetensors"


def trends(training: PriceTrendTraining, bars: NDArray[np.float64]) -> PriceTrendAnswers:
    """Teach both nets, or read them back, and ask them about charts (q, 96, 5).

    Raises:
        InputError: torch is not installed, or the candles are not those of the training.
        StorageError: a net could not be written.
    """
    reader, risers = _net_of_labels(training), _net_of_moves(training)
    reading, phase = price_trends.compute_logits(reader, bars)
    chance = fitting.softmax(reading)
    rises = [
        fitting.softmax(probabilities)[:, 1]
        for probabilities in price_trends.compute_logits(risers, bars)
    ]
    return PriceTrendAnswers(
        BaselineAnswers(reading.argmax(axis=1), phase.argmax(axis=1), chance.max(axis=1)),
        np.stack(rises, axis=1),
        {
            "charts_seen": training.budget.charts,
            "parameters": price_trends.count_parameters(reader),
        },
    )


def _net_of_labels(training: PriceTrendTraining) -> Any:
    classes = (len(READINGS), len(PHASES))
    net, is_restored = _restore_net(training, "labels", classes)
    if is_restored:
        return net
    windows = training.windows()
    labels = [rules.label(bars) for bars in _chunks(windows)]
    reading = np.concatenate([part.reading for part in labels]).astype(np.int64)
    phase = np.concatenate([part.phase for part in labels]).astype(np.int64)
    weight = class_weights(reading, BALANCE)
    chance = np.cumsum(weight / weight.sum())

    def draw(rng: np.random.Generator, count: int) -> tuple[Any, Ints]:
        rows = np.searchsorted(chance, rng.random(count))
        pictures = price_trends.draw(windows.bars(rows))
        return pictures, np.stack([reading[rows], phase[rows]], axis=1)

    net = price_trends.train_net(draw, classes, training.budget)
    natural = np.bincount(reading, minlength=len(READINGS)) + 0.5
    class_weight = np.bincount(reading, weight / weight.mean(), minlength=len(READINGS))
    class_weight = np.maximum(class_weight, 0.5)
    price_trends.adjust_head(
        net, 0, 1.0, np.log(natural / class_weight)
    )  # rare readings were drawn more often: predict them less readily
    return _save_net(training, "labels", net)


def _net_of_moves(training: PriceTrendTraining) -> Any:
    classes = (2,) * len(HORIZONS)
    net, is_restored = _restore_net(training, "moves", classes)
    if is_restored:
        return net
    windows = training.windows()
    rose = _rises(windows)
    earlier, later = purge.split_by_time(_spans(windows), 1 - HELD_BACK)

    def draw(rng: np.random.Generator, count: int) -> tuple[Any, Ints]:
        rows = rng.choice(earlier, count)
        return price_trends.draw(windows.bars(rows)), rose[rows]

    net = price_trends.train_net(draw, classes, training.budget)
    for head, probabilities in enumerate(price_trends.compute_logits(net, windows.bars(later))):
        known = rose[later, head] != UNKNOWN
        slopes, bias = fitting.fit_logistic(
            probabilities[known][:, :, None], rose[later, head][known]
        )
        price_trends.adjust_head(net, head, float(slopes[0]), bias)
    return _save_net(training, "moves", net)


def _spans(windows: Corpus) -> Spans:
    return Spans.at(windows.symbol, windows.interval, windows.close_ms)


def _restore_net(
    training: PriceTrendTraining, what: str, classes: Sequence[int]
) -> tuple[Any, bool]:
    path, net = training.file(what), price_trends.make_net(classes, training.budget)
    return net, path is not None and price_trends.restore(net, path)


def _save_net(training: PriceTrendTraining, what: str, net: Any) -> Any:
    path = training.file(what)
    if path is not None:
        price_trends.save(net, path)
    logger.info("price-trend net trained what=%s charts=%d", what, training.budget.charts)
    return net


def _chunks(windows: Corpus) -> Iterator[NDArray[np.float64]]:
    """Candles of all windows, so many at a time."""
    for at in range(0, len(windows), _CHUNK):
        yield windows.bars(np.arange(at, min(at + _CHUNK, len(windows))))


def _rises(windows: Corpus) -> Ints:
    """Whether price rose by each horizon: 1, 0, or `UNKNOWN`, int64 (n, horizons)."""
    rose = np.full((len(windows), len(HORIZONS)), UNKNOWN, np.int64)
    for code in np.unique(windows.table):
        rows = np.flatnonzero(windows.table == code)
        ends = windows.end[rows].astype(np.int64)
        move = targets.forward_outcomes(windows.tables[code], ends).move
        rose[rows] = np.where(np.isfinite(move), move > 0, UNKNOWN)
    return rose
