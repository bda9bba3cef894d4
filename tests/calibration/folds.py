"""Charts of known truth with their evidence, for tests of the calibration."""

import numpy as np

from tests.clusters import HOUR, START, centres, embeddings, with_rows
from vision_ai.calibration import votes
from vision_ai.calibration.votes import Evidence, Prototypes
from vision_ai.domain import PHASES, READINGS, Embeddings
from vision_ai.index import Index, PurgeAndEmbargo, Spans

DIM = 24


def charts(n: int, seed: int, *, wrong: float = 0.2, start_h: int = 0) -> Embeddings:
    """Charts around the centres of their readings; a share of the labels is wrong."""
    start_ms = START + start_h * HOUR
    rows = embeddings(n, seed=seed, dim=DIM, symbols=40, start_ms=start_ms, noise=0.12)
    rng = np.random.default_rng(seed)
    is_wrong = rng.random(n) < wrong
    reading = np.where(is_wrong, rng.integers(0, len(READINGS), n), rows.reading)
    return with_rows(rows, reading=reading.astype(np.int8))


def prompts() -> Prototypes:
    points = centres(DIM)
    phases = [points[code :: len(PHASES)] for code in range(len(PHASES))]
    return votes.prototypes([point[None] for point in points], phases)


def evidence(rows: Embeddings, exemplars: Embeddings, *, with_prompts: bool = True) -> Evidence:
    near = Index(exemplars).search(
        rows.vectors, Spans.of(rows), eligibility=PurgeAndEmbargo(24 * HOUR), k=12
    )
    return votes.gather(
        rows.vectors,
        near,
        exemplars,
        prompts() if with_prompts else None,
        interval=rows.interval,
        scale=rows.outcomes.scale,
    )
