"""Files that are replaced in one step, locks, and refusals in one sentence."""

import contextlib
import errno
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vision_ai import storage
from vision_ai.errors import CorruptFileError, StateError, StorageError
from vision_ai.records import BadLine


def test_a_document_of_another_form_is_named_by_field(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    storage.write_text(path, '{"path": "p", "number": "many", "reason": "r"}')
    with pytest.raises(CorruptFileError, match="number"):
        storage.read_document(path, BadLine, repair="Do this.")


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[1]", b"\xff\xfe", b"null", b"[" * 100_000, b"1" * 5000]
)
def test_a_damaged_document_says_how_to_repair_it(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(content)
    with pytest.raises(CorruptFileError, match="Do this"):
        storage.read_json(path, repair="Do this.")


def test_a_write_that_cannot_finish_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    storage.write_bytes(path, b"old")
    code = (
        "import sys, resource, signal; from pathlib import Path; from vision_ai import storage\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        "from vision_ai.errors import StorageError\n"
        "try: storage.write_bytes(Path(sys.argv[1]), b'x' * 5000)\n"
        "except StorageError as e: print(e)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True
    )
    assert "Cannot write" in done.stdout
    assert path.read_bytes() == b"old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.bin"]


def test_a_folder_that_is_a_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "charts").write_text("I am a file")
    with pytest.raises(StorageError, match="Cannot write"):
        storage.write_bytes(tmp_path / "charts" / "x" / "a.png", b"x")


def test_a_path_that_cannot_be_is_named(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    for path in (tmp_path / "folder", tmp_path / ("a" * 300) / "a.png"):
        with pytest.raises(StorageError, match="Cannot write"):
            storage.write_bytes(path, b"x")
    assert [entry.name for entry in tmp_path.iterdir()] == ["folder"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_is_named() -> None:
    def fill() -> None:
        with storage.writing(Path("/dev/full")), Path("/dev/full").open("wb", 0) as file:
            file.write(b"x")

    with pytest.raises(StorageError, match="disk is full"):
        fill()


def test_a_folder_that_cannot_be_read_is_not_an_empty_one(tmp_path: Path) -> None:
    (tmp_path / "b.json").write_text("{}")
    (tmp_path / "a.json").write_text("{}")
    (tmp_path / "a.txt").write_text("")
    assert [path.name for path in storage.listed(tmp_path, "*.json")] == ["a.json", "b.json"]
    assert storage.listed(tmp_path / "nowhere", "*.json") == []
    with pytest.raises(StorageError, match="cannot be read"):
        storage.listed(tmp_path / "a.txt", "*.json")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_folder_without_the_right_to_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "closed").mkdir(mode=0o300)
    with pytest.raises(StorageError, match="cannot be read"):
        storage.listed(tmp_path / "closed", "*")


ALONE = """
import io, os, sys
from collections.abc import Iterator
from pathlib import Path
import pyarrow as pa
from vision_ai import storage

tasks = Path("/proc/self/task")
table = pa.table({"value": pa.array(range(100_000)), "other": pa.array(range(100_000))})
payload = storage.dump_table(table, {"of": "me"})
before = len(list(tasks.iterdir()))
back = storage.load_table(payload)
assert back.equals(table) and back.schema.metadata == {b"of": b"me"}
own = len(list(tasks.iterdir())) - before
pa.parquet.read_table(io.BytesIO(payload))
print(own, len(list(tasks.iterdir())) - before)
"""


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="threads are counted in /proc")
def test_a_table_is_read_by_no_thread_that_outlives_the_reading() -> None:
    """Such a thread may drop our bytes when Python is on its way out, which aborts the process."""
    done = subprocess.run([sys.executable, "-c", ALONE], capture_output=True, text=True, check=True)
    own, arrows = map(int, done.stdout.split())
    assert own == 0
    assert arrows > 0  # the reader that is not used would have been seen


HOLDER = """
import sys, time
from collections.abc import Iterator
from pathlib import Path
from vision_ai import storage

with storage.locked(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.readline()
"""


