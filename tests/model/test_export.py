import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from tests.model import making, tiny
from vision_ai.charts import raster
from vision_ai.errors import StateError
from vision_ai.model import registry, vocabulary
from vision_ai.model.embed import Embedder
from vision_ai.model.training import export, presets, trainer

pytestmark = pytest.mark.train


def test_onnx_and_torch_agree_on_charts(published, pictures):
    paths, reader, _ = published
    onnx = Embedder(registry.resolve(paths, "tiny-1")).images(pictures)
    cosine = (onnx * trainer.embed_pictures(reader, pictures)).sum(axis=1)
    assert cosine.min() > 0.9999


def test_onnx_and_torch_agree_on_texts(published):
    paths, reader, words = published
    texts = ["breakout long", "phase range", "", "words that nobody knows", "range " * 90]
    onnx = Embedder(registry.resolve(paths, "tiny-1")).texts(texts)
    with torch.no_grad():
        expected = reader.texts(torch.from_numpy(words.tokens(texts))).numpy()
    assert (onnx * expected).sum(axis=1).min() > 0.9999


def test_parity_is_measured_and_returned(published, pictures):
    paths, reader, words = published
    folder = registry.resolve(paths, "tiny-1").path
    least = export.check_parity(reader, folder, pictures, words.tokens(["breakout long"]))
    assert 0.9999 < least < 1.0001


def test_an_export_that_differs_is_refused(published, pictures):
    paths, _, words = published
    folder = registry.resolve(paths, "tiny-1").path
    other = tiny.reader(seed=9)
    with pytest.raises(StateError, match="disagrees") as caught:
        export.check_parity(other, folder, pictures, words.tokens(["breakout long"]))
    assert caught.value.hint


def test_weights_are_kept_in_open_clips_names(published):
    paths, reader, _ = published
    kept = load_file(registry.resolve(paths, "tiny-1").weights)
    assert kept.keys() == reader.clip.state_dict().keys()


def test_one_chart_alone_has_the_vector_it_has_in_a_batch(published, pictures):
    paths, *_ = published
    embedder = Embedder(registry.resolve(paths, "tiny-1"))
    together = embedder.images(pictures)
    alone = np.concatenate([embedder.images(pictures[i : i + 1]) for i in range(5)])
    assert np.allclose(together, alone, atol=1e-5)


def test_kept_weights_make_the_same_vectors(published, pictures):
    paths, reader, _ = published
    again = tiny.reader(seed=8)
    presets.load_weights(again, registry.resolve(paths, "tiny-1").weights, repair="")
    cosine = (
        trainer.embed_pictures(again, pictures) * trainer.embed_pictures(reader, pictures)
    ).sum(axis=1)
    assert cosine.min() > 0.9999


def test_the_shipped_model_is_whole_small_and_the_same_in_torch():
    model = registry.open_folder(registry.SHIPPED)
    assert sum(path.stat().st_size for path in model.path.iterdir()) < 20e6
    reader = presets.create(presets.resolve(model.manifest.preset), pretrained=False)
    presets.load_weights(reader, model.weights, repair="")
    pictures = raster.render(making.klines(n=200).windows(np.arange(95, 200, 15)))
    words = vocabulary.load(model.tokenizer, repair="")
    tokens = vocabulary.encode(words, ["bullish breakout", "market in markup"])
    assert export.check_parity(reader, model.path, pictures, tokens) > export.LEAST_COSINE
    assert (Embedder(model).texts(["bullish breakout"]) ** 2).sum() == pytest.approx(1, abs=1e-5)


@pytest.mark.slow
def test_the_openai_preset_exports_too(tmp_path, pictures):
    torch.manual_seed(1)
    reader = presets.create(presets.resolve("clip-vit-b16"), pretrained=False)
    export.export(reader, tmp_path)
    tokens = np.zeros((2, 77), np.int64)
    tokens[:, :2] = [49406, 49407]
    assert export.check_parity(reader, tmp_path, pictures[:2], tokens) > 0.999
