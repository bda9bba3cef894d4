"""A model version that needs no training: a picture's vector is the picture itself, made small.

Charts that look alike get vectors that are alike, so everything that searches and votes works.
"""

import tempfile
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from vision_ai import predict_cv_setup, storage
from vision_ai.charts import raster
from vision_ai.config import Paths
from vision_ai.domain import PHASES, READINGS, Embeddings, Klines
from vision_ai.index import Index, PurgeAndEmbargo, Spans
from vision_ai.labels import rules
from vision_ai.model import lineage, registry, vectors
from vision_ai.model.embed import Embedder
from vision_ai.model.registry import Manifest, ModelFolder, TrainingCandles
from vision_ai.pipeline import index, reader

VERSION = "stand-in-1"
ROWS, COLUMNS = 12, 24
DIMENSION = ROWS * COLUMNS * 3


def tower() -> bytes:
    """Mean ink of each block of pixels, centred and of unit length."""
    shape = np.array([-1, ROWS, 192 // ROWS, COLUMNS, 96 // COLUMNS, 3], np.int64)
    nodes = [
        helper.make_node("Cast", ["pictures"], ["ink"], to=TensorProto.FLOAT),
        helper.make_node("Reshape", ["ink", "blocks"], ["parted"]),
        helper.make_node("ReduceMean", ["parted"], ["small"], axes=[2, 4], keepdims=0),
        helper.make_node("Reshape", ["small", "flat"], ["row"]),
        helper.make_node("ReduceMean", ["row"], ["mean"], axes=[1], keepdims=1),
        helper.make_node("Sub", ["row", "mean"], ["centred"]),
        helper.make_node("LpNormalization", ["centred"], ["vectors"], axis=1, p=2),
    ]
    graph = helper.make_graph(
        nodes,
        "stand-in",
        [helper.make_tensor_value_info("pictures", TensorProto.UINT8, ["n", 192, 96, 3])],
        [helper.make_tensor_value_info("vectors", TensorProto.FLOAT, ["n", DIMENSION])],
        [
            numpy_helper.from_array(shape, "blocks"),
            numpy_helper.from_array(np.array([-1, DIMENSION], np.int64), "flat"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


def install(paths: Paths, markets: list[Klines]) -> ModelFolder:
    """Make the stand-in the current model, with charts of the markets as exemplars."""
    storage.write_bytes(paths.models / ".keep", b"")
    staging = Path(tempfile.mkdtemp(dir=paths.models))
    (staging / "image.onnx").write_bytes(tower())
    embedder = Embedder(ModelFolder(staging, manifest()))
    rows = charts(embedder, markets)
    vectors.save(staging / "exemplars.parquet", rows)
    model = registry.publish(paths, staging, manifest())
    spans = Spans.of(rows)
    found = Index(rows).search(rows.vectors, spans, eligibility=PurgeAndEmbargo(0), k=24)
    evidence = predict_cv_setup.gather(
        rows.vectors, found, rows, reader.prompts(model),
        interval=spans.interval, scale=rows.outcomes.scale,
    )  # fmt: skip
    fitted = predict_cv_setup.fit(evidence, rows, rows, level=0.8)
    storage.write_document(model.path / reader.CALIBRATION, fitted)
    lineage.activate(paths, VERSION)
    return model


def charts(embedder: Embedder, markets: list[Klines]) -> Embeddings:
    parts = [part for market in markets for part in index._embedded(embedder, market, 6)]
    rows = parts[0]
    for part in parts[1:]:
        rows = index.index.merge(rows, part)
    return rows


def manifest() -> Manifest:
    drawn = np.random.default_rng(1).normal(size=(len(READINGS) + len(PHASES), DIMENSION))
    unit = drawn / np.linalg.norm(drawn, axis=1, keepdims=True)
    names = [reading.name for reading in READINGS] + [f"phase:{phase}" for phase in PHASES]
    return Manifest(
        version=VERSION,
        preset="stand-in",
        style=raster.STYLE_HASH,
        rules=rules.RULES_VERSION,
        dimension=DIMENSION,
        context=8,
        created_at="2025-01-01T00:00:00Z",
        recipe={},
        data=TrainingCandles(
            klines="", train_symbols=[], held_out_symbols=[], train_until="", held_out_from="",
            train_windows=0, held_out_windows=0,
        ),
        figures={},
        prior={},
        scale=1.0,
        prototypes={name: row.tolist() for name, row in zip(names, unit, strict=True)},
        files={},
    )  # fmt: skip
