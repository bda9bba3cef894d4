"""The prediction of candles that never traded: no keys, no network, the same each time."""

import json
from pathlib import Path

import jsonschema
import pytest

from vision_ai.cli.app import run
from vision_ai.config import Paths
from vision_ai.domain import parse_time
from vision_ai.feedback import journal
from vision_ai.model.registry import SHIPPED
from vision_ai.pipeline import demo, schemas

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not (SHIPPED / "manifest.json").exists(), reason="no model is shipped in this checkout"
    ),
]


@pytest.fixture(autouse=True)
def root(tmp_path: Path, monkeypatch) -> Path:
    """A data root, and an exchange that must not be asked."""
    monkeypatch.setenv("VISION_AI_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("VISION_AI_BYBIT_URL", "http://127.0.0.1:9")
    monkeypatch.chdir(tmp_path)
    return tmp_path / "data"


def test_the_demo_prints_what_its_schema_says_and_stores_the_prediction(root: Path, capsys) -> None:
    assert run(["demo", "--json"]) == 0
    content = json.loads(capsys.readouterr().out)
    jsonschema.validate(content, schemas.schema("demo-result"))
    assert content["simulated"] is True
    assert "seed" not in content
    paths = Paths(root)
    path = paths.prediction(demo.SYMBOL, parse_time(demo.NOW))
    assert Path(content["path"]) == path
    stored = journal.read_prediction(path)
    assert stored.symbol == demo.SYMBOL
    assert stored.as_of == demo.NOW
    assert stored.venue == f"simulated-{demo.SEED}-linear"
    assert sorted(stored.intervals) == ["15m", "1h"]
    # a second demo keeps both, the prediction and the pictures
    pictures = {p: p.read_bytes() for p in paths.root.rglob("*.png")}
    assert len(pictures) == 2
    assert run(["demo"]) == 0
    out = capsys.readouterr().out
    assert out.startswith(f"These candles are simulated (seed {demo.SEED})")
    assert {p: p.read_bytes() for p in paths.root.rglob("*.png")} == pictures
    assert journal.read_prediction(path) == stored
