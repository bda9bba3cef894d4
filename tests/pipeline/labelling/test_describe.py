"""Charts described by GPT through a server on this machine: what is asked, paid and said of it."""

import shutil
from collections import Counter
from pathlib import Path

import pytest

from tests.labels.gpt_tasks import config
from tests.labels.openai_server import OpenAiServer, always
from vision_ai.config import Config, Paths
from vision_ai.domain import WINDOW, Interval
from vision_ai.errors import ConfigError, InputError, StateError
from vision_ai.feedback_loop_cv import wilson
from vision_ai.labels.gpt.ledger import Ledger
from vision_ai.labels.gpt.replies import Language, ReplyKind
from vision_ai.market.simulate import simulate
from vision_ai.market.store import Store
from vision_ai.pipeline.labelling import describe, select
from vision_ai.pipeline.labelling.describe import DescribeOptions
from vision_ai.pipeline.labelling.select import ChartSelection
from vision_ai.pipeline.workspace import Workspace

END_MS = 1_740_000_600_000 // 900_000 * 900_000
CHARTS = 4
SELECTION = ChartSelection(intervals=(Interval.M15,))


@pytest.fixture(scope="module")
def drawn(tmp_path_factory) -> Path:
    """Candles of four charts, with their pictures, so that no test draws any."""
    paths = Paths(tmp_path_factory.mktemp("drawn"))
    market = simulate("AAAUSDT", Interval.M15, WINDOW * CHARTS, seed=2, end_ms=END_MS)
    Store(paths, "simulated-1-linear").add(market)
    for task in select.find(Workspace(Config(), paths), SELECTION).tasks:
        task.picture()
    return paths.root


@pytest.fixture
def workspace(drawn: Path, tmp_path: Path) -> Workspace:
    """The same candles and pictures, with a ledger of its own."""
    root = Path(shutil.copytree(drawn, tmp_path / "data"))
    return Workspace(Config(gpt=config(attempts=1)), Paths(root))


def described(workspace: Workspace, server: OpenAiServer, **options: object):
    chosen = DescribeOptions(**options)
    return describe.describe(workspace, SELECTION, chosen, environ=server.environ)


def described_all(workspace: Workspace):
    with OpenAiServer() as server:
        return described(workspace, server)


# Before anything is sent.


def test_an_estimate_sends_nothing_and_needs_no_key(workspace) -> None:
    result = describe.estimate(workspace, SELECTION, DescribeOptions(), in_batch=False)
    assert (result.charts, result.model, result.language) == (CHARTS, "gpt-5-mini", Language.EN)
    assert 0 < result.cost < result.cost_at_worst
    assert not workspace.paths.descriptions.exists()


def test_tokens_are_priced_by_the_settings(workspace) -> None:
    result = describe.estimate(workspace, SELECTION, DescribeOptions(), in_batch=False)
    prices = workspace.config.gpt
    by_hand = result.input_tokens * prices.input_price + result.output_tokens * prices.output_price
    assert result.cost == pytest.approx(by_hand / 1e6, abs=1e-6)


def test_a_batch_costs_its_part_of_the_price(workspace) -> None:
    one, batch = (
        describe.estimate(workspace, SELECTION, DescribeOptions(), in_batch=in_batch)
        for in_batch in (False, True)
    )
    factor = workspace.config.gpt.batch_factor
    assert batch.cost == pytest.approx(one.cost * factor, rel=1e-3)
    assert batch.cost_at_worst == pytest.approx(one.cost_at_worst * factor, rel=1e-3)
    assert batch.input_tokens == one.input_tokens


def test_a_limit_and_a_language_count(workspace) -> None:
    options = DescribeOptions(limit=2, language=Language.PL)
    result = describe.estimate(workspace, SELECTION, options, in_batch=False)
    assert (result.charts, result.language) == (2, Language.PL)


@pytest.mark.parametrize(("text", "expected"), [(None, None), (" DE ", "de"), ("en", "en")])
def test_a_language_is_read_by_its_code(text: str | None, expected: str | None) -> None:
    assert describe.language(text) == expected


def test_an_unknown_language_is_refused_with_those_that_are_known() -> None:
    with pytest.raises(InputError, match="'fr' is not known: expected one of en, ") as refused:
        describe.language("fr")
    assert "pl" in str(refused.value)


# One by one.


def test_each_chart_is_described_once_and_never_paid_for_twice(workspace) -> None:
    with OpenAiServer() as server:
        first = described(workspace, server)
        assert (first.asked_for, first.described, first.requests) == (CHARTS, CHARTS, CHARTS)
        assert (first.stopped, first.missing) == (None, {})
        again = described(workspace, server)
        assert (again.asked_for, again.requests, again.cost) == (0, 0, 0.0)
        assert server.tally()["answered_twice"] == 0
        in_polish = described(workspace, server, language=Language.PL)
        assert in_polish.described == CHARTS
    assert in_polish.ledger.requests == 2 * CHARTS
    assert in_polish.ledger.charts == CHARTS


def test_the_ledger_counts_what_the_server_delivered(workspace) -> None:
    with OpenAiServer() as server:
        result = described(workspace, server)
        tally = server.tally()
    assert result.ledger.input_tokens == tally["input_tokens"]
    assert result.ledger.output_tokens == tally["output_tokens"]
    assert result.ledger.kinds == {"described": CHARTS}
    assert result.ledger.cost == pytest.approx(result.cost)
    assert result.ledger.cost_per_1000_charts == pytest.approx(result.cost / CHARTS * 1000)


