"""What `--json` prints is what `vision-ai schema` says it is, command by command."""

import json
import re
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from tests.labels.openai_server import OpenAiServer
from tests.markets import candles
from vision_ai.cli.app import run
from vision_ai.config import Paths
from vision_ai.market.store import Store
from vision_ai.model.registry import SHIPPED
from vision_ai.pipeline import schemas

FOLDER = "klines"
ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.skipif(
    not (SHIPPED / "manifest.json").exists(), reason="no model is shipped in this checkout"
)


def printed(capsys) -> Any:
    return json.loads(capsys.readouterr().out)


def schema_of(name: str, capsys) -> dict[str, Any]:
    assert run(["schema", name]) == 0
    schema = printed(capsys)
    jsonschema.Draft202012Validator.check_schema(schema)
    return schema


@pytest.fixture(scope="module")
def stored(tmp_path_factory) -> Path:
    """A folder of candles."""
    root = tmp_path_factory.mktemp("stored")
    Store(Paths(root), "simulated").add(candles("AAAUSDT", 0))
    return next(root.rglob("*.parquet"))


@pytest.fixture
def desk(server, stored: Path, tmp_path: Path) -> Path:
    """An empty data root on a simulated exchange, the shipped model, and a folder of candles."""
    (tmp_path / FOLDER).mkdir()
    (tmp_path / FOLDER / stored.name).write_bytes(stored.read_bytes())
    return tmp_path


MANIFEST = SHIPPED / "manifest.json"
SHIPPED_VERSION = json.loads(MANIFEST.read_text())["version"] if MANIFEST.exists() else ""

COMMANDS = [
    ("snapshot-result", ["snapshot", "AAAUSDT", "--interval", "1h"]),
    ("predict-result", ["predict", "AAAUSDT"]),
    ("scan-result", ["scan", "AAAUSDT", "BBBUSDT", "--no-charts"]),
    ("decide-result", ["decide", "AAAUSDT"]),
    ("fetch-result", ["fetch", "AAAUSDT"]),
    ("import-result", ["import", FOLDER]),
    ("feedback-run-result", ["feedback", "run"]),
    ("feedback-review-result", ["feedback", "review"]),
    ("feedback-update-result", ["feedback", "update"]),
    ("index-result", ["index", "show"]),
    ("index-result", ["index", "build"]),
    ("models-list-result", ["models", "list"]),
    ("models-show-result", ["models", "show"]),
    ("models-diff-result", ["models", "diff", "current", "current"]),
    ("models-promote-result", ["models", "promote", SHIPPED_VERSION]),
    ("search-result", ["search", "--like", "AAAUSDT"]),
    ("label-stats-result", ["label", "--klines", FOLDER, "--stats"]),
    ("label-sheet-result", ["label", "--klines", FOLDER, "--contact-sheet", "none"]),
    ("review-next-result", ["review", "next"]),
    ("review-stats-result", ["review", "stats"]),
    ("labels-export-result", ["labels", "export", "labels.csv"]),
    ("describe-dry-run-result", ["describe", "--dry-run", "--klines", FOLDER, "--limit", "3"]),
    ("describe-report-result", ["describe", "--report"]),
]


ELSEWHERE = {
    "backtest-result": "tests/pipeline/backtest/test_trade.py",
    "demo-result": "tests/pipeline/test_demo.py",
    "describe-batch-result": "tests/cli/test_schemas.py",
    "describe-result": "tests/cli/test_schemas.py",
    "doctor-result": "tests/cli/test_schemas.py",
    "evaluate-result": "tests/pipeline/test_evaluate.py",
    "labels-import-result": "tests/cli/test_schemas.py",
    "predict-image-result": "tests/cli/test_schemas.py",
    "review-result": "tests/cli/test_schemas.py",
    "simulate-result": "tests/pipeline/backtest/test_simulate.py",
    "train-result": "tests/pipeline/test_schemas.py",
}
"""Results that a test of its own checks."""


def test_the_output_of_every_command_is_checked_against_its_schema() -> None:
    assert {name for name, _ in COMMANDS} | set(ELSEWHERE) == set(schemas.RESULTS)
    for name, file in ELSEWHERE.items():
        text = (ROOT / file).read_text().replace('"', "'")
        checks = re.findall(r"(?:schema|schema_of|is_valid)\(\s*'([\w-]+)'", text)
        assert name in checks, f"{file} does not check {name}"


