import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest
import typer

import vision_ai
from vision_ai.cli.app import app, run

ROOT = Path(__file__).parents[1]
HEAVY = (
    "torch",
    "open_clip",
    "faiss",
    "onnxruntime",
    "matplotlib",
    "mplfinance",
    "pybit",
    "openai",
)


def commands(tree: object, words: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    found = [words]
    for name, command in getattr(tree, "commands", {}).items():
        found += commands(command, (*words, name))
    return found


TREE = [words for words in commands(typer.main.get_command(app)) if words]


@pytest.mark.parametrize(
    "code", ["import vision_ai", "from vision_ai.cli import app; app.run(['--help'])"]
)
def test_start_loads_no_heavy_library(code: str) -> None:
    probe = f"import sys; {code}; sys.exit(','.join(m for m in {HEAVY!r} if m in sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", probe], capture_output=True, text=True, check=False
    )
    assert done.stderr.strip() == ""


def test_the_version_stands_in_one_place() -> None:
    declared = re.search(r'^version = "(.+)"', (ROOT / "pyproject.toml").read_text(), re.M)
    changed = re.search(r"^## \[(\d.+?)\]", (ROOT / "CHANGELOG.md").read_text(), re.M)
    assert declared is not None
    assert changed is not None
    assert declared[1] == changed[1] == vision_ai.__version__


def test_the_tree_in_the_readme_is_the_tree_on_disk() -> None:
    block = re.search(r"```text\nvision_ai/\n(.*?)```", (ROOT / "README.md").read_text(), re.S)
    assert block is not None
    named = set(re.findall(r"\w+\.py\b|\b\w+/(?=\s)", block[1]))
    package = ROOT / "vision_ai"
    modules = {path.name for path in package.glob("*.py")} - {"__init__.py"}
    folders = {f"{path.name}/" for path in package.iterdir() if (path / "__init__.py").exists()}
    assert named == modules | folders


@pytest.mark.parametrize("words", TREE, ids=" ".join)
def test_every_command_stands_in_the_docs(words: tuple[str, ...]) -> None:
    assert f"## vision-ai {' '.join(words)}\n" in (ROOT / "docs" / "cli.md").read_text()


@pytest.mark.parametrize("path", sorted((ROOT / "vision_ai").rglob("*.py")), ids=str)
def test_every_module_says_what_it_is(path: Path) -> None:
    tree = ast.parse(path.read_text())
    assert ast.get_docstring(tree), f"{path} has no docstring"


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["predict", "../../x"], 2),
        (["predict", "BTC USDT"], 2),
        (["predict", "X" * 300], 2),
        (["predict", ""], 2),
        (["predict"], 2),
        (["predict", "BTCUSDT", "--interval", "1h"], 2),
        (["predict", "--image", "a.png", "--as-of", "2025-01-01"], 2),
        (["snapshot", "BTCUSDT", "--interval", "5m"], 2),
        (["scan"], 2),
        (["scan", "--all", "--top", "3"], 2),
        (["predict", "BTCUSDT", "--as-of", "yesterday"], 2),
        (["nonsense"], 2),
        (["label", "--klines", "/nowhere", "--stats"], 2),
        (["models", "show", "../../etc"], 3),
        (["schema", "nothing"], 2),
    ],
    ids=lambda value: " ".join(value)[:40] if isinstance(value, list) else str(value),
)
def test_bad_arguments_leave_with_their_code_and_one_sentence(
    arguments: list[str], code: int, tmp_path: Path, monkeypatch, capsys
) -> None:
    monkeypatch.setenv("VISION_AI_DATA", str(tmp_path))
    monkeypatch.setenv("VISION_AI_BYBIT_URL", "http://127.0.0.1:9")
    assert run(arguments) == code
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "Traceback" not in shown.err
    assert len(shown.err) < 1500


def test_every_law_names_tests_that_exist() -> None:
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", (ROOT / "docs" / "laws.md").read_text())
    assert len(named) >= 15
    assert [name for path, name in named if f"def {name}(" not in (ROOT / path).read_text()] == []
