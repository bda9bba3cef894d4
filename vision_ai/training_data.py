"""Training data: which charts a model learns from, how they are drawn, labelled and described.

Windows of candles become pictures in mixed styles, facts of the rule book that a picture can show,
and descriptions; GPT's captions and people's annotations among them.
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
from vision_ai.labels import descriptions, regions
from vision_ai.labels.captions import Captions
from vision_ai.labels.gpt.ledger import Ledger
from vision_ai.labels.review import Correction, CorrectionLog
from vision_ai.measures import targets
from vision_ai.model.registry import Manifest
from vision_ai.model.training import presets, report
from vision_ai.model.training.batches import Corpus, ExampleFactory
from vision_ai.model.training.presets import ChartReader
from vision_ai.model.training.sampler import class_weights
from vision_ai.model.training.trainer import PromptSet


def apply_annotations(corpus: Corpus, annotations: Sequence[Correction], times: int) -> Corpus:
    """The corpus with people's labels, each chart that they annotated in it so many times."""
    by_key = {annotation.index_key: annotation for annotation in annotations}
    # times first: few rows share one with an annotation, and only those are looked up
    candidates = np.flatnonzero(np.isin(corpus.last_ms, [last_ms for _, _, last_ms in by_key]))
    symbol, interval, last_ms = corpus.symbol, corpus.interval, corpus.last_ms
    reading, phase = corpus.reading.copy(), corpus.phase.copy()
    count = np.ones(len(corpus), np.int64)
    for row in candidates.tolist():
        annotation = by_key.get((str(symbol[row]), str(interval[row]), int(last_ms[row])))
        if annotation is not None:
            reading[row] = READINGS.index(annotation.reading)
            phase[row] = PHASES.index(annotation.phase)
            count[row] = times
    annotated = replace(corpus, reading=reading, phase=phase)
    return annotated.take(np.repeat(np.arange(len(corpus)), count))


def sample_rows(corpus: Corpus, count: int, seed: int, *, balance: float = 0.0) -> Corpus:
    """Up to `count` rows, each at most once, in their order."""
    rng = np.random.default_rng([seed, count])
    weight = class_weights(corpus.reading.astype(np.int64), balance)
    share = weight / weight.sum()
    rows = rng.choice(len(corpus), min(count, len(corpus)), replace=False, p=share)
    return corpus.take(np.sort(rows))


def render_charts(corpus: Corpus) -> report.Charts:
    """Pictures of all windows in the canonical style."""
    pictures = raster.render(corpus.bars(np.arange(len(corpus))))
    return report.Charts(pictures, corpus.reading, corpus.phase)


def embed_charts(corpus: Corpus, images: report.ImageEncoder, manifest: Manifest) -> Embeddings:
    """Vectors of all windows, which are sorted by table, with what followed each."""
    rows = np.arange(len(corpus))
    parts = (corpus.take(rows[at : at + _CHUNK]) for at in range(0, len(corpus), _CHUNK))
    return Embeddings(
        vectors=np.concatenate([images(render_charts(part).pictures) for part in parts]),
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


_CHUNK = 1024
"""Charts drawn and embedded at a time: their pictures take 57 MB."""


def _outcomes(corpus: Corpus) -> Outcomes:
    """Outcomes of all windows, in their order; windows are sorted by table."""
    parts = [
        targets.forward_outcomes(
            corpus.tables[code], corpus.end[corpus.table == code].astype(np.int64)
        )
        for code in np.unique(corpus.table)
    ]
    return Outcomes.concatenate(parts)


STYLED = 0.5
"""Share of training charts drawn in a random style; the rest as they are drawn when read."""


def _draw(bars: NDArray[np.float64], rng: np.random.Generator) -> Bytes:
    pictures = raster.render(bars)
    restyled = np.flatnonzero(rng.random(len(bars)) < STYLED)
    pictures[restyled] = raster.render(bars[restyled], style.sample(len(restyled), rng))
    return pictures


LOG_DISTANCES = ("level", "box_top", "box_bottom")
BARS = ("box_bars", "box_ended", "bars_since", "leg_bars")
SIZES = ("furthest_atr", "volume_ratio", "leg_atr", "touches_top", "touches_bottom")
PARTS = ("retraced",)
WHOLE_CHART = ("trend", "earlier_trend", "place")
"""Facts that the model learns to measure beside its classes, by the scale that they need."""


def _measure(labels: Labels) -> NDArray[np.float32]:
    """Facts of order 1, NaN where a fact does not apply: what the picture itself can show."""
    facts = labels.facts
    height = np.maximum(facts["atr"] * facts["chart_atr"], 1e-12)
    columns: list[Floats] = [_nan_if_zero(facts[name]) / height for name in LOG_DISTANCES]
    columns += [_nan_if_zero(facts[name]) / 24 for name in BARS]
    columns += [np.arcsinh(_nan_if_zero(facts[name])) for name in SIZES]
    columns += [2 * _nan_if_zero(facts[name]) for name in PARTS]
    columns += [2 * facts[name] for name in WHOLE_CHART]
    return np.stack(columns, axis=1).astype(np.float32)


def _nan_if_zero(fact: Floats) -> Floats:
    """The rule book writes 0 where a fact does not apply."""
    return np.where(fact == 0, np.nan, fact)


FACTS = len(LOG_DISTANCES + BARS + SIZES + PARTS + WHOLE_CHART)


def example_factory(wording: Captions) -> ExampleFactory:
    """How this project draws, labels and describes its charts."""
    return ExampleFactory(_draw, wording.label, wording.describe, _measure, regions.matched_regions)


def read_captions(paths: Paths) -> Captions:
    """GPT's captions and people's annotations under a data root; damaged lines are left out."""
    attempts, _ = Ledger(paths.descriptions).read()
    corrections, _ = CorrectionLog(paths.corrections).read()
    return Captions.of(attempts, corrections)


def make_prompts(reader: ChartReader, tokenizer: Tokenizer | None = None) -> PromptSet:
    """The prompts of every class; without a tokenizer one is made of our vocabulary."""
    tokenizer = tokenizer or presets.tokenizer(reader, list(descriptions.VOCABULARY))
    codes: tuple[Reading | Phase, ...] = (*READINGS, *PHASES)
    groups = [descriptions.prompts(code) for code in codes]
    return PromptSet(tokenizer, reader.context, groups)