@contextlib.contextmanager
def held_elsewhere(path: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process holds the lock until its input ends."""
    command = [sys.executable, "-c", HOLDER, str(path)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_a_lock_that_is_held_is_refused_with_what_is_under_way(tmp_path: Path) -> None:
    path = tmp_path / "run" / "lock"
    with (
        held_elsewhere(path),
        pytest.raises(StateError, match="Training is under way"),
        storage.locked(path, busy="Training is under way"),
    ):
        pytest.fail("two hold one lock")
    with storage.locked(path, busy="Training is under way"):
        pass  # the lock died with its process


def test_waiting_for_a_lock_ends_when_its_holder_does(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with held_elsewhere(path) as holder:
        entered = threading.Event()

        def enter() -> None:
            with storage.locked(path):
                entered.set()

        waiting = threading.Thread(target=enter)
        waiting.start()
        assert not entered.wait(0.2)
        holder.kill()
        assert entered.wait(10)
        waiting.join()


def test_who_waits_for_a_lock_that_is_removed_holds_the_new_one(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with storage.locked(path):
        removed = path.open("ab+")
        path.unlink()
    with storage.locked(path) as file:
        assert os.fstat(file.fileno()).st_ino == path.stat().st_ino
        assert os.fstat(removed.fileno()).st_ino != path.stat().st_ino
    removed.close()


def test_an_error_under_a_lock_is_not_taken_for_one_of_the_lock_file(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="no route"), storage.locked(tmp_path / "lock"):
        raise OSError(errno.ENOSPC, "no route")


REFUSED = (
    (errno.ENOSPC, "the disk is full"),
    (errno.EDQUOT, "the disk quota is used up"),
    (errno.EROFS, "the file system is read-only"),
    (errno.EACCES, "permission is denied"),
    (errno.EPERM, "permission is denied"),
    (errno.ENOTDIR, "a parent of it is a file"),
    (errno.EEXIST, "a file is in its place"),
    (errno.ENOENT, "the folder cannot be made"),
    (errno.EISDIR, "a folder is in its place"),
    (errno.EBUSY, "a folder is in its place"),
    (errno.ENAMETOOLONG, "its name is too long"),
    (errno.EIO, "the disk reports an error"),
    (errno.EFBIG, "the file would be too large"),
)


@pytest.mark.parametrize(("number", "words"), REFUSED)
def test_each_refusal_of_the_system_is_a_sentence_with_a_cure(number: int, words: str) -> None:
    path = Path("data/a.json")
    with pytest.raises(StorageError) as caught, storage.writing(path):
        raise OSError(number, os.strerror(number))
    assert caught.value.message == (f"Cannot write {path}: {words}. Earlier files are untouched.")
    assert caught.value.hint.endswith(".")
    assert caught.value.exit_code == 3


@pytest.mark.parametrize("error", [OSError(errno.EPIPE, "pipe"), OSError("no number"), KeyError()])
def test_other_errors_pass_as_they_are(error: Exception) -> None:
    with pytest.raises(type(error)) as caught, storage.writing(Path("a")):
        raise error
    assert caught.value is error


@settings(max_examples=20, deadline=None)
@given(st.lists(st.binary(max_size=200), min_size=1, max_size=4))
def test_a_file_holds_what_was_written_last_and_nothing_is_left_beside_it(
    tmp_path_factory: pytest.TempPathFactory, payloads: list[bytes]
) -> None:
    path = tmp_path_factory.mktemp("w") / "new" / "a.bin"
    for payload in payloads:
        storage.write_bytes(path, payload)
        assert path.read_bytes() == payload
    assert [entry.name for entry in path.parent.iterdir()] == ["a.bin"]
    assert path.stat().st_mode & 0o777 == 0o644


def test_readers_see_the_old_content_or_the_new_one_and_no_part(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    contents = {bytes([letter]) * 50_000 for letter in b"ab"}
    storage.write_bytes(path, b"a" * 50_000)
    stop = threading.Event()
    seen: set[bytes] = set()

    def read() -> None:
        while not stop.is_set():
            seen.add(path.read_bytes())

    reader = threading.Thread(target=read)
    reader.start()
    for turn in range(20):
        storage.write_bytes(path, (b"b" if turn % 2 else b"a") * 50_000)
    stop.set()
    reader.join()
    assert seen <= contents


@pytest.mark.parametrize("content", ["[]", "5", '"text"', "null"])
def test_json_that_is_no_object_is_named_by_its_type(tmp_path: Path, content: str) -> None:
    path = tmp_path / "a.json"
    path.write_text(content)
    kind = {"[]": "list", "5": "int", '"text"': "str", "null": "NoneType"}[content]
    with pytest.raises(CorruptFileError, match=f"expected a JSON object, was {kind}"):
        storage.read_json(path, repair="Do this.")


def test_a_missing_document_and_a_folder_in_its_place_are_named(tmp_path: Path) -> None:
    with pytest.raises(CorruptFileError, match=r"a\.json is missing") as caught:
        storage.read_json(tmp_path / "a.json", repair="Do this.")
    assert caught.value.hint == "Do this."
    with pytest.raises(CorruptFileError, match="a folder is in its place"):
        storage.read_json(tmp_path, repair="Do this.")


@settings(max_examples=20, deadline=None)
@given(st.text(), st.integers(0, 10**6))
def test_a_document_is_read_back_as_written(
    tmp_path_factory: pytest.TempPathFactory, reason: str, number: int
) -> None:
    path = tmp_path_factory.mktemp("d") / "a.json"
    document = BadLine(path="p", number=number, reason=reason)
    storage.write_document(path, document)
    assert storage.read_document(path, BadLine, repair="-") == document
    assert path.read_bytes().endswith(b"}\n")


def test_equal_tables_make_equal_bytes_and_a_damaged_one_is_refused() -> None:
    table = pa.table({"value": [1, 2, 3]})
    payload = storage.dump_table(table, {"by": "me"})
    assert payload == storage.dump_table(table, {"by": "me"})
    assert payload != storage.dump_table(table, {"by": "you"})
    for damaged in (b"", payload[:-3], payload[: len(payload) // 2], b"PAR1" * 20):
        with pytest.raises((pa.ArrowException, OSError)):
            storage.load_table(damaged)


def test_two_threads_never_hold_one_lock(tmp_path: Path) -> None:
    inside, most = [0], [0]

    def work() -> None:
        for _ in range(20):
            with storage.locked(tmp_path / "lock"):
                inside[0] += 1
                most[0] = max(most[0], inside[0])
                inside[0] -= 1

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1]


def test_a_locked_file_keeps_its_content_and_is_appended_to(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"old ")
    with storage.locked(path) as file:
        file.write(b"new")
    assert path.read_bytes() == b"old new"


def test_a_lock_where_no_file_can_be_is_a_storage_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="Cannot write"), storage.locked(tmp_path / "file" / "x"):
        pytest.fail("there is no such folder")


def test_only_storage_locks_files() -> None:
    package = Path(storage.__file__).parent
    users = {
        path.relative_to(package).as_posix()
        for path in package.rglob("*.py")
        if "fcntl" in path.read_text()
    }
    assert users == {"storage.py"}
