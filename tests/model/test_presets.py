import logging
import subprocess
import sys
from pathlib import Path

import numpy as np
import open_clip
import pytest
import torch
from safetensors.torch import save_file

from tests.model import tiny
from vision_ai import train_cv_model, training_data
from vision_ai.errors import ConfigError, CorruptFileError, MissingModelError
from vision_ai.labels import descriptions
from vision_ai.model import vocabulary
from vision_ai.model.training import presets

pytestmark = pytest.mark.train

PICTURES = torch.randint(0, 255, (2, 192, 96, 3), dtype=torch.uint8)


def test_an_unknown_preset_is_refused_and_the_known_ones_are_named():
    with pytest.raises(ConfigError) as caught:
        presets.resolve("resnet")
    assert "chart-clip" in caught.value.hint


def test_models_are_made_by_open_clip():
    for name in ("chart-clip", "chart-clip-tiny"):
        assert presets.PRESETS[name].architecture in open_clip.list_models()
        assert isinstance(tiny.reader().clip, open_clip.model.CustomTextCLIP)


def test_vectors_of_charts_and_texts_have_unit_length():
    reader = tiny.reader()
    tokens = torch.from_numpy(tiny.words(reader).tokens(["phase range", "breakout long"]))
    for vectors in (reader.images(PICTURES), reader.texts(tokens)):
        assert vectors.shape == (2, 32)
        assert torch.allclose(vectors.norm(dim=1), torch.ones(2), atol=1e-5)


def test_the_shipped_model_takes_every_word_of_the_descriptions():
    reader = presets.create(presets.resolve("chart-clip"))
    tokenizer = presets.tokenizer(reader, list(descriptions.VOCABULARY))
    assert tokenizer.get_vocab_size() <= reader.clip.vocab_size
    assert reader.context == vocabulary.CONTEXT


def test_too_many_words_are_refused():
    with pytest.raises(ConfigError, match="room"):
        presets.tokenizer(tiny.reader(), [f"word{i}" for i in range(2000)])


def test_making_a_model_leaves_the_log_alone(caplog):
    with caplog.at_level(logging.DEBUG):
        tiny.reader()
    assert not caplog.records


def test_own_weights_come_back(tmp_path):
    one, path = tiny.reader(seed=1), tmp_path / "model.safetensors"
    save_file({k: v.contiguous() for k, v in one.clip.state_dict().items()}, path)
    other = tiny.reader(seed=2)
    presets.load_weights(other, path, repair="")
    assert torch.equal(one.eval().images(PICTURES), other.eval().images(PICTURES))
    third = presets.create(presets.resolve("chart-clip-tiny"), path)
    assert torch.equal(one.images(PICTURES), third.eval().images(PICTURES))


@pytest.mark.parametrize("name", ["weights.pt", "weights.bin", "weights.pkl"])
def test_weights_that_could_run_code_are_refused_unread(tmp_path, name):
    path = tmp_path / name
    path.write_bytes(b"cos\nsystem\n(S'false'\ntR.")
    with pytest.raises(ConfigError, match="pickled") as caught:
        presets.create(presets.resolve("chart-clip-tiny"), path)
    assert "safetensors" in caught.value.hint


def test_missing_weights_are_named(tmp_path):
    with pytest.raises(MissingModelError, match="do not exist"):
        presets.create(presets.resolve("chart-clip-tiny"), tmp_path / "none.safetensors")


@pytest.mark.parametrize("payload", [b"", b"nonsense", b"\xff" * 64])
def test_damaged_weights_are_one_sentence(tmp_path, payload):
    path = tmp_path / "w.safetensors"
    path.write_bytes(payload)
    with pytest.raises(CorruptFileError) as caught:
        presets.create(presets.resolve("chart-clip-tiny"), path)
    assert caught.value.hint
    with pytest.raises(CorruptFileError):
        presets.load_weights(tiny.reader(), path, repair="mend")


def test_weights_of_another_model_are_refused(tmp_path):
    path = tmp_path / "w.safetensors"
    save_file({"visual.other": torch.zeros(2)}, path)
    with pytest.raises(CorruptFileError, match="do not fit"):
        presets.create(presets.resolve("chart-clip-tiny"), path)


def test_clips_own_tokenizer_is_rebuilt_to_the_token():
    rebuilt = vocabulary.clip_byte_pairs(presets.byte_pairs())
    sentences = [descriptions.prompts(code)[0] for code in tiny.READINGS]
    sentences += ["It's 12.5 ATR above, fine-grained!", "Über 3x fakeout", ""]
    theirs = open_clip.get_tokenizer("ViT-B-16")(sentences).numpy()
    assert np.array_equal(vocabulary.encode(rebuilt, sentences, 77), theirs)


@pytest.mark.slow
def test_the_openai_preset_loads_local_weights_and_reads_charts(tmp_path):
    preset = presets.resolve("clip-vit-b16")
    torch.manual_seed(5)
    theirs = open_clip.create_model("ViT-B-16-quickgelu")
    path = tmp_path / "openai.safetensors"
    save_file({k: v.contiguous() for k, v in theirs.state_dict().items()}, path)
    reader = presets.create(preset, path).eval()
    prepared = reader.pixels(PICTURES)
    assert prepared.shape == (2, 3, 224, 224)
    with torch.no_grad():
        expected = theirs.eval().encode_image(prepared, normalize=True)
        assert torch.allclose(reader.images(PICTURES), expected, atol=1e-5)
    tokenizer = presets.tokenizer(reader, [])
    assert vocabulary.encode(tokenizer, ["a chart"], reader.context).shape == (1, 77)


@pytest.mark.slow
def test_operators_that_mps_lacks_fall_back_to_the_cpu():
    code = (
        "import os; os.environ.pop('PYTORCH_ENABLE_MPS_FALLBACK', None)\n"
        "import vision_ai.train_cv_model, sys\n"
        "assert 'torch' in sys.modules\n"
        "assert os.environ['PYTORCH_ENABLE_MPS_FALLBACK'] == '1'\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_no_module_of_the_project_loads_torch_ahead_of_the_model_package():
    for module in (train_cv_model, training_data):
        assert "import torch" not in Path(str(module.__file__)).read_text()
