"""Search by words and by a chart, with the shipped model and its exemplars."""

import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vision_ai.cli.app import run
from vision_ai.config import Paths
from vision_ai.domain import Horizon, Interval, parse_time
from vision_ai.market.replay.listing import Listing
from vision_ai.market.replay.server import Clock, Replay
from vision_ai.market.simulate import simulate
from vision_ai.model import registry, vocabulary
from vision_ai.model.embed import Embedder
from vision_ai.model.registry import SHIPPED
from vision_ai.pipeline import index
from vision_ai.pipeline.lookup import Originals

pytestmark = pytest.mark.skipif(
    not (SHIPPED / "manifest.json").exists(), reason="no model is shipped in this checkout"
)

NOW = "2025-06-15T12:00:00Z"


@pytest.fixture(autouse=True)
def empty_data(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("VISION_AI_DATA", str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path)


def found(capsys, *arguments: str) -> list[dict]:
    assert run(["search", *arguments, "--json"]) == 0
    return json.loads(capsys.readouterr().out)["found"]


@pytest.mark.parametrize(
    ("words", "setups", "direction"),
    [
        ("failed breakout at the top of a range", {"fakeout", "trap"}, "short"),
        ("a pullback in a strong markup", {"pullback"}, "long"),
        ("breakout above the range on high volume", {"breakout", "breakout-continuation"}, "long"),
    ],
)
def test_words_find_charts_that_the_rule_book_calls_so(capsys, words, setups, direction) -> None:
    charts = found(capsys, words, "--k", "8")
    assert len(charts) == 8
    assert sum(chart["setup"] in setups for chart in charts) >= 5
    assert sum(chart["direction"] == direction for chart in charts) >= 5
    similar = [chart["similarity"] for chart in charts]
    assert similar == sorted(similar, reverse=True)
    assert all(set(chart["moves"]) == {"2h", "6h"} for chart in charts)


def test_filters_hold(capsys) -> None:
    symbol = found(capsys, "range", "--k", "1")[0]["symbol"]
    charts = found(capsys, "range", "--symbol", symbol, "--interval", "1h", "--k", "3")
    assert {(chart["symbol"], chart["interval"]) for chart in charts} == {(symbol, "1h")}


def test_nonsense_and_nothing_are_refused(capsys) -> None:
    for arguments, code in [
        (["zzzz qqqq"], 2),
        ([], 2),
        (["range", "--like", "BTCUSDT"], 2),
        (["range", "--symbol", "NOSUCHUSDT"], 3),
    ]:
        assert run(["search", *arguments]) == code
        shown = capsys.readouterr()
        assert shown.out == ""
        assert "Traceback" not in shown.err


def test_an_unknown_word_is_named(capsys) -> None:
    assert run(["search", "pullback of dogecoin", "--k", "1"]) == 0
    assert "not understood: dogecoin" in capsys.readouterr().out


def test_unknown_words_are_told_once_as_they_were_written() -> None:
    known = vocabulary.build(["a", "range"])
    assert vocabulary.unknown_words(known, "A FooBar range foobar FooBar") == ["FooBar", "foobar"]


def test_look_alikes_of_a_symbol_are_known_before_it_and_drawn(
    tmp_path, monkeypatch, capsys
) -> None:
    end_ms = parse_time(NOW)
    market = simulate("AAAUSDT", Interval.M5, 6 * 288, seed=1, end_ms=end_ms)
    sheet = tmp_path / "likes.png"
    with Replay(Listing.from_klines("simulated", [market]), Clock(end_ms, frozen=True)) as server:
        monkeypatch.setenv("VISION_AI_BYBIT_URL", server.url)
        charts = found(capsys, "--like", "AAAUSDT", "--interval", "1h", "--sheet", str(sheet))
    assert len(charts) == 8
    assert {chart["interval"] for chart in charts} == {"1h"}
    assert all(chart["as_of"] < NOW for chart in charts)
    assert Image.open(io.BytesIO(sheet.read_bytes())).size[1] == 300  # the query alone


def test_originals_are_found_by_time_and_volatility(tmp_path) -> None:
    model = registry.resolve(Paths(tmp_path))
    market = simulate("AAAUSDT", Interval.M15, 400, seed=1, end_ms=parse_time(NOW))
    other = simulate("AAAUSDT", Interval.M15, 400, seed=2, end_ms=parse_time(NOW))
    rows = index._embedded(Embedder(model), market, 40)[0]
    originals = Originals.find(rows, [other, market])
    assert originals.found.tolist() == list(range(len(rows)))
    bars = originals.bars(np.arange(len(rows)))
    assert (bars[:, -1, 3] == market.bars[np.isin(market.open_ms, rows.last_ms), 3]).all()
    after = originals.with_after(0, Horizon.H6)
    assert len(after) == 96 + 24
    assert Originals.find(rows, [other]).found.tolist() == []


def test_no_words_at_all_are_asked_for(capsys) -> None:
    for words in ("", "  "):
        assert run(["search", words]) == 2
        assert "There are no words to search for" in capsys.readouterr().err
