"""What an exchange lists, read from replies that may be anything."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vision_ai.errors import ExchangeUnavailableError
from vision_ai.market import instruments

ROW = {
    "symbol": "BTCUSDT", "status": "Trading", "quoteCoin": "USDT",
    "contractType": "LinearPerpetual", "priceFilter": {"tickSize": "0.10"},
}  # fmt: skip


def reply(*rows: object, **result: object) -> dict[str, object]:
    return {"retCode": 0, "result": {"list": list(rows), **result}}


def test_an_instrument_is_read_with_its_tick() -> None:
    listed, cursor = instruments.read_instruments(reply(ROW, nextPageCursor="next"))
    assert cursor == "next"
    found = listed["BTCUSDT"]
    assert (found.status, found.quote, found.tick) == ("Trading", "USDT", 0.1)
    assert found.is_usdt_market


@pytest.mark.parametrize(
    "change",
    [
        {"status": "Closed"}, {"status": ""}, {"quoteCoin": "USDC"},
        {"contractType": "LinearFutures"}, {"contractType": "InversePerpetual"},
    ],
    ids=str,
)  # fmt: skip
def test_other_markets_are_no_usdt_markets(change: dict[str, str]) -> None:
    listed, _ = instruments.read_instruments(reply({**ROW, **change}))
    assert not listed["BTCUSDT"].is_usdt_market


def test_a_spot_pair_without_a_contract_type_is_one() -> None:
    row = {key: value for key, value in ROW.items() if key != "contractType"}
    listed, _ = instruments.read_instruments(reply(row))
    assert listed["BTCUSDT"].is_usdt_market


@pytest.mark.parametrize("symbol", ["BTC-26DEC25", "btcusdt", "", "../x", None, 5, "B" * 31])
def test_odd_symbols_are_passed_over(symbol: object) -> None:
    listed, _ = instruments.read_instruments(reply({**ROW, "symbol": symbol}, ROW))
    assert list(listed) == ["BTCUSDT"]


@pytest.mark.parametrize("tick", [None, "x", "nan", "inf", [], {}])
def test_a_tick_that_is_no_number_is_zero(tick: object) -> None:
    listed, _ = instruments.read_instruments(reply({**ROW, "priceFilter": {"tickSize": tick}}))
    assert listed["BTCUSDT"].tick == 0
    listed, _ = instruments.read_instruments(reply({**ROW, "priceFilter": tick}))
    assert listed["BTCUSDT"].tick == 0


def test_turnover_that_is_no_number_counts_as_none() -> None:
    rows = [
        {"symbol": "AAAUSDT", "turnover24h": "12.5"},
        {"symbol": "BBBUSDT", "turnover24h": "NaN"},
        {"symbol": "CCCUSDT"},
    ]
    assert instruments.read_turnover(reply(*rows)) == {
        "AAAUSDT": 12.5, "BBBUSDT": 0.0, "CCCUSDT": 0.0
    }  # fmt: skip


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (None, "retCode 0"),
        ([], "retCode 0"),
        ({"retCode": 10001}, "retCode 0"),
        ({"retCode": 0}, "expected a result"),
        ({"retCode": 0, "result": []}, "expected a result, was list"),
        ({"retCode": 0, "result": {}}, "expected a list of markets"),
        ({"retCode": 0, "result": {"list": [1]}}, "expected a list of markets"),
        ({"retCode": 0, "result": {"list": [], "nextPageCursor": 7}}, "cursor of text"),
    ],
    ids=str,
)
def test_a_reply_of_another_shape_is_refused(damage: object, words: str) -> None:
    with pytest.raises(ExchangeUnavailableError, match=words):
        instruments.read_instruments(damage)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=6),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["retCode", "result", "list", "symbol", "x"]), inner, max_size=3
            )
        ),
        max_leaves=12,
    )
)
def test_whatever_arrives_is_read_or_refused(content: object) -> None:
    for read in (instruments.read_instruments, instruments.read_turnover):
        with contextlib.suppress(ExchangeUnavailableError):
            read(content)


@pytest.mark.parametrize(
    ("host", "name"),
    [
        ("api.bybit.com", "bybit"), ("API.BYBIT.COM", "bybit"), ("api.bytick.com", "bybit"),
        ("api-testnet.bybit.com", "bybit-testnet"), ("api-demo.bybit.com", "bybit"),
        ("bybit.com", ""), ("notbybit.com", ""),
        ("127.0.0.1", ""), ("", ""),
    ],
)  # fmt: skip
def test_only_bybits_own_hosts_are_bybit(host: str, name: str) -> None:
    assert instruments.bybit_host(host) == name


LISTED = ["BTCUSDT", "ETHUSDT", "1000PEPEUSDT", "SOLUSDT"]


@pytest.mark.parametrize(
    ("symbol", "named"),
    [
        ("BTC", "BTCUSDT"),
        ("PEPEUSDT", "1000PEPEUSDT"),
        ("ETHUSDC", "ETHUSDT"),
        ("SOLUSD", "SOLUSDT"),
    ],
)
def test_the_nearest_listed_symbol_is_suggested_first(symbol: str, named: str) -> None:
    hint = instruments.suggest(symbol, LISTED)
    assert hint.startswith("Did you mean ")
    assert named in hint


def test_nothing_near_means_no_suggestion() -> None:
    assert instruments.suggest("ZZZZZZZZ", LISTED) == "Check the spelling."


def test_at_most_three_symbols_are_suggested() -> None:
    many = [f"AB{letter}USDT" for letter in "ABCDEFGH"]
    assert instruments.suggest("ABXUSDT", many).count(" or ") <= 2


def test_odd_symbols_of_an_exchange_are_left_out() -> None:
    rows = [
        {"symbol": s, "turnover24h": "5"}
        for s in ("BTCUSDT", "BTC-29DEC25", "BTCUSDT ", "btcusdt", "../x", None, 5)
    ]
    reply = {"retCode": 0, "result": {"list": rows}}
    assert instruments.read_turnover(reply) == {"BTCUSDT": 5.0}


@pytest.mark.parametrize("turnover", ["", "NaN", "inf", None, "x"])
def test_an_odd_turnover_counts_as_nothing(turnover: object) -> None:
    rows = [{"symbol": "BTCUSDT", "turnover24h": turnover}]
    assert instruments.read_turnover({"retCode": 0, "result": {"list": rows}}) == {"BTCUSDT": 0.0}