@pytest.mark.parametrize(("name", "command"), COMMANDS, ids=lambda value: str(value)[:40])
def test_json_is_as_its_schema_says(desk: Path, name: str, command: list[str], capsys) -> None:
    schema = schema_of(name, capsys)
    assert run([*command, "--json"]) == 0
    content = printed(capsys)
    jsonschema.validate(content, schema)
    assert list(content)[-1] == "missing"
    # the schema names every key, so that a client can rely on it
    assert set(content) <= set(schema["properties"])


@pytest.mark.slow
def test_a_picture_is_read_as_its_schema_says(desk: Path, capsys) -> None:
    assert run(["snapshot", "AAAUSDT", "--interval", "1h"]) == 0
    picture = capsys.readouterr().out.strip()
    assert run(["predict", "--image", picture, "--json"]) == 0
    jsonschema.validate(printed(capsys), schema_of("predict-image-result", capsys))


def test_what_is_missing_is_named_in_json_too(desk: Path, capsys) -> None:
    assert run(["scan", "AAAUSDT", "NOPEUSDT", "--no-charts", "--json"]) == 5
    content = printed(capsys)
    jsonschema.validate(content, schema_of("scan-result", capsys))
    assert list(content["missing"]) == ["NOPEUSDT"]
    assert list(content["predictions"]) == ["AAAUSDT"]


def test_doctor_prints_its_checks_even_where_one_fails(desk: Path, capsys) -> None:
    schema = schema_of("doctor-result", capsys)
    code = run(["doctor", "--json"])
    content = printed(capsys)
    jsonschema.validate(content, schema)
    assert content["ok"] == (code == 0)


@pytest.mark.slow
def test_a_correction_and_an_import_are_as_their_schemas_say(desk: Path, capsys) -> None:
    assert run(["predict", "AAAUSDT"]) == 0
    capsys.readouterr()
    assert run(["review", "next", "--json"]) == 0
    cases = printed(capsys)["cases"]
    if not cases:
        pytest.skip("no chart waits for a person")
    digest = cases[0]["digest"][:12]
    assert run(["review", "correct", digest, "--phase", "range", "--who", "anna", "--json"]) == 0
    jsonschema.validate(printed(capsys), schema_of("review-result", capsys))
    assert run(["labels", "export", "labels.csv"]) == 0
    capsys.readouterr()
    assert run(["labels", "import", "labels.csv", "--who", "anna", "--json"]) == 0
    content = printed(capsys)
    jsonschema.validate(content, schema_of("labels-import-result", capsys))
    assert content["added"] == 0
    assert content["known"] == 1


@pytest.mark.slow
@pytest.mark.parametrize("is_batch", [False, True])
def test_descriptions_are_as_their_schemas_say(
    desk: Path, is_batch: bool, monkeypatch, capsys
) -> None:
    pytest.importorskip("openai")
    (desk / "vision_ai.toml").write_text("[gpt]\npoll_s = 0.05\n")
    one, many = schema_of("describe-result", capsys), schema_of("describe-batch-result", capsys)
    with OpenAiServer() as openai:
        for variable, value in openai.environ.items():
            monkeypatch.setenv(variable, value)
        command = ["describe", "--klines", FOLDER, "--limit", "2", "--json"]
        assert run([*command, "--batch"] if is_batch else command) == 0
    content = printed(capsys)
    jsonschema.validate(content, many if is_batch else one)
    assert list(content)[-1] == "missing"


def test_every_schema_is_listed_and_valid(capsys) -> None:
    assert run(["schema"]) == 0
    names = capsys.readouterr().out.split()
    assert names == schemas.names()
    for name in names:
        assert schema_of(name, capsys)["type"] == "object"


def test_an_unknown_schema_is_refused_with_all_names(capsys) -> None:
    assert run(["schema", "predictions"]) == 2
    message = capsys.readouterr().err
    assert "'predictions' is not known" in message
    assert "scan-result" in message


def test_every_result_class_has_a_schema() -> None:
    published = set(schemas.RESULTS.values())
    returned = {
        value
        for name, module in sys.modules.items()
        if name.startswith("vision_ai.pipeline.")
        for value in vars(module).values()
        if isinstance(value, type)
        and value.__name__.endswith("Result")
        and value.__module__ == name
        and value.__name__ != "Result"
    }
    assert {kind.__name__ for kind in returned - published} == set()
