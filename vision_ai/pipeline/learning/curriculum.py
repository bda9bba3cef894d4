"""What a challenger learns from, votes with, is chosen on and judged on.

The charts are those of resolved predictions. Earlier ones are replayed beside them against
forgetting: the exemplars in use whose candles are at hand, and random windows of all candles
here. Nothing that is learned from shares time with a chart that chooses or judges.
"""

import hashlib
import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydantic import Field

from vision_ai import feedback_loop_cv, train_cv_model, training_data
from vision_ai.config import Section
from vision_ai.domain import Embeddings
from vision_ai.feedback_loop_cv import Stages
from vision_ai.labels import rules
from vision_ai.labels.captions import Captions
from vision_ai.measures import purge
from vision_ai.measures.purge import Spans
from vision_ai.model.training.batches import Corpus
from vision_ai.model.training.trainer import Recipe
from vision_ai.pipeline.learning import resolved
from vision_ai.pipeline.lookup import Finder
from vision_ai.pipeline.workspace import Workspace

logger = logging.getLogger(__name__)

LEAST = 50
"""Charts that each fold must hold; a calibration is not fitted on fewer."""

MOST_REPEATS = 10
"""A resolved chart is learned from no more often than this beside one replayed chart."""


class TuneConfig(Section):
    """How a challenger is made; the defaults take minutes on two cores."""

    recipe: Recipe = Recipe(
        steps=200,
        batch=64,
        rate=3e-4,
        warmup=20,
        average=0.98,
        head_weight=0,  # heads are not kept with a model, and new ones would shake its trunk
        fact_weight=0,
        hard=0,  # what people and markets say may be noise, and then it stays hard
        check_every=50,
        save_every=25,
        patience=3,
    )
    replay: int = Field(default=6000, ge=0, description="earlier charts to learn from again")
    resolved_share: float = Field(default=0.5, gt=0, lt=1, description="aimed at in a batch")
    exemplars: int = Field(
        default=12_000, ge=LEAST, description="charts that vote, at most half of them resolved"
    )
    mixes: tuple[float, ...] = Field(
        default=(0.2, 0.4, 0.6, 0.8, 1.0), description="shares of the trained weights to try"
    )
    least_gain: float = Field(
        default=0.002, ge=0, description="mean score that a mix must gain to be worth an attempt"
    )
    tried_on: int = Field(default=1000, ge=LEAST, description="charts that a mix is tried on")
    tried_with: int = Field(default=2000, ge=LEAST, description="charts that vote meanwhile")


@dataclass(frozen=True, eq=False)
class Curriculum:
    """Labelled charts of one run of fine-tuning.

    Attributes:
        training: what is learned from, with repeats.
        known: what votes.
        choosing, judging: of the later folds.
        captions: people's labels and captions of them.
    """

    training: Corpus
    known: Corpus
    choosing: Corpus
    judging: Corpus
    captions: Captions

    @property
    def fingerprint(self) -> str:
        """Sixteen hex digits over everything in it."""
        h = hashlib.sha256(f"{self.captions.fingerprint}|{rules.RULES_VERSION}".encode())
        for part in (self.training, self.known, self.choosing):
            for column in (part.last_ms, part.reading, part.phase):
                h.update(np.ascontiguousarray(column).tobytes())
            h.update("|".join([*part.symbol.tolist(), *part.interval.tolist()]).encode())
        return h.hexdigest()[:16]


def prepare(
    workspace: Workspace,
    config: TuneConfig,
    folds: Stages,
    rows: Embeddings,
    klines: Path | None,
) -> Curriculum | str:
    """Find the charts of all folds, label them and sort out what is replayed and what votes.

    Args:
        workspace: where predictions, candles and people's annotations are.
        config: how much of what.
        folds: whose charts are asked for.
        rows: the index in use; its charts are replayed where their candles are at hand.
        klines: folder of further candles.

    Returns:
        The charts, or a sentence on what is missing.
    """
    paths = workspace.paths
    captions = training_data.read_captions(paths)
    predictions, _ = feedback_loop_cv.read_predictions(paths)
    finder = Finder(workspace)
    learned, choosing, judging = (
        resolved.charts(lines, predictions, finder, captions)
        for lines in (folds.learned, folds.choosing, folds.judging)
    )
    for what, part in (("learn", learned), ("choose", choosing), ("judge", judging)):
        if len(part) < LEAST:
            return f"{len(part)} charts to {what} from have their candles here, {LEAST} are needed."
    candles = resolved.tables(paths, klines)
    again = resolved.originals(rows, candles, captions)
    seed = config.recipe.seed
    more = resolved.windows(candles, folds.until_ms, config.replay, captions, seed=seed)
    spans = Spans.at(again.symbol, again.interval, again.close_ms)
    settled = again.take(purge.settled(spans, folds.until_ms))
    replay = some(resolved.joined([settled, more]), config.replay, seed)
    voting = [some(learned, config.exemplars // 2, seed)]
    voting.append(some(again, config.exemplars - len(voting[0]), seed))
    room = config.exemplars - sum(len(part) for part in voting)
    voting.append(some(more, room, seed, balance=0.5))
    logger.info(
        "finetune learned=%d replayed=%d found_again=%d choosing=%d judging=%d",
        len(learned), len(replay), len(again), len(choosing), len(judging),
    )  # fmt: skip
    return Curriculum(
        _training_charts(learned, replay, config.resolved_share, captions),
        resolved.distinct(resolved.joined(voting)),
        choosing,
        judging,
        captions,
    )


def some(corpus: Corpus, count: int, seed: int, *, balance: float = 0.0) -> Corpus:
    """Up to `count` rows; an empty corpus stays one."""
    if count <= 0 or not len(corpus):
        return corpus.take(np.empty(0, np.int64))
    return training_data.sample_rows(corpus, count, seed, balance=balance)


def _training_charts(learned: Corpus, replay: Corpus, share: float, captions: Captions) -> Corpus:
    """Resolved charts repeated to about their share and replayed ones; annotated ones repeated."""
    repeats = share / (1 - share) * len(replay) / len(learned)
    times = int(min(MOST_REPEATS, max(1, round(repeats))))
    often = learned.take(np.tile(np.arange(len(learned)), times))
    return training_data.apply_annotations(
        resolved.joined([often, replay]), captions.corrections, train_cv_model.ANNOTATION_WEIGHT
    )
