"""A decision made of the newest candles and the newest prediction of one symbol."""

from pathlib import Path

import pytest

from tests.market.replays import NOW, candles, config, replay, with_gap
from vision_ai.config import Config, Paths
from vision_ai.domain import Interval, iso
from vision_ai.errors import ExchangeUnavailableError, SymbolError
from vision_ai.pipeline import candles as candle_use_cases
from vision_ai.pipeline import decide as use_cases
from vision_ai.pipeline.workspace import Workspace


@pytest.fixture
def workspace(tmp_path: Path):
    with (
        replay() as server,
        Workspace(Config(market=config(server)), Paths(tmp_path)) as opened,
    ):
        yield opened


def test_the_score_is_the_sum_of_its_contributions(workspace: Workspace) -> None:
    result = use_cases.decide(workspace, "btcusdt")
    assert result.symbol == "BTCUSDT"
    assert result.final_score == pytest.approx(sum(result.score_breakdown.values()), abs=1e-3)
    assert result.decision in {"join", "consider", "avoid"}
    assert result.decision_reasons
    assert result.decided_at == iso(NOW)
    assert "decided_at" not in result.payload()


def test_deciding_writes_no_log_of_its_own(workspace: Workspace) -> None:
    use_cases.decide(workspace, "BTCUSDT")
    assert not workspace.paths.decisions.exists()


def test_the_same_candles_give_the_same_decision(workspace: Workspace) -> None:
    first = use_cases.decide(workspace, "BTCUSDT")
    assert use_cases.decide(workspace, "BTCUSDT") == first


def test_candles_of_later_than_the_clock_change_nothing(workspace: Workspace) -> None:
    klines = candles()[0].resample(Interval.M15)
    assert int(klines.close_ms[-1]) > NOW
    whole = use_cases.weigh(workspace, klines, NOW)
    assert use_cases.weigh(workspace, klines.until(NOW), NOW) == whole
    later = use_cases.weigh(workspace, klines, NOW + 6 * 3_600_000)
    assert later["score_breakdown"] != whole["score_breakdown"]


def test_finer_candles_are_decided_on_as_quarter_hours(workspace: Workspace) -> None:
    fine = candles()[0].until(NOW)
    coarse = use_cases.weigh(workspace, fine.resample(Interval.M15), NOW)
    assert use_cases.weigh(workspace, fine, NOW) == coarse


@pytest.mark.parametrize("symbol", ["../x", "", "BTC USDT", "X" * 31])
def test_a_hostile_symbol_is_refused_before_the_exchange_is_asked(
    tmp_path: Path, symbol: str
) -> None:
    def connect(market: object) -> object:
        raise AssertionError(market)

    with pytest.raises(SymbolError):
        use_cases.decide(Workspace(Config(), Paths(tmp_path), connect=connect), symbol)  # type: ignore[arg-type]


def test_a_symbol_that_is_not_listed_is_named(workspace: Workspace) -> None:
    with pytest.raises(SymbolError, match="does not list NOPEUSDT"):
        use_cases.decide(workspace, "NOPEUSDT")
    assert not workspace.paths.decisions.exists()


def test_an_exchange_that_is_down_is_for_later(tmp_path: Path) -> None:
    with replay() as server:
        settings = Config(market=config(server, attempts=1))
    with (
        Workspace(settings, Paths(tmp_path)) as workspace,
        pytest.raises(ExchangeUnavailableError),
    ):
        use_cases.decide(workspace, "BTCUSDT")


def test_an_old_gap_keeps_no_decision_back(tmp_path: Path) -> None:
    klines = candles()[0]
    end = len(klines.until(NOW))
    with (
        replay(with_gap(klines, end - 1100, end - 1080)) as server,
        Workspace(Config(market=config(server)), Paths(tmp_path)) as workspace,
    ):
        since_ms = NOW - candle_use_cases.history_ms(workspace)
        assert int(klines.open_ms[end - 1100]) > since_ms
        assert use_cases.decide(workspace, "BTCUSDT").decision in {"join", "consider", "avoid"}
