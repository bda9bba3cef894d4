"""`fetch` and `import` as they are typed: what they say and how they exit."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.market.replays import candles, replay
from vision_ai.cli.app import run
from vision_ai.config import Paths
from vision_ai.market.replay.server import Replay
from vision_ai.market.store import Store


@pytest.fixture
def server(tmp_path: Path, monkeypatch) -> Iterator[Replay]:
    with replay() as running:
        monkeypatch.setenv("VISION_AI_BYBIT_URL", running.url)
        monkeypatch.setenv("VISION_AI_DATA", str(tmp_path / "data"))
        monkeypatch.chdir(tmp_path)
        yield running


def test_files_that_were_not_imported_are_named(server, tmp_path, capsys) -> None:
    source = tmp_path / "in"
    good = Store(Paths(source), "bybit-linear")
    good.add(candles()[0][:300])
    path = good.path("BTCUSDT", candles()[0].interval)
    (tmp_path / "bad_ETHUSDT_5m.csv").write_text("no")
    assert run(["import", str(path), str(tmp_path / "bad_ETHUSDT_5m.csv")]) == 5
    shown = capsys.readouterr()
    assert "BTCUSDT" in shown.out
    assert "bad_ETHUSDT_5m.csv" in shown.err
    assert run(["import", str(tmp_path / "a.csv"), str(tmp_path / "b.csv")]) == 5
    assert "a.csv" in capsys.readouterr().err


def test_the_error_of_the_only_symbol_is_the_error_of_the_fetch(server, capsys) -> None:
    assert run(["fetch", "NOSUCHUSDT"]) == 2
    assert "does not list NOSUCHUSDT" in capsys.readouterr().err
    assert run(["fetch", "NOSUCHUSDT", "BTCUSDT"]) == 5
    shown = capsys.readouterr()
    assert "BTCUSDT" in shown.out
    assert "NOSUCHUSDT" in shown.err


def test_a_time_before_all_history_is_the_callers_to_mend(server, capsys) -> None:
    assert run(["snapshot", "BTCUSDT", "--as-of", "1970-01-02"]) == 2
    assert "0 closed candles" in capsys.readouterr().err
    assert run(["snapshot", "BTCUSDT", "--as-of", "0001-01-01T00:00+14:00"]) == 2
    assert "out of range" in capsys.readouterr().err


def test_history_that_lies_ahead_is_the_callers_to_mend(server, capsys) -> None:
    assert run(["fetch", "BTCUSDT", "--from", "2040-01-01"]) == 2
    assert "lies ahead" in capsys.readouterr().err
