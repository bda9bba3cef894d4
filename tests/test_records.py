import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vision_ai import records
from vision_ai.errors import CorruptFileError, StorageError
from vision_ai.records import BadLine, LogLine


class Note(LogLine):
    text: str
    number: int


def key(note: Note) -> tuple[str, int]:
    return note.text, note.number


def write(path: Path, *notes: Note) -> list[Note]:
    return records.append_once(path, notes, key)


@settings(deadline=None)  # each line is synced to the disk
@given(st.text(), st.integers())
def test_a_log_line_is_read_back_as_written(tmp_path_factory, text: str, number: int) -> None:
    path = tmp_path_factory.mktemp("log") / "a.jsonl"
    written = write(path, Note(text=text, number=number))
    assert records.read_sealed(path, Note, key) == (written, [])
    assert [key(note) for note in written] == [(text, number)]
    assert write(path, Note(text=text, number=number)) == []


LENGTH = len(Note(line=1, check="0" * 16, text="r", number=1).model_dump_json())


@settings(deadline=None)  # each line is synced to the disk
@given(cut=st.integers(min_value=1, max_value=LENGTH))
def test_a_torn_last_line_is_named_and_loses_nothing(tmp_path_factory, cut: int) -> None:
    path = tmp_path_factory.mktemp("log") / "a.jsonl"
    write(path, *(Note(text="r", number=number) for number in range(3)))
    os.truncate(path, path.stat().st_size - cut)
    write(path, Note(text="r", number=9))
    good, bad = records.read_sealed(path, Note, key)
    assert [entry.number for entry in good] == ([0, 1, 2, 9] if cut == 1 else [0, 1, 9])
    assert len(bad) == (0 if cut == 1 else 1)


def test_a_document_of_another_form_is_named_by_field(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    records.write_text(path, '{"path": "p", "number": "many", "reason": "r"}')
    with pytest.raises(CorruptFileError, match="number"):
        records.read_document(path, BadLine, repair="Do this.")


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[1]", b"\xff\xfe", b"null", b"[" * 100_000, b"1" * 5000]
)
def test_a_damaged_document_says_how_to_repair_it(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(content)
    with pytest.raises(CorruptFileError, match="Do this"):
        records.read_json(path, repair="Do this.")


def test_a_write_that_cannot_finish_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    records.write_bytes(path, b"old")
    code = (
        "import sys, resource, signal; from pathlib import Path; from vision_ai import records\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        "from vision_ai.errors import StorageError\n"
        "try: records.write_bytes(Path(sys.argv[1]), b'x' * 5000)\n"
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
        records.write_bytes(tmp_path / "charts" / "x" / "a.png", b"x")


def test_a_path_that_cannot_be_is_named(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    for path in (tmp_path / "folder", tmp_path / ("a" * 300) / "a.png"):
        with pytest.raises(StorageError, match="Cannot write"):
            records.write_bytes(path, b"x")
    assert [entry.name for entry in tmp_path.iterdir()] == ["folder"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_is_named() -> None:
    def fill() -> None:
        with records.storage(Path("/dev/full")), Path("/dev/full").open("wb", 0) as file:
            file.write(b"x")

    with pytest.raises(StorageError, match="disk is full"):
        fill()


def test_two_processes_append_whole_lines(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    code = (
        "import sys; from pathlib import Path; from tests.test_records import Note, write\n"
        "for n in range(40): write(Path(sys.argv[1]), Note(text=sys.argv[2] * 500, number=n))"
    )
    root = Path(__file__).parents[1]
    jobs = [
        subprocess.Popen([sys.executable, "-c", code, str(path), who], cwd=root) for who in "ab"
    ]
    assert [job.wait() for job in jobs] == [0, 0]
    good, bad = records.read_sealed(path, Note, key)
    assert (len(good), bad) == (80, [])


def test_a_folder_that_cannot_be_read_is_not_an_empty_one(tmp_path: Path) -> None:
    (tmp_path / "b.json").write_text("{}")
    (tmp_path / "a.json").write_text("{}")
    (tmp_path / "a.txt").write_text("")
    assert [path.name for path in records.listed(tmp_path, "*.json")] == ["a.json", "b.json"]
    assert records.listed(tmp_path / "nowhere", "*.json") == []
    with pytest.raises(StorageError, match="cannot be read"):
        records.listed(tmp_path / "a.txt", "*.json")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_folder_without_the_right_to_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "closed").mkdir(mode=0o300)
    with pytest.raises(StorageError, match="cannot be read"):
        records.listed(tmp_path / "closed", "*")
