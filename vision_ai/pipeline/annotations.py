"""People's labels into the index: their charts become exemplars with the label they gave.

No model is trained: rows that are there are relabelled, charts that are not are embedded. What a
person said is also heard on its own, as far as the model's calibration found that it carries; for
a model whose calibration does not say so, the chart votes louder instead.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vision_ai import index
from vision_ai.charts import raster
from vision_ai.domain import PHASES, READINGS, Embeddings, Outcomes
from vision_ai.errors import MissingModelError
from vision_ai.index import IndexAnnotation
from vision_ai.labels import review
from vision_ai.labels.review import Correction, Desk
from vision_ai.model import registry
from vision_ai.model.embed import Embedder
from vision_ai.model.registry import ModelFolder
from vision_ai.pipeline import reader
from vision_ai.pipeline.lookup import Finder
from vision_ai.pipeline.workspace import Workspace

UNFITTED = (
    "The calibration of {model} does not say how far a person's word carries: it votes as "
    "{weight:g} look-alikes. vision-ai train fits it."
)


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
    old = reader.open_index(workspace.paths, model)
    now = corrected(workspace, model, old.rows)
    if index.fingerprint(now.rows, now.annotations) == old.version:
        return f"Index {old.version} says so already."
    built = index.build(
        workspace.paths.index, now.rows, now_ms=workspace.clock(), annotations=now.annotations
    )
    lines = [f"Index {built.version} of {len(built)} charts is in use."]
    if now.left_out:
        lines.append(f"{now.left_out} charts could not be found and are left out.")
    if not now.heard:
        lines.append(UNFITTED.format(model=model.version, weight=workspace.config.review.weight))
    return " ".join(lines)


@dataclass(frozen=True, eq=False)
class Corrected:
    """Exemplars with every correction applied.

    Attributes:
        rows: all exemplars.
        said: who labelled which of them, and when.
        left_out: how many corrected charts could not be found.
        heard: the model's calibration says how far people's words carry.
    """

    rows: Embeddings
    annotations: tuple[IndexAnnotation, ...]
    left_out: int
    heard: bool


def corrected(workspace: Workspace, model: ModelFolder, rows: Embeddings) -> Corrected:
    """Exemplars with every correction that stands.

    Raises:
        CorruptFileError: the model's calibration is damaged.
    """
    standing = review.first_said(Desk(workspace.paths.corrections).read()[0])
    heard = bool(reader.calibration(model).transfer) if standing else True
    loud = workspace.config.review.weight
    rows, absent = review.apply(rows, standing, None if heard else loud)
    rows, found = _with(workspace, model, rows, absent, 1.0 if heard else loud)
    lost = {word.digest for word in absent} - {word.digest for word in found}
    there = [word for word in standing if word.digest not in lost]
    return Corrected(rows, tuple(_word(word) for word in there), len(lost), heard)


def _word(word: Correction) -> IndexAnnotation:
    return IndexAnnotation(
        symbol=word.symbol, interval=word.interval, as_of=word.as_of, who=word.who, at=word.at
    )


def _with(
    workspace: Workspace,
    model: ModelFolder,
    rows: Embeddings,
    absent: Sequence[Correction],
    weight: float,
) -> tuple[Embeddings, list[Correction]]:
    """The rows with corrected charts that they lacked, and which of those could be found."""
    finder = Finder(workspace)
    found = [(word, shown) for word in absent if (shown := finder.shown(word))]
    if not found:
        return rows, []
    settings = workspace.config.model
    embedder = Embedder(model, threads=settings.threads, batch=settings.batch)
    bars = np.stack([shown[0] for _, shown in found])
    drawn = embedder.images(raster.render(bars))
    for at, (word, (_, known)) in enumerate(found):
        rows = index.merge(rows, _row(rows, drawn[at : at + 1], word, known, weight))
    return rows, [word for word, _ in found]


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
