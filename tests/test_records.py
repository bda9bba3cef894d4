import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vision_ai import records
from vision_ai.errors import CorruptFileError, StorageError
from vision_ai.records import BadLine


def line(reason: str = "r", number: int = 1) -> BadLine:
    return BadLine(path="p", number=number, reason=reason)


@given(st.text(), st.integers())
def test_a_log_line_is_read_back_as_written(tmp_path_factory, reason: str, number: int) -> None:
    path = tmp_path_factory.mktemp("log") / "a.jsonl"
    records.append_line(path, line(reason, number))
    assert records.read_lines(path, BadLine) == ([line(reason, number)], [])


@given(
    cut=st.integers(
        min_value=1, max_value=len(BadLine(path="p", number=1, reason="r").model_dump_json())
    )
)
def test_a_torn_last_line_is_named_and_loses_nothing(tmp_path_factory, cut: int) -> None:
    path = tmp_path_factory.mktemp("log") / "a.jsonl"
    for number in range(3):
        records.append_line(path, line(number=number))
    os.truncate(path, path.stat().st_size - cut)
    records.append_line(path, line(number=9))
    good, bad = records.read_lines(path, BadLine)
    assert [entry.number for entry in good] == ([0, 1, 2, 9] if cut == 1 else [0, 1, 9])
    assert len(bad) == (0 if cut == 1 else 1)


def test_a_document_of_another_form_is_named_by_field(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    records.write_json(path, {"path": "p", "number": "many", "reason": "r"})
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
        "import sys; from pathlib import Path; from vision_ai import records\n"
        "for n in range(40): records.append_line(Path(sys.argv[1]), "
        "records.BadLine(path='p' * 500, number=n, reason='r'))"
    )
    jobs = [subprocess.Popen([sys.executable, "-c", code, str(path)]) for _ in range(2)]
    assert [job.wait() for job in jobs] == [0, 0]
    good, bad = records.read_lines(path, BadLine)
    assert (len(good), bad) == (80, [])
