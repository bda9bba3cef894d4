"""Logs with checksums: every damage is named and costs no other line."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vision_ai import checksummed_log
from vision_ai.errors import StorageError
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


def log_of(folder: Path, count: int = 5) -> Path:
    path = folder / "a.jsonl"
    write(path, *(Note(text="r", number=number) for number in range(count)))
    return path


def numbers(path: Path) -> tuple[list[int], list[tuple[int, str]]]:
    """The numbers of the notes that count, and line and reason of those that do not."""
    good, bad = checksummed_log.read(path, Note, key)
    return [note.number for note in good], [(line.number, line.reason) for line in bad]


def test_lines_are_numbered_from_one_and_carry_a_checksum(tmp_path: Path) -> None:
    path = log_of(tmp_path)
    written = [json.loads(line) for line in path.read_text().splitlines()]
    assert [line["line"] for line in written] == [1, 2, 3, 4, 5]
    assert len({line["check"] for line in written}) == 5
    assert all(re.fullmatch("[0-9a-f]{16}", line["check"]) for line in written)


def test_a_missing_log_holds_nothing_and_an_empty_one_neither(tmp_path: Path) -> None:
    assert checksummed_log.read(tmp_path / "no.jsonl", Note, key) == ([], [])
    (tmp_path / "empty.jsonl").write_bytes(b"\n\n")
    assert checksummed_log.read(tmp_path / "empty.jsonl", Note, key) == ([], [])


@settings(max_examples=30, deadline=None)
@given(row=st.integers(0, 4), at=st.integers(0, 10_000), bit=st.integers(0, 7))
def test_a_flipped_bit_costs_at_most_its_own_line(tmp_path_factory, row, at, bit) -> None:
    path = log_of(tmp_path_factory.mktemp("log"))
    lines = path.read_bytes().splitlines()
    line = bytearray(lines[row])
    line[at % len(line)] ^= 1 << bit
    lines[row] = bytes(line)
    path.write_bytes(b"\n".join(lines) + b"\n")
    good, bad = numbers(path)
    others = [number for number in range(5) if number != row]
    if bytes(line).count(b"\n"):  # the flip made a line break: what follows is out of place
        assert set(good) <= set(others)
    else:
        assert good == others
        assert [number for number, _ in bad] == [row + 1]


@pytest.mark.parametrize(
    ("change", "good", "bad"),
    [
        (lambda x: [x[1], x[0], *x[2:]], [2, 3, 4], [
            (1, "out of place: written as line 2, is now line 1"),
            (2, "out of place: written as line 1, is now line 2")]),
        (lambda x: [*x, x[0]], [0, 1, 2, 3, 4], [
            (6, "out of place: written as line 1, is now line 6")]),
        (lambda x: x[1:], [], [
            (n, f"out of place: written as line {n + 1}, is now line {n}") for n in range(1, 5)]),
        (lambda x: [x[0][:-5], *x[1:]], [1, 2, 3, 4], [(1, "truncated or damaged: no JSON")]),
        (lambda x: [x[0].replace(b'"r"', b'"s"'), *x[1:]], [1, 2, 3, 4], [
            (1, "edited by hand or damaged: its check does not match")]),
    ],
    ids=["swapped", "doubled", "first-removed", "cut", "edited"],
)  # fmt: skip
def test_each_damage_is_named_by_line_and_reason(tmp_path: Path, change, good, bad) -> None:
    path = log_of(tmp_path)
    path.write_bytes(b"\n".join(change(path.read_bytes().splitlines())) + b"\n")
    assert numbers(path) == (good, bad)


def test_a_line_of_another_form_is_named_with_what_is_wrong(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'{"line":1,"check":"0123456789abcdef","text":"r","number":"many"}\n')
    (reason,) = [reason for _, reason in numbers(path)[1]]
    assert reason.startswith("breaks the form: ")


def test_a_key_that_is_there_already_is_not_written_again(tmp_path: Path) -> None:
    path = log_of(tmp_path, 3)
    before = path.read_bytes()
    assert write(path, *(Note(text="r", number=number) for number in range(3))) == []
    assert path.read_bytes() == before
    (added,) = write(path, Note(text="r", number=1), Note(text="r", number=7))
    assert (added.number, added.line) == (7, 4)


def test_a_damaged_line_does_not_stop_its_key_from_being_written_again(tmp_path: Path) -> None:
    path = log_of(tmp_path, 3)
    path.write_bytes(path.read_bytes().replace(b'"number":1', b'"number":8'))
    (added,) = write(path, Note(text="r", number=1))
    assert added.line == 4
    assert numbers(path)[0] == [0, 2, 1]


def test_intact_lines_of_another_log_are_listed_with_the_log_they_belong_to(
    tmp_path: Path,
) -> None:
    path = log_of(tmp_path)
    good, bad = checksummed_log.read(
        path, Note, key, lambda note: "odd.jsonl" if note.number % 2 else None
    )
    assert [note.number for note in good] == [0, 2, 4]
    assert [(line.number, line.reason) for line in bad] == [
        (2, "belongs to odd.jsonl"), (4, "belongs to odd.jsonl")
    ]  # fmt: skip


def test_a_log_that_cannot_be_written_is_left_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").mkdir()
    with pytest.raises(StorageError, match="Cannot write"):
        write(tmp_path / "a.jsonl", Note(text="r", number=1))
    assert list((tmp_path / "a.jsonl").iterdir()) == []


FULL = """
import resource, signal, sys
from pathlib import Path
from tests.test_checksummed_log import Note, write
from vision_ai.errors import StorageError

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
path = Path(sys.argv[1])
resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + 50, -1))
try:
    write(path, Note(text="x" * 500, number=99))
except StorageError as error:
    print(error)
"""


def test_a_line_that_does_not_fit_on_the_disk_leaves_no_part(tmp_path: Path) -> None:
    path = log_of(tmp_path)
    before = path.read_bytes()
    done = subprocess.run(
        [sys.executable, "-c", FULL, str(path)],
        cwd=Path(__file__).parents[1], capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert "the file would be too large" in done.stdout
    assert path.read_bytes() == before


def test_an_intact_line_with_the_key_of_an_earlier_one_is_named_as_its_repeat(
    tmp_path: Path,
) -> None:
    path = log_of(tmp_path, 2)
    other = tmp_path / "b.jsonl"
    write(other, Note(text="s", number=5), Note(text="r", number=0))
    own, spliced = path.read_bytes().splitlines()[0], other.read_bytes().splitlines()[1]
    path.write_bytes(own + b"\n" + spliced + b"\n")
    assert numbers(path) == ([0], [(2, "repeats line 1")])
