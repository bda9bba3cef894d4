import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from tests.clusters import START, embeddings
from vision_ai import index
from vision_ai.errors import CorruptFileError, EmptyIndexError, StorageError
from vision_ai.retrieval import store

ROOT = Path(__file__).parents[2]
BUILDER = """
import sys
from pathlib import Path
from tests.clusters import START, embeddings
from vision_ai import index
sizes = [int(size) for size in sys.argv[2:]]
rows = [embeddings(size) for size in sizes]
print("ready", flush=True)
while True:
    for some in rows:
        index.build(Path(sys.argv[1]), some, now_ms=START)
"""


@pytest.mark.slow
def test_kill_at_any_instant_keeps_a_whole_index(tmp_path):
    index.build(tmp_path, embeddings(40), now_ms=START)
    versions = {index.fingerprint(embeddings(n)) for n in (40, 300, 500)}
    chance = random.Random(5)
    for attempt in range(20):
        builder = subprocess.Popen(
            [sys.executable, "-c", BUILDER, str(tmp_path), "300", "500"],
            stdout=subprocess.PIPE,
            cwd=ROOT,
        )
        assert builder.stdout is not None
        builder.stdout.readline()
        if attempt % 4:  # let it write anew, not merely point at what lies there
            for version in versions - {store.current_version(tmp_path)}:
                (tmp_path / version / "rows.parquet").unlink(missing_ok=True)
        time.sleep(chance.uniform(0, 0.05))
        os.kill(builder.pid, signal.SIGKILL)
        builder.wait()
        builder.stdout.close()
        assert index.load(tmp_path).version in versions
    index.build(tmp_path, embeddings(300), now_ms=START)
    assert index.load(tmp_path).version == index.fingerprint(embeddings(300))
    assert not list(tmp_path.glob(".building-*"))


@pytest.mark.parametrize("name", ["index.faiss", "rows.parquet", "manifest.json"])
@pytest.mark.parametrize("harm", ["truncate", "flip", "remove"])
def test_damaged_file_names_the_repair(tmp_path, name, harm):
    built = index.build(tmp_path, embeddings(30), now_ms=START)
    path = tmp_path / built.version / name
    payload = path.read_bytes()
    if harm == "truncate":
        path.write_bytes(payload[: len(payload) // 2])
    elif harm == "flip":
        path.write_bytes(b"\xff" + payload[1:])
    else:
        path.unlink()
    with pytest.raises(CorruptFileError, match="vision-ai index build"):
        index.load(tmp_path)
    index.build(tmp_path, embeddings(30), now_ms=START)
    assert index.load(tmp_path).version == built.version


@pytest.mark.parametrize("pointer", [b"", b"../../etc", b"\xff\xfe", b"a b"])
def test_damaged_pointer_names_the_repair(tmp_path, pointer):
    index.build(tmp_path, embeddings(3), now_ms=START)
    (tmp_path / "current").write_bytes(pointer)
    with pytest.raises(CorruptFileError, match="vision-ai index build"):
        index.load(tmp_path)


def test_no_index_yet_names_the_command(tmp_path):
    with pytest.raises(EmptyIndexError, match="vision-ai index build"):
        index.load(tmp_path / "nowhere")


def test_folder_that_is_a_file_is_one_clear_sentence(tmp_path):
    (tmp_path / "index").write_text("in the way")
    with pytest.raises(StorageError, match="Cannot write"):
        index.build(tmp_path / "index", embeddings(3), now_ms=START)


def test_earlier_versions_stay_and_can_be_read(tmp_path):
    first = index.build(tmp_path, embeddings(10), now_ms=START)
    second = index.build(tmp_path, embeddings(20), now_ms=START)
    assert store.list_versions(tmp_path) == sorted([first.version, second.version])
    assert len(index.load(tmp_path, version=first.version)) == 10
    assert len(index.load(tmp_path)) == 20


def test_each_model_finds_its_own_index_again(tmp_path):
    old, new = embeddings(10), replace(embeddings(20), model="model-2")
    first = index.build(tmp_path, old, now_ms=START)
    second = index.build(tmp_path, new, now_ms=START + 1, activate=False)
    assert index.load(tmp_path).version == first.version
    assert index.version_for(tmp_path, old.model) == first.version
    assert index.version_for(tmp_path, "model-2") == second.version
    assert index.version_for(tmp_path, "model-3") == first.version
    third = index.build(tmp_path, embeddings(30), now_ms=START)
    assert index.version_for(tmp_path, old.model) == third.version
    (tmp_path / second.version / "manifest.json").write_text("{")
    assert index.version_for(tmp_path, "model-2") == third.version


def test_the_pointer_is_replaced_and_never_emptied(tmp_path):
    first = index.build(tmp_path, embeddings(10), now_ms=START)
    with (tmp_path / "current").open() as opened_before:
        index.build(tmp_path, embeddings(20), now_ms=START)
        assert opened_before.read().strip() == first.version


def test_orphans_of_a_killed_build_are_swept(tmp_path):
    (tmp_path / ".building-x").mkdir(parents=True)
    index.build(tmp_path, embeddings(3), now_ms=START)
    assert not (tmp_path / ".building-x").exists()
