"""What feedback found better, made into a model version: weights of exemplars, width of bands."""

import json
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from vision_ai import predict_cv_setup, storage
from vision_ai.domain import Embeddings, Interval, iso
from vision_ai.errors import ConfigError
from vision_ai.feedback_loop_cv import Challenge, Champion, ExemplarKey, GateAttempt
from vision_ai.index import Index
from vision_ai.measures.purge import PurgeAndEmbargo, Spans
from vision_ai.model import lineage, registry, vectors
from vision_ai.model.registry import ModelFolder
from vision_ai.pipeline import models, reader
from vision_ai.pipeline.workspace import Workspace
from vision_ai.predict_cv_setup import Calibration

_SAMPLE = 1000
"""Exemplars that are read before and after, to see what new weights do to readings."""


def champion(workspace: Workspace, now_ms: int) -> Champion:
    """The model in use and how to replace it.

    Raises:
        ConfigError: the settings name a fixed version, which no promotion would change.
        MissingModelError: no model is installed.
        CorruptFileError: a file of it is damaged.
    """
    named = workspace.config.model.version
    if named != registry.CURRENT:
        raise ConfigError(
            f"The settings fix the model at {named}: a new version would not be used.",
            hint="Remove model.version from vision_ai.toml.",
        )
    model = registry.resolve(workspace.paths)
    switches = lineage.read_history(workspace.paths)
    maker = _VersionMaker(workspace, model, now_ms)
    return Champion(
        version=model.version,
        exemplars=frozenset(_exemplar_keys(reader.exemplars(model))),
        publish=maker.publish,
        promote=lambda version: models.take_over(workspace, version, now_ms),
        was_cut_short=lambda version: lineage.is_promotion_unfinished(workspace.paths, version),
        since=switches[-1].at if switches and switches[-1].to == model.version else "",
    )


@dataclass(frozen=True)
class _VersionMaker:
    workspace: Workspace
    model: ModelFolder
    now_ms: int

    def publish(self, challenge: Challenge) -> str:
        """Make the version; its name follows from what it is made of."""
        changes = _changes(challenge)
        text = json.dumps(changes, sort_keys=True)
        version = lineage.child_name(self.model.version, f"r{challenge.attempt.number}", text)
        if (self.workspace.paths.models / version / "manifest.json").is_file():
            return registry.resolve(self.workspace.paths, version).version
        rows = reader.exemplars(self.model)
        weight = _reweighted(rows, challenge)
        old = storage.read_document(
            self.model.path / reader.CALIBRATION, Calibration, repair="Run vision-ai train again."
        )
        manifest = self.model.manifest.model_copy(
            update={
                "version": version,
                "created_at": iso(self.now_ms),
                "parents": [self.model.version, *self.model.manifest.parents],
                "changes": changes,
                "figures": self.model.manifest.figures | self._effect(rows, weight, old),
                "files": {},
            }
        )
        files = {
            self.model.exemplars.name: vectors.reweight(
                self.model.exemplars, weight, model=version
            ),
            reader.CALIBRATION: _document(_widened(old, challenge, version)),
        }
        return lineage.derive(self.workspace.paths, self.model, manifest, files).version

    def _effect(
        self, rows: Embeddings, weight: NDArray[np.float32], calibration: Calibration
    ) -> dict[str, float]:
        """How the weights change readings of exemplars by their neighbors: not much."""
        if np.array_equal(weight, rows.weight):
            return {}
        chosen = np.unique(np.linspace(0, len(rows) - 1, min(len(rows), _SAMPLE)).astype(int))
        charts = rows.take(chosen)
        settings, spans = self.workspace.config.index, Spans.of(charts)
        eligibility = PurgeAndEmbargo(round(settings.embargo_h * 3_600_000))
        neighbors = Index(rows).search(
            charts.vectors, spans, eligibility=eligibility, k=settings.neighbors
        )
        prompts = reader.prompts(self.model)

        def read(exemplars: Embeddings) -> predict_cv_setup.Answers:
            evidence = predict_cv_setup.gather(
                charts.vectors,
                neighbors,
                exemplars,
                prompts,
                interval=spans.interval,
                scale=charts.outcomes.scale,
            )
            return predict_cv_setup.read(evidence, calibration)

        before = read(rows).probabilities.reading
        after = read(replace(rows, weight=weight)).probabilities.reading
        return {
            "reweight_reading_accuracy_before": _accuracy(before, charts),
            "reweight_reading_accuracy_after": _accuracy(after, charts),
            "reweight_reading_shift": float(np.abs(after - before).max(axis=1).mean()),
        }


def _accuracy(reading: NDArray[np.floating], charts: Embeddings) -> float:
    return float((reading.argmax(axis=1) == charts.reading).mean())


def verdict(attempt: GateAttempt) -> dict[str, object]:
    """The gate's verdict as a manifest keeps it: nothing in it depends on when it was given."""
    return attempt.model_dump(mode="json", exclude={"line", "check", "version", "made_at", "v"})


def _changes(challenge: Challenge) -> dict[str, object]:
    return {
        "by": "feedback, mode reweight",
        "exemplars": len(challenge.factors),
        "width_factor": {
            horizon.value: factor for horizon, factor in challenge.width_factor.items()
        },
        "gate": verdict(challenge.attempt),
    }


def _exemplar_keys(rows: Embeddings) -> list[ExemplarKey]:
    columns = (rows.symbol.tolist(), rows.interval.tolist(), rows.close_ms.tolist())
    return [(name, Interval(i), iso(ms)) for name, i, ms in zip(*columns, strict=True)]


def _reweighted(rows: Embeddings, challenge: Challenge) -> NDArray[np.float32]:
    factor = np.array([challenge.factors.get(key, 1.0) for key in _exemplar_keys(rows)])
    weight: NDArray[np.float32] = (rows.weight * factor).astype(np.float32)
    return weight


def _widened(old: Calibration, challenge: Challenge, version: str) -> Calibration:
    """Both intervals' bands are widened alike: logs judge the interval that led."""
    rules = {
        interval: {
            horizon: rule.model_copy(
                update={
                    "width_factor": rule.width_factor * challenge.width_factor.get(horizon, 1.0)
                }
            )
            for horizon, rule in per_horizon.items()
        }
        for interval, per_horizon in old.bands.items()
    }
    return old.model_copy(update={"model": version, "bands": rules})


def _document(calibration: Calibration) -> bytes:
    return (calibration.model_dump_json(indent=2) + "\n").encode()
