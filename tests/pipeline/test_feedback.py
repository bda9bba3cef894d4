"""One pass of the feedback loop, and the review of its logs, through one workspace."""

import json
import os
from pathlib import Path

import pytest

from tests.feedback.examples import line, prediction
from tests.market.replays import NOW, candles, config, replay
from vision_ai import storage
from vision_ai.config import Config, Paths
from vision_ai.domain import CLOSE, Horizon, iso
from vision_ai.errors import ExchangeUnavailableError, InputError, IntervalError, SymbolError
from vision_ai.feedback import journal
from vision_ai.pipeline import feedback
from vision_ai.pipeline.workspace import Workspace

AS_OF = NOW // 900_000 * 900_000 - 8 * 3_600_000
VENUE = "simulated-7-linear"


@pytest.fixture
def workspace(tmp_path: Path):
    with (
        replay() as server,
        Workspace(Config(market=config(server)), Paths(tmp_path)) as opened,
    ):
        yield opened


def write(
    workspace: Workspace, as_of_ms: int = AS_OF, symbol: str = "BTCUSDT", venue: str = VENUE
) -> Path:
    """A prediction on disk, made at the price that the market had then."""
    (market,) = (k for k in candles() if k.symbol == symbol)
    close = float(market.until(as_of_ms).bars[-1, CLOSE])
    call = prediction(symbol=symbol, as_of_ms=as_of_ms, close=close, venue=venue)
    path = workspace.paths.prediction(symbol, as_of_ms)
    storage.write_document(path, call)
    return path


def test_every_horizon_that_is_over_gets_one_line(workspace: Workspace) -> None:
    write(workspace)
    result = feedback.run(workspace)
    assert [row.horizon for row in result.written] == [Horizon.H2, Horizon.H6]
    assert result.now == iso(NOW)
    assert result.waiting == {}
    assert result.fetches == 1
    lines, bad = journal.read_logs(workspace.paths)
    assert (len(lines), bad) == (2, [])


def test_a_second_pass_writes_and_asks_for_nothing(workspace: Workspace) -> None:
    write(workspace)
    feedback.run(workspace)
    again = feedback.run(workspace)
    assert again.written == []
    assert again.fetches == 0


def test_horizons_that_are_not_over_are_left_to_a_later_pass(workspace: Workspace) -> None:
    write(workspace, AS_OF + 5 * 3_600_000)
    write(workspace, AS_OF + 5 * 3_600_000, symbol="ETHUSDT")
    result = feedback.run(workspace)
    assert [(row.symbol, row.horizon) for row in result.written] == [
        ("BTCUSDT", Horizon.H2),
        ("ETHUSDT", Horizon.H2),
    ]
    assert result.waiting == {}
    assert len(journal.prediction_files(workspace.paths)) == 2


def test_nothing_was_predicted_yet(workspace: Workspace) -> None:
    result = feedback.run(workspace)
    assert (result.written, result.waiting, result.fetches) == ([], {}, 0)


def test_a_prediction_from_another_exchange_waits_with_the_cure(workspace: Workspace) -> None:
    write(workspace, venue="bybit-linear")
    result = feedback.run(workspace)
    assert result.written == []
    (reason,) = result.waiting
    assert "was predicted from bybit-linear: this exchange is simulated-7-linear" in reason
    assert result.waiting[reason] == 2


def test_a_damaged_prediction_is_missing_and_the_others_are_resolved(workspace: Workspace) -> None:
    write(workspace)
    damaged = write(workspace, symbol="ETHUSDT")
    os.truncate(damaged, 200)
    result = feedback.run(workspace)
    assert {row.symbol for row in result.written} == {"BTCUSDT"}
    assert len(result.missing) == 1
    assert damaged.name in json.dumps(result.payload()["missing"])
    assert len(result.not_counted) == 1
    assert result.bad_lines == 0


