"""What a model is taught: which charts it sees, how they are drawn, and what they are told to show.

Windows of candles become pictures in mixed styles, facts of the rule book that a picture can show,
and words, GPT's and people's among them.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from vision_ai.charts import raster, style
from vision_ai.config import Paths
from vision_ai.domain import (
    PHASES,
    READINGS,
    Bytes,
    Embeddings,
    Floats,
    Labels,
    Outcomes,
    Phase,
    Reading,
)
from vision_ai.labels import describe, regions
from vision_ai.labels.captions import Wording
from vision_ai.labels.gpt.ledger import Ledger
from vision_ai.labels.review import Correction, Desk
from vision_ai.measures import targets
from vision_ai.model.registry import Manifest
from vision_ai.model.training import presets, report
from vision_ai.model.training.batches import Artist, Corpus
from vision_ai.model.training.presets import ChartReader
from vision_ai.model.training.sampler import balanced
from vision_ai.model.training.trainer import Words


def heeded(corpus: Corpus, words: Sequence[Correction], times: int) -> Corpus:
    """The corpus with people's labels, each chart that they looked at in it so many times."""
    at = {word.place: word for word in words}
    near = np.flatnonzero(np.isin(corpus.last_ms, [last_ms for _, _, last_ms in at]))
    symbol, interval, last_ms = corpus.symbol, corpus.interval, corpus.last_ms
    reading, phase = corpus.reading.copy(), corpus.phase.copy()
    count = np.ones(len(corpus), np.int64)
    for row in near.tolist():
        word = at.get((str(symbol[row]), str(interval[row]), int(last_ms[row])))
        if word is not None:
            reading[row], phase[row] = READINGS.index(word.reading), PHASES.index(word.phase)
            count[row] = times
    told = replace(corpus, reading=reading, phase=phase)
    return told.take(np.repeat(np.arange(len(corpus)), count))


def sampled(corpus: Corpus, count: int, seed: int, *, balance: float = 0.0) -> Corpus:
    """Up to `count` rows, each at most once, in their order."""
    rng = np.random.default_rng([seed, count])
    chance = balanced(corpus.reading.astype(np.int64), balance)
    rows = rng.choice(len(corpus), min(count, len(corpus)), replace=False, p=chance / chance.sum())
    return corpus.take(np.sort(rows))


def charts_of(corpus: Corpus) -> report.Charts:
    """Pictures of all windows in the canonical style."""
    pictures = raster.render(corpus.bars(np.arange(len(corpus))))
    return report.Charts(pictures, corpus.reading, corpus.phase)


def embeddings_of(corpus: Corpus, images: report.Seer, manifest: Manifest) -> Embeddings:
    """Vectors of all windows, which are sorted by table, with what followed each."""
    rows = np.arange(len(corpus))
    parts = (corpus.take(rows[at : at + _AT_ONCE]) for at in range(0, len(corpus), _AT_ONCE))
    return Embeddings(
        vectors=np.concatenate([images(charts_of(part).pictures) for part in parts]),
        symbol=corpus.symbol,
        interval=corpus.interval,
        last_ms=corpus.last_ms,
        reading=corpus.reading,
        phase=corpus.phase,
        weight=np.ones(len(corpus), np.float32),
        outcomes=_outcomes(corpus),
        model=manifest.version,
        style=manifest.style,
        rules=manifest.rules,
        data=manifest.data.klines,
    )


_AT_ONCE = 1024
"""Charts drawn and embedded at a time: their pictures take 57 MB."""


def _outcomes(corpus: Corpus) -> Outcomes:
    """Outcomes of all windows, in their order; windows are sorted by table."""
    parts = [
        targets.forward_outcomes(
            corpus.tables[code], corpus.end[corpus.table == code].astype(np.int64)
        )
        for code in np.unique(corpus.table)
    ]
    names = ("move", "best", "worst", "scale", "complete_ms")
    return Outcomes(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))


STYLED = 0.5
"""Share of training charts drawn in a random style; the rest as they are drawn when read."""


def _draw(bars: NDArray[np.float64], rng: np.random.Generator) -> Bytes:
    pictures = raster.render(bars)
    foreign = np.flatnonzero(rng.random(len(bars)) < STYLED)
    pictures[foreign] = raster.render(bars[foreign], style.sample(len(foreign), rng))
    return pictures


LOG_DISTANCES = ("level", "box_top", "box_bottom")
BARS = ("box_bars", "box_ended", "bars_since", "leg_bars")
SIZES = ("furthest_atr", "volume_ratio", "leg_atr", "touches_top", "touches_bottom")
PARTS = ("retraced",)
WHOLE_CHART = ("trend", "earlier_trend", "place")
"""Facts that the model learns to measure on the side, by the scale that they need."""


def _measure(labels: Labels) -> NDArray[np.float32]:
    """Facts of order 1, NaN where a fact says nothing: what the picture itself can show."""
    facts = labels.facts
    height = np.maximum(facts["atr"] * facts["chart_atr"], 1e-12)
    columns: list[Floats] = [_said(facts[name]) / height for name in LOG_DISTANCES]
    columns += [_said(facts[name]) / 24 for name in BARS]
    columns += [np.arcsinh(_said(facts[name])) for name in SIZES]
    columns += [2 * _said(facts[name]) for name in PARTS]
    columns += [2 * facts[name] for name in WHOLE_CHART]
    return np.stack(columns, axis=1).astype(np.float32)


def _said(fact: Floats) -> Floats:
    return np.where(fact == 0, np.nan, fact)


FACTS = len(LOG_DISTANCES + BARS + SIZES + PARTS + WHOLE_CHART)


def artist(wording: Wording) -> Artist:
    """How this project draws, labels and words its charts."""
    return Artist(_draw, wording.label, wording.describe, _measure, regions.places)


def written(paths: Paths) -> Wording:
    """What GPT described and people corrected under a data root; damaged lines are left out."""
    attempts, _ = Ledger(paths.descriptions).read()
    corrections, _ = Desk(paths.corrections).read()
    return Wording.of(attempts, corrections)


def words_of(reader: ChartReader, tokenizer: Tokenizer | None = None) -> Words:
    """What a model can be told; without its own tokenizer a fresh one of our vocabulary."""
    tokenizer = tokenizer or presets.tokenizer(reader, list(describe.VOCABULARY))
    codes: tuple[Reading | Phase, ...] = (*READINGS, *PHASES)
    groups = [describe.prompts(code) for code in codes]
    return Words(tokenizer, reader.context, groups)
