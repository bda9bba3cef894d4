"""People's labels into the index: their charts vote with the label they gave, and louder.

No model is trained: rows that are there are relabelled, charts that are not are embedded.
"""

import time

import numpy as np
from numpy.typing import NDArray

from vision_ai import index
from vision_ai.charts import raster
from vision_ai.domain import PHASES, READINGS, Embeddings, Outcomes
from vision_ai.errors import MissingModelError
from vision_ai.labels import review
from vision_ai.labels.review import Correction, Desk
from vision_ai.model import registry
from vision_ai.model.embed import Embedder
from vision_ai.model.registry import ModelFolder
from vision_ai.pipeline import reader
from vision_ai.pipeline.finding import Finder
from vision_ai.pipeline.workspace import Workspace


def refresh(workspace: Workspace) -> str:
    """Rebuild the index in use with every correction that stands; what was done, in a sentence.

    Raises:
        StateError: index and model do not belong together, or a file is damaged.
        StorageError: the disk is full; the old index stands.
    """
    try:
        model = registry.resolve(workspace.paths, workspace.config.model.version)
    except MissingModelError:
        return "No model is installed yet; the label will count once there is one."
    reader.check_style(model)
    old = reader.open_index(workspace, model)
    rows, left_out = corrected(workspace, model, old.rows)
    if index.fingerprint(rows) == old.version:
        return f"Index {old.version} says so already."
    built = index.build(workspace.paths.index, rows, now_ms=time.time_ns() // 1_000_000)
    more = f" {left_out} charts could not be found and are left out." if left_out else ""
    return f"Index {built.version} of {len(built)} charts is in use.{more}"


def corrected(workspace: Workspace, model: ModelFolder, rows: Embeddings) -> tuple[Embeddings, int]:
    """Exemplars with every correction applied, and how many charts could not be found."""
    standing = list(review.standing(Desk(workspace.paths.corrections).read()[0]).values())
    weight = workspace.config.review.weight
    rows, absent = review.apply(rows, standing, weight)
    finder = Finder(workspace)
    found = [(word, shown) for word in absent if (shown := finder.shown(word))]
    if not found:
        return rows, len(absent)
    settings = workspace.config.model
    embedder = Embedder(model, threads=settings.threads, batch=settings.batch)
    bars = np.stack([shown[0] for _, shown in found])
    drawn = embedder.images(raster.render(bars))
    for at, (word, (_, known)) in enumerate(found):
        rows = index.merge(rows, _row(rows, drawn[at : at + 1], word, known, weight))
    return rows, len(absent) - len(found)


def _row(
    rows: Embeddings,
    vector: NDArray[np.float32],
    word: Correction,
    known: Outcomes,
    weight: float,
) -> Embeddings:
    symbol, interval, last_ms = word.place
    return Embeddings(
        vectors=vector,
        symbol=np.array([symbol]),
        interval=np.array([interval]),
        last_ms=np.array([last_ms], np.int64),
        reading=np.array([READINGS.index(word.reading)], np.int8),
        phase=np.array([PHASES.index(word.phase)], np.int8),
        weight=np.array([weight], np.float32),
        outcomes=known,
        model=rows.model,
        style=rows.style,
        rules=rows.rules,
        data=rows.data,
    )
