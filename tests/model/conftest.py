import numpy as np
import pytest

from tests.model import making


@pytest.fixture(scope="session")
def published(tmp_path_factory):
    """A data root with one tiny model version in it, its reader and its words."""
    pytest.importorskip("open_clip")
    from tests.model import tiny
    from vision_ai.config import Paths
    from vision_ai.model import registry, vectors
    from vision_ai.model.registry import Manifest, TrainingCandles
    from vision_ai.model.training import export, trainer

    paths = Paths(tmp_path_factory.mktemp("data"))
    reader = tiny.reader(seed=3)
    words = tiny.words(reader)
    staging = paths.models / ".staging"
    staging.mkdir(parents=True)
    export.export(reader, staging)
    (staging / "tokenizer.json").write_text(words.tokenizer.to_str(), encoding="utf-8")
    vectors.save(staging / "exemplars.parquet", making.embeddings(d=32))
    prototypes = trainer.prototypes(reader, words)
    manifest = Manifest(
        version="tiny-1", preset="chart-clip-tiny", style="s", rules="r", dimension=32,
        context=reader.context, created_at="2026-01-01T00:00:00Z", recipe={},
        data=TrainingCandles(
            klines="d", train_symbols=["A"], held_out_symbols=["B"], train_until="x",
            held_out_from="y", train_windows=1, held_out_windows=1,
        ),
        figures={}, prior={}, scale=float(reader.scale.detach()),
        prototypes={str(i): row.tolist() for i, row in enumerate(prototypes)}, files={},
    )  # fmt: skip
    registry.publish(paths, staging, manifest)
    return paths, reader, words


@pytest.fixture
def pictures():
    return np.random.default_rng(4).integers(0, 255, (5, 192, 96, 3), dtype=np.uint8)
