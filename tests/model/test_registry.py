import hashlib
import json
import shutil

import pytest

from tests.model import versions
from vision_ai.config import Paths
from vision_ai.errors import ConfigError, CorruptFileError, MissingModelError, StateError
from vision_ai.model import lineage, registry

pytestmark = pytest.mark.train


@pytest.fixture
def paths(published, tmp_path):
    """A copy of the data root, to be damaged."""
    shutil.copytree(published[0].models, tmp_path / "vision_ai" / "models")
    return Paths(tmp_path)


def test_a_version_is_found_by_name(paths):
    assert registry.resolve(paths, "tiny-1").manifest.version == "tiny-1"


def test_current_is_what_was_activated(paths):
    lineage.activate(paths, "tiny-1")
    assert registry.resolve(paths).version == "tiny-1"


def test_without_a_choice_the_shipped_version_is_current(paths, monkeypatch):
    monkeypatch.setattr(registry, "SHIPPED", paths.models / "tiny-1")
    assert registry.resolve(Paths(paths.root / "elsewhere")).version == "tiny-1"


def test_no_model_at_all_names_the_repair(tmp_path, monkeypatch):
    monkeypatch.setattr(registry, "SHIPPED", tmp_path / "none")
    with pytest.raises(MissingModelError) as caught:
        registry.resolve(Paths(tmp_path))
    assert "train" in caught.value.hint


@pytest.mark.parametrize("name", ["tiny-2", "../tiny-1", ".", "", "x" * 300])
def test_an_unknown_version_is_refused_and_the_known_ones_are_named(paths, name):
    with pytest.raises(MissingModelError, match="tiny-1"):
        registry.resolve(paths, name)


@pytest.mark.parametrize(
    "name", ["image.onnx", "text.onnx", "tokenizer.json", "model.safetensors", "exemplars.parquet"]
)
@pytest.mark.parametrize("damage", ["flip", "truncate", "remove"])
def test_a_damaged_file_is_found_before_it_is_used(paths, name, damage):
    path = paths.models / "tiny-1" / name
    payload = bytearray(path.read_bytes())
    if damage == "remove":
        path.unlink()
    elif damage == "truncate":
        path.write_bytes(payload[:-1])
    else:
        payload[len(payload) // 2] ^= 1
        path.write_bytes(payload)
    with pytest.raises(CorruptFileError, match=name) as caught:
        registry.resolve(paths, "tiny-1")
    assert "train" in caught.value.hint


@pytest.mark.parametrize("text", ["", "{}", '{"schema_version": 9}'])
def test_a_damaged_manifest_is_one_sentence(paths, text):
    (paths.models / "tiny-1" / "manifest.json").write_text(text)
    with pytest.raises(CorruptFileError):
        registry.resolve(paths, "tiny-1")


def without_the_image(content):
    del content["files"]["image.onnx"]


def a_short_prototype(content):
    content["prototypes"]["0"].pop()


def another_name(content):
    content["version"] = "tiny-2"


def a_figure_without_end(content):
    content["figures"]["votes"] = float("inf")


@pytest.mark.parametrize(
    "change", [without_the_image, a_short_prototype, another_name, a_figure_without_end]
)
def test_a_manifest_that_does_not_fit_is_one_sentence(paths, change):
    path = paths.models / "tiny-1" / "manifest.json"
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))
    with pytest.raises(CorruptFileError, match="manifest"):
        registry.resolve(paths, "tiny-1")


def test_a_folder_in_the_place_of_a_file_is_one_sentence(paths):
    for name in ("text.onnx", "manifest.json"):
        (paths.models / "tiny-1" / name).unlink()
        (paths.models / "tiny-1" / name).mkdir()
        with pytest.raises(CorruptFileError, match="folder"):
            registry.open_folder(paths.models / "tiny-1")


def test_a_manifest_may_not_name_files_elsewhere(paths):
    manifest = paths.models / "tiny-1" / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"image.onnx"', '"../image.onnx"'))
    with pytest.raises(CorruptFileError):
        registry.resolve(paths, "tiny-1")


