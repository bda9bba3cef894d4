"""What all commands share: where results go, and how an incomplete job is reported."""

import io
import json
import logging
import math
import sys

import pytest

from vision_ai.cli.console import (
    configure_logging,
    emit,
    print_json,
    print_lines,
    refuse_if_incomplete,
)
from vision_ai.cli.evidence import split_symbols
from vision_ai.errors import IncompleteError, StorageError
from vision_ai.pipeline.workspace import Result


class Greeting(Result):
    """A result with one field."""

    text: str


@pytest.fixture(autouse=True)
def logging_as_it_was():
    root = logging.getLogger()
    level, handlers = root.level, root.handlers[:]
    yield
    root.setLevel(level)
    root.handlers[:] = handlers


def test_a_result_is_printed_as_lines_or_as_one_json_object(capsys) -> None:
    result = Greeting(text="Grüße", missing={"a": "b"})
    emit(result, ["one", "two"], as_json=False)
    assert capsys.readouterr().out == "one\ntwo\n"
    emit(result, ["one", "two"], as_json=True)
    out = capsys.readouterr().out
    assert json.loads(out) == {"text": "Grüße", "missing": {"a": "b"}}
    assert out.count("\n") == 1
    assert "Grüße" in out  # as it is written, not escaped


def test_nothing_to_say_prints_nothing(capsys) -> None:
    print_lines([])
    assert capsys.readouterr().out == ""


def test_what_json_cannot_hold_is_never_printed(capsys) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        print_json({"value": math.nan})
    assert capsys.readouterr().out == ""


def test_a_closed_output_is_the_users_to_fix(monkeypatch) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    with pytest.raises(StorageError, match="standard output is closed"):
        print_lines(["one"])


def test_results_are_there_at_once(monkeypatch) -> None:
    """A program that reads them line by line must not wait for the end of ours."""
    flushed = []

    class Pipe(io.StringIO):
        def flush(self) -> None:
            flushed.append(self.getvalue())

    monkeypatch.setattr(sys, "stdout", Pipe())
    print_lines(["one"])
    assert flushed == ["one\n"]


def test_a_complete_job_is_no_error() -> None:
    refuse_if_incomplete({})


def test_what_is_missing_is_named_in_order_with_its_reason() -> None:
    with pytest.raises(IncompleteError) as refusal:
        refuse_if_incomplete({"b": "halted", "a": "not listed"}, "not read")
    assert refusal.value.exit_code == 5
    assert str(refusal.value).startswith("2 not read: a: not listed; b: halted")
    assert "run the same command again" in str(refusal.value)


@pytest.mark.parametrize(("most", "rest"), [(None, ""), (5, ""), (3, "; and 2 more."), (1, "4")])
def test_only_the_first_are_named_and_the_rest_is_counted(most: int | None, rest: str) -> None:
    missing = {f"S{number}": "why" for number in range(5)}
    with pytest.raises(IncompleteError) as refusal:
        refuse_if_incomplete(missing, most=most, hint="")
    text = str(refusal.value)
    assert text.startswith("5 not done: ")
    assert text.count("why") == min(most or 5, 5)
    assert rest in text


@pytest.mark.parametrize(("is_verbose", "count"), [(False, 1), (True, 2)])
def test_logs_go_to_stderr_and_details_only_when_asked_for(
    is_verbose: bool, count: int, capsys
) -> None:
    configure_logging(verbose=is_verbose)
    logger = logging.getLogger("vision_ai.test")
    logger.info("a detail")
    logger.warning("a warning")
    shown = capsys.readouterr()
    assert shown.out == ""
    assert len(shown.err.splitlines()) == count


@pytest.mark.parametrize(
    ("texts", "symbols"),
    [
        (None, None),
        ([], None),
        ([""], None),
        ([" , "], None),
        (["AAAUSDT"], ["AAAUSDT"]),
        (["AAAUSDT,BBBUSDT", "CCCUSDT"], ["AAAUSDT", "BBBUSDT", "CCCUSDT"]),
    ],
)
def test_symbols_are_repeated_or_separated_by_commas(texts, symbols) -> None:
    assert split_symbols(texts) == symbols
