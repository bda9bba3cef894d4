"""Faults on purpose: drawn by seed alone, and spoiling replies as they say."""

import json
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vision_ai.errors import ConfigError
from vision_ai.market.replay import faults
from vision_ai.market.replay.faults import ALL, Fault, Faults

REPLY = {"retCode": 0, "result": {"list": [["3", "c"], ["2", "b"], ["1", "a"]]}, "time": 5}


def test_all_means_every_fault_but_the_ban() -> None:
    assert faults.parse_kinds("all") == ALL
    assert set(Fault) - set(ALL) == {Fault.FORBIDDEN}


@given(st.lists(st.sampled_from(list(Fault)), min_size=1, max_size=6))
def test_a_list_of_kinds_is_read_once_each_in_its_order(kinds: list[Fault]) -> None:
    text = " , ".join(kinds)
    assert faults.parse_kinds(text) == tuple(dict.fromkeys(kinds))


def test_kinds_may_be_added_to_all() -> None:
    assert faults.parse_kinds("all,403") == (*ALL, Fault.FORBIDDEN)


@pytest.mark.parametrize("text", ["", "fire", "500,", "500;502", "ALL", "x" * 300])
def test_an_unknown_kind_is_named_with_the_known_ones(text: str) -> None:
    with pytest.raises(ConfigError, match="expected all or some of 10006") as caught:
        faults.parse_kinds(text)
    assert len(caught.value.message) < 300


@pytest.mark.parametrize("rate", [-0.1, 1.1, float("nan"), float("inf")])
def test_a_rate_that_is_no_share_is_refused(rate: float) -> None:
    with pytest.raises(ConfigError, match="expected 0 to 1"):
        faults.faults_at_rate(rate)


@pytest.mark.parametrize("slow_s", [-1, 61, float("nan")])
def test_a_delay_out_of_range_is_refused(slow_s: float) -> None:
    with pytest.raises(ConfigError, match="expected 0 to 60"):
        faults.faults_at_rate(0.5, slow_s=slow_s)


def test_no_request_fails_without_a_rate_or_a_kind() -> None:
    assert all(Faults().draw(f"r{n}") is None for n in range(50))
    assert all(Faults(rate=1.0, kinds=()).draw(f"r{n}") is None for n in range(50))


def test_every_request_fails_at_rate_one_and_kinds_are_drawn_evenly() -> None:
    drawn = [Faults(rate=1.0, seed=3).draw(f"r{n}") for n in range(2800)]
    assert None not in drawn
    for kind in ALL:
        assert 120 < drawn.count(kind) < 290  # 200 expected of each of 14


@given(st.integers(0, 99), st.text(max_size=20))
def test_the_nth_asking_of_a_request_fails_alike_in_every_run(seed: int, request: str) -> None:
    one, other = (faults.faults_at_rate(0.5, seed=seed) for _ in range(2))
    first = [one.draw(request) for _ in range(12)]
    for noise in range(5):
        other.draw(f"another {noise}")
    assert [other.draw(request) for _ in range(12)] == first


def test_threads_draw_what_one_thread_draws() -> None:
    def run(workers: int) -> list[str]:
        drawn: list[Fault | None] = []
        source = faults.faults_at_rate(0.5, seed=2)

        def work() -> None:
            for _ in range(60 // workers):
                drawn.append(source.draw("same"))

        threads = [threading.Thread(target=work) for _ in range(workers)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return sorted(str(fault) for fault in drawn)

    assert run(1) == run(6)


@pytest.mark.parametrize("fault", [Fault.NOT_JSON, Fault.CUT_JSON])
def test_a_spoilt_body_is_no_json(fault: Fault) -> None:
    with pytest.raises(ValueError, match=r"Expecting|Unterminated"):
        json.loads(faults.spoil(fault, REPLY))


def test_the_wrong_shape_is_json_but_no_object() -> None:
    assert isinstance(json.loads(faults.spoil(Fault.WRONG_SHAPE, REPLY)), list)


def test_scrambled_candles_are_out_of_order_and_doubled() -> None:
    reply = json.loads(faults.spoil(Fault.SCRAMBLED, REPLY))
    assert (reply["retCode"], reply["time"]) == (0, 5)
    assert [row[0] for row in reply["result"]["list"]] == ["1", "2", "3", "3"]
    assert REPLY["result"]["list"][0] == ["3", "c"]  # the reply itself is not touched


def test_one_scrambled_candle_is_followed_by_one_without_a_time() -> None:
    single = {"retCode": 0, "result": {"list": [["3", "c"]]}}
    rows = json.loads(faults.spoil(Fault.SCRAMBLED, single))["result"]["list"]
    assert rows == [["3", "c"], ["x", "c"]]


def test_scrambled_markets_begin_with_a_hole() -> None:
    listed = {"retCode": 0, "result": {"list": [{"symbol": "A"}], "category": "spot"}}
    result = json.loads(faults.spoil(Fault.SCRAMBLED, listed))["result"]
    assert result == {"list": [None, {"symbol": "A"}], "category": "spot"}


@pytest.mark.parametrize("result", [{}, {"list": []}, {"timeSecond": "5"}])
def test_a_reply_without_rows_loses_its_list(result: dict[str, object]) -> None:
    assert json.loads(faults.spoil(Fault.SCRAMBLED, {"result": result}))["result"] == {"list": None}


def test_a_request_that_failed_may_be_answered_when_it_is_asked_again() -> None:
    for seed in range(5):
        source = faults.faults_at_rate(0.5, seed=seed)
        drawn = [source.draw("same") for _ in range(40)]
        assert 8 < sum(fault is None for fault in drawn) < 32