def test_damaged_versions_are_left_out_of_the_list(paths):
    shutil.copytree(paths.models / "tiny-1", paths.models / "tiny-bad")
    (paths.models / "tiny-bad" / "image.onnx").write_bytes(b"")
    assert "tiny-1" in {model.version for model in registry.versions(paths)}
    assert len([m for m in registry.versions(paths) if m.path.parent == paths.models]) == 1


def test_a_damaged_version_does_not_become_current(paths):
    lineage.activate(paths, "tiny-1")
    shutil.copytree(paths.models / "tiny-1", paths.models / "tiny-2")
    (paths.models / "tiny-2" / "image.onnx").write_bytes(b"")
    with pytest.raises(CorruptFileError):
        lineage.activate(paths, "tiny-2")
    assert registry.resolve(paths).version == "tiny-1"


def test_a_damaged_choice_is_named(paths):
    (paths.models / "current").write_bytes(b"\xff\xfe")
    with pytest.raises(CorruptFileError, match="current is damaged"):
        registry.resolve(paths)


def test_current_is_no_version(paths):
    with pytest.raises(ConfigError):
        lineage.activate(paths, "current")


def test_publishing_twice_is_refused_and_changes_nothing(paths):
    staging = paths.models / ".again"
    shutil.copytree(paths.models / "tiny-1", staging)
    (staging / "manifest.json").unlink()
    manifest = registry.resolve(paths, "tiny-1").manifest
    with pytest.raises(StateError, match="exists already"):
        registry.publish(paths, staging, manifest)
    assert registry.resolve(paths, "tiny-1").manifest == manifest


def test_folders_with_a_dot_are_no_versions(paths):
    shutil.copytree(paths.models / "tiny-1", paths.models / ".run-x")
    assert all(not model.path.name.startswith(".") for model in registry.versions(paths))


@pytest.fixture
def by_hand(tmp_path, monkeypatch):
    monkeypatch.setattr(registry, "SHIPPED", tmp_path / "none")
    return Paths(tmp_path)


def test_versions_are_listed_from_the_oldest(by_hand):
    for name, day in (("late", 3), ("early", 1), ("b", 2), ("a", 2)):
        versions.publish(by_hand, name, created_at=f"2026-01-0{day}T00:00:00Z")
    assert [model.version for model in registry.versions(by_hand)] == ["early", "a", "b", "late"]


def test_a_published_version_names_the_hash_of_each_file(by_hand):
    model = versions.publish(by_hand, "one")
    for name in versions.FILES:
        content = (model.path / name).read_bytes()
        assert model.manifest.files[name] == hashlib.sha256(content).hexdigest()
    assert model.image_hash == registry.sha256(model.image)
    assert not list(by_hand.models.glob(".staging-*"))


def test_a_manifest_comes_back_as_it_was_written(by_hand):
    model = versions.publish(by_hand, "one", changes={"mix": 0.4}, parents=["zero"])
    again = registry.open_folder(model.path)
    assert again == model
    assert again.manifest.changes == {"mix": 0.4}


def test_hints_say_what_to_delete_or_to_install(by_hand, monkeypatch):
    model = versions.publish(by_hand, "one")
    assert str(model.path) in model.repair
    monkeypatch.setattr(registry, "SHIPPED", model.path)
    assert "pip install" in model.repair


def test_versions_that_share_an_image_tower_have_one_image_hash(by_hand):
    one, two = versions.publish(by_hand, "one"), versions.publish(by_hand, "two")
    assert one.image_hash != two.image_hash
    child = lineage.derive(by_hand, one, versions.manifest("child"), {"text.onnx": b"new"})
    assert child.image_hash == one.image_hash


def test_the_version_in_use_is_named_even_where_its_folder_is_gone(by_hand):
    versions.publish(by_hand, "one")
    lineage.activate(by_hand, "one")
    shutil.rmtree(by_hand.models / "one")
    assert registry.active_name(by_hand) == "one"
    with pytest.raises(MissingModelError, match="known: none"):
        registry.resolve(by_hand)
