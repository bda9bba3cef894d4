"""Errors: sorted by who has to act, each with a sentence and what to do next."""

import inspect

import pytest

from vision_ai import errors
from vision_ai.errors import (
    IncompleteError,
    InputError,
    StateError,
    TransientError,
    VisionError,
)

ALL = [
    kind
    for _, kind in inspect.getmembers(errors, inspect.isclass)
    if issubclass(kind, VisionError) and kind is not VisionError
]
EXIT_CODES = {InputError: 2, StateError: 3, TransientError: 4, IncompleteError: 5}


@pytest.mark.parametrize("kind", ALL)
def test_every_error_has_the_exit_code_of_who_must_act(kind: type[VisionError]) -> None:
    (group,) = [group for group in EXIT_CODES if issubclass(kind, group)]
    assert kind("Sentence.").exit_code == EXIT_CODES[group]


@pytest.mark.parametrize("kind", ALL)
def test_the_tree_in_the_docstring_lists_every_error(kind: type[VisionError]) -> None:
    assert errors.__doc__ is not None
    assert kind.__name__ in errors.__doc__


def test_an_error_reads_as_its_sentence_and_its_hint() -> None:
    assert str(InputError("It is wrong.", hint="Correct it.")) == "It is wrong. Correct it."
    assert str(InputError("It is wrong.")) == "It is wrong."
    assert InputError("It is wrong.").hint == ""


def test_a_missing_library_is_named_with_the_command_that_installs_it() -> None:
    error = errors.missing("Training", "train", ImportError("no", name="torch"))
    assert isinstance(error, InputError)
    assert error.message == "Training needs a library that is not installed (torch)."
    assert error.hint.startswith("Run: pip install ")
    assert error.hint.endswith("[train]'")