def test_damaged_lines_are_counted_and_worked_out_again(workspace: Workspace) -> None:
    write(workspace)
    feedback.run(workspace)
    path = workspace.paths.feedback("BTCUSDT", AS_OF)
    content = path.read_text().splitlines(keepends=True)
    path.write_text("no line\n" + content[1])
    result = feedback.run(workspace)
    assert [row.horizon for row in result.written] == [Horizon.H2]
    assert result.bad_lines == 1
    assert "bad_lines" not in result.payload()


def test_an_exchange_that_is_down_is_for_later_and_writes_nothing(tmp_path: Path) -> None:
    with replay() as server:
        settings = Config(market=config(server, attempts=1))
    with Workspace(settings, Paths(tmp_path)) as workspace:
        write(workspace)
        with pytest.raises(ExchangeUnavailableError):
            feedback.run(workspace)
        assert not workspace.paths.feedback_logs.exists()


@pytest.fixture
def reviewed(tmp_path: Path) -> Workspace:
    """Logs of two symbols, a day apart; no exchange is asked for a review."""
    workspace = Workspace(Config(), Paths(tmp_path), connect=None)  # type: ignore[arg-type]
    for symbol, as_of_ms in (("BTCUSDT", AS_OF), ("ETHUSDT", AS_OF - 86_400_000)):
        rows = [
            line(symbol=symbol, as_of_ms=as_of_ms, horizon=horizon, success=horizon is Horizon.H2)
            for horizon in Horizon
        ]
        journal.append(workspace.paths, rows)
    return workspace


def test_a_review_counts_every_line(reviewed: Workspace) -> None:
    result = feedback.review(reviewed)
    assert result.review.lines == 4
    assert result.review.predictions == 2
    assert result.report is None
    assert result.missing == {}


@pytest.mark.parametrize(
    ("filters", "lines"),
    [
        ({"symbols": ["btcusdt"]}, 2),
        ({"symbols": ["BTCUSDT", "ETHUSDT"]}, 4),
        ({"symbols": ["SOLUSDT"]}, 0),
        ({"since": iso(AS_OF)}, 2),
        ({"until": iso(AS_OF)}, 2),
        ({"since": iso(AS_OF - 86_400_000), "until": iso(AS_OF + 1000)}, 4),
        ({"interval": "15m"}, 4),
        ({"interval": "1h"}, 0),
    ],
    ids=str,
)
def test_filters_keep_the_lines_that_they_name(reviewed: Workspace, filters, lines: int) -> None:
    assert feedback.review(reviewed, **filters).review.lines == lines


@pytest.mark.parametrize(
    ("filters", "error", "text"),
    [
        ({"symbols": ["../x"]}, SymbolError, "../x"),
        ({"since": "yesterday"}, InputError, "yesterday"),
        ({"interval": "5m"}, IntervalError, "5m"),
        ({"since": "2025-02-01", "until": "2025-01-01"}, InputError, "is not before --to"),
        ({"since": "2025-02-01", "until": "2025-02-01"}, InputError, "2025-02-01T00:00:00Z"),
    ],
    ids=str,
)
def test_filters_that_cannot_be_are_refused_by_value(
    reviewed: Workspace, filters, error: type[InputError], text: str
) -> None:
    with pytest.raises(error) as refusal:
        feedback.review(reviewed, **filters)
    assert text in str(refusal.value)


def test_a_report_is_a_page_with_its_plots_beside_it(reviewed: Workspace, tmp_path: Path) -> None:
    folder = tmp_path / "report"
    result = feedback.review(reviewed, report=folder)
    assert result.report is not None
    page = Path(result.report)
    assert page.parent == folder
    plots = list(folder.rglob("*.svg"))
    assert plots
    assert all(plot.name in page.read_text() for plot in plots)
    assert "report" not in result.payload()


def test_a_report_of_nothing_is_written_too(tmp_path: Path) -> None:
    result = feedback.review(Workspace(Config(), Paths(tmp_path)), report=tmp_path / "report")
    assert result.review.lines == 0
    assert Path(result.report or "").is_file()