def test_agreement_is_the_share_of_readings_alike_with_its_interval(workspace) -> None:
    with OpenAiServer() as server:
        result = described(workspace, server)
    attempts, _ = Ledger(workspace.paths.descriptions).read()
    setups = Counter(attempt.subject.setup.value for attempt in attempts)
    alike = Counter(
        attempt.subject.setup.value
        for attempt in attempts
        if attempt.said is not None and attempt.said.setup is attempt.subject.setup
    )
    rows = {row.value: row for row in result.agreement if row.facet == "setup"}
    assert rows.keys() == setups.keys()
    for name, row in rows.items():
        expected = wilson(alike[name], setups[name])
        assert (row.n, row.rate, row.low, row.high) == (
            expected.n, expected.rate, expected.low, expected.high,
        )  # fmt: skip


def test_a_limit_of_cost_stops_before_it_is_passed(workspace) -> None:
    worst = describe.estimate(workspace, SELECTION, DescribeOptions(limit=1), in_batch=False)
    with OpenAiServer() as server:
        result = described(workspace, server, max_cost=worst.cost_at_worst * 1.01)
    assert 0 < result.described < CHARTS
    assert result.cost <= worst.cost_at_worst * 1.01
    assert result.stopped
    rest = described_all(workspace)
    assert rest.asked_for == CHARTS - result.described


def test_refused_charts_are_named_and_asked_again_only_on_demand(workspace) -> None:
    with OpenAiServer(always("refusal")) as server:
        refused = described(workspace, server)
    assert refused.described == 0
    assert len(refused.missing) == CHARTS
    assert all("AAAUSDT 15m" in name for name in refused.missing)
    assert described_all(workspace).asked_for == 0
    with OpenAiServer() as server:
        assert described(workspace, server, again=True).described == CHARTS


def test_a_server_that_fails_leaves_the_charts_for_the_next_run(workspace) -> None:
    with OpenAiServer(always("500")) as server:
        failed = described(workspace, server)
    assert failed.described == 0
    assert failed.missing
    assert described_all(workspace).described == CHARTS


def test_a_missing_key_is_refused_before_anything_is_drawn(workspace) -> None:
    with pytest.raises(ConfigError, match="OPENAI_API_KEY"):
        describe.describe(workspace, SELECTION, DescribeOptions(), environ={})
    assert describe.report(workspace).ledger.requests == 0


def test_two_processes_do_not_pay_for_the_same_charts(workspace) -> None:
    with OpenAiServer() as server, Ledger(workspace.paths.descriptions).locked():
        with pytest.raises(StateError, match="Another process is describing"):
            described(workspace, server)
        assert server.requests == []


# In batches.


def in_batches(workspace: Workspace, server: OpenAiServer, **options: object):
    chosen = DescribeOptions(**options)
    return describe.describe_in_batches(workspace, SELECTION, chosen, environ=server.environ)


def test_a_batch_is_submitted_waited_for_and_collected(workspace) -> None:
    with OpenAiServer() as server:
        result = in_batches(workspace, server)
    assert (result.submitted, result.collected, result.waiting) == (CHARTS, CHARTS, {})
    assert result.ledger.kinds == {"described": CHARTS}
    assert result.missing == {}


def test_a_batch_that_is_not_waited_for_is_collected_later_and_not_sent_again(workspace) -> None:
    with OpenAiServer() as server:
        server.looks_until_done = 2
        begun = in_batches(workspace, server, wait=False)
        assert (begun.submitted, begun.collected) == (CHARTS, 0)
        assert list(begun.waiting.values()) == [CHARTS]
        later = in_batches(workspace, server)
        assert (later.submitted, later.collected, later.waiting) == (0, CHARTS, {})
        assert len(server.batches) == 1


def test_charts_beyond_the_limit_of_cost_are_named(workspace) -> None:
    worst = describe.estimate(workspace, SELECTION, DescribeOptions(limit=1), in_batch=True)
    with OpenAiServer() as server:
        result = in_batches(workspace, server, max_cost=worst.cost_at_worst * 1.01)
    assert result.submitted == 1
    assert Counter(result.missing.values()) == {"the limit of cost is reached": CHARTS - 1}


def test_refusals_of_a_batch_are_named_by_kind(workspace) -> None:
    with OpenAiServer(always("refusal")) as server:
        result = in_batches(workspace, server)
    assert len(result.missing) == CHARTS
    assert all(why.startswith(ReplyKind.REFUSED) for why in result.missing.values())


# The ledger.


def test_an_empty_ledger_costs_nothing(workspace) -> None:
    result = describe.report(workspace)
    assert (result.ledger.requests, result.ledger.cost) == (0, 0.0)
    assert result.ledger.cost_per_1000_charts is None
    assert (result.agreement, result.damaged_lines) == ([], [])


def test_a_damaged_line_is_named_and_not_counted(workspace) -> None:
    described_all(workspace)
    path = next(workspace.paths.descriptions.glob("??.jsonl"))
    lines = path.read_text().splitlines()
    path.write_text("\n".join([lines[0][:-20], *lines[1:]]) + "\n")
    result = describe.report(workspace)
    assert result.ledger.requests == CHARTS - 1
    (bad,) = result.damaged_lines
    assert Path(bad.path).name == path.name
    assert result.payload()["damaged_lines"][0]["number"] == bad.number
