"""Options as they are typed: refused by name, accepted under their old names."""

from pathlib import Path
from typing import Any

import pytest
import typer

from vision_ai.cli.app import EXIT_CODES, app, run
from vision_ai.errors import VisionError

TREE = typer.main.get_command(app)


def leaves(command: Any, words: tuple[str, ...] = ()) -> list[tuple[tuple[str, ...], Any]]:
    """Every command that can be run, with the words that name it."""
    children = getattr(command, "commands", None)
    if children is None:
        return [(words, command)]
    return [leaf for name, child in children.items() for leaf in leaves(child, (*words, name))]


COMMANDS = dict(leaves(TREE))
PRINTING_NO_RESULT = {("replay",), ("schema",)}
"""They serve, or print JSON anyway."""


@pytest.fixture(autouse=True)
def nowhere(tmp_path: Path, monkeypatch) -> None:
    """An empty data root and an exchange that does not answer."""
    monkeypatch.setenv("VISION_AI_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("VISION_AI_BYBIT_URL", "http://127.0.0.1:9")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "vision_ai.toml").write_text("[market]\nattempts = 1\n")


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_every_command_prints_json_and_says_what_it_is_for(words: tuple[str, ...]) -> None:
    command = COMMANDS[words]
    options = {name for parameter in command.params for name in parameter.opts}
    assert ("--json" in options) == (words not in PRINTING_NO_RESULT)
    assert command.help
    assert "Example" in command.help


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_every_command_has_help_and_refuses_an_unknown_option(words, capsys) -> None:
    assert run([*words, "--help"]) == 0
    assert "Usage" in capsys.readouterr().out
    assert run([*words, "--no-such-option"]) == 2
    shown = capsys.readouterr()
    assert "--no-such-option" in shown.err
    assert shown.out == ""


def test_old_names_are_hidden_but_still_there() -> None:
    assert COMMANDS["rehearse",].hidden
    assert not COMMANDS["simulate",].hidden
    for words in (("simulate",), ("rehearse",), ("feedback", "update")):
        old = {name: p for p in COMMANDS[words].params for name in p.opts}
        assert old["--rung"].hidden
        assert not old["--mode"].hidden


@pytest.mark.parametrize("option", ["--mode", "--rung"])
@pytest.mark.parametrize("command", [["feedback", "update"], ["simulate", "--klines", "."]])
def test_a_mode_that_does_not_exist_is_refused_by_value(command, option, capsys) -> None:
    assert run([*command, option, "reweigth"]) == 2
    assert "reweigth" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["scan", "--top", "0"], "--top"),
        (["scan"], "--top N"),
        (["scan", "BTCUSDT", "--all"], "only one"),
        (["fetch"], "symbols or --top N"),
        (["fetch", "BTCUSDT", "--top", "3"], "symbols or --top N"),
        (["fetch", "BTCUSDT", "--from", "soon"], "soon"),
        (["snapshot", "BTCUSDT", "--interval", "7m"], "7m"),
        (["snapshot", "BTCUSDT", "--as-of", "noon"], "noon"),
        (["predict"], "a symbol or --image FILE"),
        (["predict", "BTCUSDT", "--interval", "1h"], "--image FILE"),
        (["predict", "--image", "x.png", "--as-of", "2025-01-01"], "one time"),
        (["predict", "--image", "nowhere.png"], "nowhere.png"),
        (["decide", "BTC USDT"], "BTC USDT"),
        (["import", "nowhere.csv"], "nowhere.csv"),
        (["import", ".", "--interval", "2h"], "2h"),
        (["import", ".", "--symbol", "../x"], "../x"),
        (["replay", "--klines", "nowhere"], "nowhere"),
        (["replay", "--klines", ".", "--port", "70000"], "--port"),
        (["replay", "--klines", ".", "--faults", "2"], "--faults"),
        (["label", "--klines", "."], "--stats or --contact-sheet"),
        (["label", "--klines", "nowhere", "--stats"], "nowhere"),
        (["label", "--klines", ".", "--contact-sheet", "moon"], "moon"),
        (["search", "range", "--k", "0"], "--k"),
        (["search", "range", "--interval", "5m"], "5m"),
        (["evaluate", "--klines", "nowhere"], "nowhere"),
        (["backtest", "--klines", "nowhere"], "nowhere"),
        (["simulate", "--klines", "nowhere"], "nowhere"),
        (["simulate", "--klines", ".", "--days", "0"], "--days"),
        (["index", "build", "--stride", "0"], "--stride"),
        (["feedback", "review", "--from", "soon"], "soon"),
        (["feedback", "review", "--symbol", "../x"], "../x"),
        (["describe", "--language", "fr", "--dry-run"], "fr"),
        (["describe", "--max-cost", "-1", "--dry-run"], "--max-cost"),
        (["review", "correct", "3f9a01c2"], "--setup, --direction or --phase"),
        (["review", "accept", "3f9a01c2"], "3f9a01c2"),
        (["review", "accept", "no-digits"], "no-digits"),
        (["labels", "export", "labels.xls"], "labels.xls"),
        (["labels", "import", "nowhere.csv"], "nowhere.csv"),
        (["schema", "x" * 300], "x" * 40),
    ],
    ids=lambda value: " ".join(value)[:48] if isinstance(value, list) else "",
)
def test_what_cannot_be_is_named_and_refused(arguments, expected: str, capsys) -> None:
    assert run(arguments) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert expected in shown.err
    assert "Traceback" not in shown.err


@pytest.mark.parametrize(
    "command",
    [
        ["predict", "BTCUSDT"],
        ["scan", "BTCUSDT"],
        ["snapshot", "BTCUSDT"],
        ["decide", "BTCUSDT"],
        ["fetch", "BTCUSDT"],
        ["feedback", "run"],
    ],
    ids=" ".join,
)
def test_an_exchange_that_does_not_answer_is_for_later(command: list[str], capsys) -> None:
    assert run(command) == 4
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "127.0.0.1" in shown.err


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ("[market]\nworker = 2\n", "worker"),
        ("[market]\nworkers = 'two'\n", "workers"),
        ("[nowhere]\n", "nowhere"),
        ("no settings", "vision_ai.toml"),
    ],
)
def test_settings_that_cannot_be_are_named(tmp_path: Path, settings, expected, capsys) -> None:
    (tmp_path / "vision_ai.toml").write_text(settings)
    assert run(["models", "list"]) == 2
    assert expected in capsys.readouterr().err


def kinds(base: type[VisionError] = VisionError) -> list[type[VisionError]]:
    return [kind for child in base.__subclasses__() for kind in (child, *kinds(child))]


def test_every_exit_code_is_documented() -> None:
    documented = {int(word) for word in EXIT_CODES.replace(";", " ").split() if word.isdigit()}
    ours = {kind.exit_code for kind in kinds() if kind.__module__ == "vision_ai.errors"}
    assert ours <= documented
    assert documented == {0, 2, 3, 4, 5, 130}


def test_the_version_is_printed(capsys) -> None:
    from vision_ai import __version__

    assert run(["--version"]) == 0
    assert capsys.readouterr().out == f"vision-ai {__version__}\n"


def test_no_command_at_all_shows_the_help(capsys) -> None:
    run([])
    shown = capsys.readouterr()
    assert "Usage" in shown.out + shown.err
