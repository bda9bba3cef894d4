"""Which version is active, which was before, and what a derived one is made of."""

import shutil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.model import versions
from vision_ai.config import Paths
from vision_ai.domain import iso
from vision_ai.errors import (
    ConfigError,
    CorruptFileError,
    MissingModelError,
    StateError,
    StorageError,
)
from vision_ai.model import lineage, registry
from vision_ai.model.lineage import Switch

AT = "2026-01-01T00:00:00Z"
NAMES = ("a", "b", "c", "d")


@pytest.fixture
def paths(tmp_path, monkeypatch):
    """A data root with four versions, the first of them active, and none that ships."""
    monkeypatch.setattr(registry, "SHIPPED", tmp_path / "none")
    paths = Paths(tmp_path)
    for name in NAMES:
        versions.publish(paths, name)
    lineage.activate(paths, "a", now_ms=0)
    return paths


def active(paths):
    return registry.resolve(paths).version


def switch(was, to, kind="promote"):
    return Switch(at=AT, kind=kind, was=was, to=to)


@st.composite
def histories(draw):
    """Lines of a history with void ones among them, and the stack of versions they stand for."""
    stack, lines = ["start"], []
    for number in range(draw(st.integers(0, 8))):
        kind = draw(st.sampled_from(["promote", "rollback", "void"]))
        name = f"v{number}"
        if kind == "promote":
            lines.append(switch(stack[-1], name))
            stack.append(name)
        elif kind == "rollback" and len(stack) > 1:
            lines.append(switch(stack[-1], stack[-2], "rollback"))
            stack.pop()
        elif kind == "void":  # killed before the switch: the next line starts from the old one
            lines.append(switch(stack[-1], f"never-{number}"))
    return lines, stack


@given(histories())
def test_the_history_is_a_stack_of_versions(history):
    lines, stack = history
    found = lineage.active_versions(lines, stack[-1])
    assert found == (stack if lines else stack[-1:])


@given(histories(), st.text(min_size=1, max_size=5))
def test_the_last_active_version_is_the_current_one_whatever_the_history_says(history, current):
    assert lineage.active_versions(history[0], current)[-1] == current


def test_promoting_and_rolling_back_come_to_the_same_version(paths):
    for name in ("b", "c"):
        lineage.activate(paths, name)
        assert active(paths) == name
    assert lineage.rollback(paths).version == "b"
    assert lineage.rollback(paths).version == "a"
    assert [line.kind for line in lineage.read_history(paths)] == ["promote"] * 3 + ["rollback"] * 2
    with pytest.raises(MissingModelError, match="first"):
        lineage.rollback(paths)


def test_a_version_promoted_after_a_rollback_replaces_the_one_that_came_back(paths):
    lineage.activate(paths, "b")
    lineage.rollback(paths)
    lineage.activate(paths, "c")
    assert lineage.rollback(paths).version == "a"


def test_activating_the_active_version_writes_no_line(paths):
    lineage.activate(paths, "a")
    assert len(lineage.read_history(paths)) == 1
    lineage.activate(paths, "b")
    lineage.activate(paths, "b")
    assert len(lineage.read_history(paths)) == 2


def test_a_switch_carries_the_time_it_is_given(paths):
    lineage.activate(paths, "b", now_ms=86_400_000)
    assert lineage.read_history(paths)[-1].at == "1970-01-02T00:00:00Z"


def test_no_history_is_nothing_to_roll_back_to(tmp_path, monkeypatch):
    monkeypatch.setattr(registry, "SHIPPED", versions.publish(Paths(tmp_path), "shipped").path)
    with pytest.raises(StateError, match="replaced no other") as caught:
        lineage.rollback(Paths(tmp_path / "elsewhere"))
    assert "promote" in caught.value.hint


@pytest.mark.parametrize("damage", ["remove", "spoil"])
def test_a_version_that_cannot_be_opened_does_not_come_back(paths, damage):
    lineage.activate(paths, "b")
    if damage == "remove":
        shutil.rmtree(paths.models / "a")
    else:
        (paths.models / "a" / "image.onnx").write_bytes(b"other")
    with pytest.raises(MissingModelError if damage == "remove" else CorruptFileError):
        lineage.rollback(paths)
    assert active(paths) == "b"
    assert len(lineage.read_history(paths)) == 2


