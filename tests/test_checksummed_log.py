import os
import subprocess
import sys
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from vision_ai import checksummed_log
from vision_ai.records import LogLine


class Note(LogLine):
    text: str
    number: int


def key(note: Note) -> tuple[str, int]:
    return note.text, note.number


def write(path: Path, *notes: Note) -> list[Note]:
    return checksummed_log.append_once(path, notes, key)


@settings(deadline=None)  # each line is synced to the disk
@given(st.text(), st.integers())
def test_a_log_line_is_read_back_as_written(tmp_path_factory, text: str, number: int) -> None:
    path = tmp_path_factory.mktemp("log") / "a.jsonl"
    written = write(path, Note(text=text, number=number))
    assert checksummed_log.read(path, Note, key) == (written, [])
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
    good, bad = checksummed_log.read(path, Note, key)
    assert [entry.number for entry in good] == ([0, 1, 2, 9] if cut == 1 else [0, 1, 9])
    assert len(bad) == (0 if cut == 1 else 1)


def test_two_processes_append_whole_lines(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    code = (
        "import sys; from pathlib import Path; from tests.test_checksummed_log import Note, write\n"
        "for n in range(40): write(Path(sys.argv[1]), Note(text=sys.argv[2] * 500, number=n))"
    )
    root = Path(__file__).parents[1]
    jobs = [
        subprocess.Popen([sys.executable, "-c", code, str(path), who], cwd=root) for who in "ab"
    ]
    assert [job.wait() for job in jobs] == [0, 0]
    good, bad = checksummed_log.read(path, Note, key)
    assert (len(good), bad) == (80, [])
