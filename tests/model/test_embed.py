import subprocess
import sys

import numpy as np
import onnxruntime
import pytest

from tests import standin
from vision_ai.errors import ConfigError, CorruptFileError
from vision_ai.model import registry
from vision_ai.model.embed import Embedder
from vision_ai.model.registry import ModelFolder

pytestmark = pytest.mark.train


@pytest.fixture
def embedder(published):
    return Embedder(registry.resolve(published[0], "tiny-1"), batch=2)


def test_vectors_have_unit_length(embedder, pictures):
    for rows in (embedder.images(pictures), embedder.texts(["breakout long", "phase range"])):
        assert rows.dtype == np.float32
        assert np.allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-5)


def test_the_size_of_a_batch_changes_nothing(published, embedder, pictures):
    whole = Embedder(registry.resolve(published[0], "tiny-1"), batch=64)
    assert np.allclose(embedder.images(pictures), whole.images(pictures), atol=1e-5)


def test_no_pictures_and_no_texts_are_no_rows(embedder, pictures):
    assert embedder.images(pictures[:0]).shape == (0, 32)
    assert embedder.texts([]).shape == (0, 32)


def test_views_of_pictures_are_read_as_their_copies(embedder, pictures):
    turned = pictures[::-1, :, ::-1]
    assert np.array_equal(embedder.images(turned), embedder.images(turned.copy()))


@pytest.mark.parametrize(
    "wrong",
    [
        pytest.param(np.zeros((2, 192, 96, 3), np.float32), id="floats"),
        pytest.param(np.zeros((2, 96, 192, 3), np.uint8), id="turned"),
        pytest.param(np.zeros((192, 96, 3), np.uint8), id="one alone"),
        pytest.param(np.zeros((2, 192, 96, 4), np.uint8), id="with alpha"),
    ],
)
def test_pictures_of_another_shape_are_refused(embedder, wrong):
    with pytest.raises(ConfigError, match="192, 96, 3"):
        embedder.images(wrong)


def test_the_best_providers_here_are_taken(embedder):
    assert embedder.providers[-1] == "CPUExecutionProvider"
    assert set(embedder.providers) <= set(onnxruntime.get_available_providers())


@pytest.mark.parametrize("payload", [b"", b"no model", b"\x08\x07" * 40])
def test_a_file_that_is_no_model_is_one_sentence(tmp_path, published, payload):
    folder = registry.resolve(published[0], "tiny-1")
    (tmp_path / "image.onnx").write_bytes(payload)
    with pytest.raises(CorruptFileError) as caught:
        Embedder(ModelFolder(tmp_path, folder.manifest))
    assert caught.value.hint


def test_reading_needs_no_torch(published):
    code = (
        "import sys, numpy as np; from pathlib import Path\n"
        "from vision_ai.config import Paths; from vision_ai.model import registry\n"
        "from vision_ai.model.embed import Embedder\n"
        f"e = Embedder(registry.resolve(Paths(Path({str(published[0].root)!r})), 'tiny-1'))\n"
        "e.images(np.zeros((1, 192, 96, 3), np.uint8)); e.texts(['phase range'])\n"
        "heavy = {'torch', 'open_clip', 'timm', 'safetensors', 'onnx'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def blocks(pictures):
    """What the stand-in's graph computes: centred mean colours of blocks of pixels."""
    rows, columns = standin.ROWS, standin.COLUMNS
    cells = pictures.reshape(len(pictures), rows, 192 // rows, columns, 96 // columns, 3)
    small = cells.mean(axis=(2, 4), dtype=np.float64).reshape(len(pictures), -1)
    small -= small.mean(axis=1, keepdims=True)
    return small / np.linalg.norm(small, axis=1, keepdims=True)


@pytest.mark.parametrize("batch", [1, 2, 32])
def test_a_graph_of_plain_means_gives_the_means_that_numpy_gives(tmp_path, pictures, batch):
    (tmp_path / "image.onnx").write_bytes(standin.tower())
    embedder = Embedder(ModelFolder(tmp_path, standin.manifest()), batch=batch)
    assert np.allclose(embedder.images(pictures), blocks(pictures), atol=1e-4)


def test_words_without_a_vector_are_named(embedder):
    assert embedder.unknown_words("range dogecoin") == ["dogecoin"]