@pytest.mark.parametrize(
    ("name", "error"), [("current", ConfigError), ("nothing", MissingModelError)]
)
def test_what_is_no_version_is_not_activated(paths, name, error):
    with pytest.raises(error):
        lineage.activate(paths, name)
    assert active(paths) == "a"
    assert len(lineage.read_history(paths)) == 1


def test_a_switch_killed_after_its_line_leaves_the_old_version_and_a_void_line(paths):
    lineage.record_switch(paths, Switch(at=iso(1), kind="promote", was="a", to="b"))
    lines = lineage.read_history(paths)
    assert lines[-1].to == "b"
    assert lineage.active_versions(lines, active(paths)) == ["", "a"]
    assert lineage.is_promotion_unfinished(paths, "b")
    lineage.activate(paths, "b", now_ms=1)
    assert not lineage.is_promotion_unfinished(paths, "b")
    assert len(lineage.read_history(paths)) == len(lines)  # the same switch, repeated


def test_a_switch_that_cannot_be_written_is_an_error(paths):
    (paths.models / "current").unlink()
    (paths.models / "current" / "in the way").mkdir(parents=True)
    with pytest.raises(StorageError):
        lineage.activate(paths, "b", now_ms=1)


def test_the_same_line_again_is_written_once(paths):
    for _ in range(3):
        lineage.record_switch(paths, switch("a", "b"))
    assert [line.to for line in lineage.read_history(paths)] == ["a", "b"]


def test_a_damaged_line_does_not_count_and_is_named(paths):
    lineage.activate(paths, "b")
    path = paths.models / "history.jsonl"
    first, second = path.read_text().splitlines()
    path.write_text(f"{first.replace('promote', 'rollback')}\n{second}\n")
    assert [line.to for line in lineage.read_history(paths)] == ["b"]
    assert len(lineage.damaged_history(paths)) == 1


def test_a_version_nobody_promoted_is_unfinished_and_a_deleted_one_is_not(paths):
    assert lineage.is_promotion_unfinished(paths, "d")
    assert not lineage.is_promotion_unfinished(paths, "a")
    shutil.rmtree(paths.models / "d")
    assert not lineage.is_promotion_unfinished(paths, "d")


def test_a_derived_version_holds_its_parents_files_but_those_that_differ(paths):
    parent = registry.resolve(paths, "a")
    child = lineage.derive(
        paths, parent, versions.manifest("a-r1-000000", parents=["a"]),
        {"exemplars.parquet": b"other weights", "calibration.json": b"{}"},
    )  # fmt: skip
    assert child.manifest.parents == ["a"]
    for file in versions.FILES[:-1]:
        assert (child.path / file).read_bytes() == (parent.path / file).read_bytes()
    assert child.exemplars.read_bytes() == b"other weights"
    assert set(child.manifest.files) == {*versions.FILES, "calibration.json"}
    assert active(paths) == "a"


def test_a_version_is_not_derived_twice_and_nothing_is_left_behind(paths):
    parent, manifest = registry.resolve(paths, "a"), versions.manifest("child")
    lineage.derive(paths, parent, manifest, {})
    with pytest.raises(StateError, match="exists already"):
        lineage.derive(paths, parent, manifest, {"text.onnx": b"new"})
    assert not list(paths.models.glob(".derived-*"))
    assert registry.resolve(paths, "child").text.read_bytes() == parent.text.read_bytes()


@given(st.text("abc-", max_size=60), st.sampled_from(["r1", "f12"]), st.text(max_size=9))
def test_a_childs_name_depends_on_parent_kind_and_content_and_does_not_grow(parent, kind, content):
    name = lineage.child_name(parent, kind, content)
    assert name == lineage.child_name(parent, kind, content)
    assert name != lineage.child_name(parent, kind, content + "x")
    grandchild = lineage.child_name(name, kind, content)
    assert len(grandchild) == len(name)
    assert f"-{kind}-" in grandchild
