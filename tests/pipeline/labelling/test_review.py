"""Reviewing labels from the command line: simulated candles, and a model that needs no training."""

import json
import os
import shutil
from pathlib import Path

import jsonschema
import numpy as np
import pytest

pytest.importorskip("onnx", reason="the stand-in model is made with onnx")

from tests import standin
from tests.labels.gpt_tasks import config
from tests.labels.openai_server import honest
from vision_ai import predict_cv_setup
from vision_ai.cli.app import run
from vision_ai.config import Paths
from vision_ai.domain import READINGS, Direction, Interval, Klines, Reading, Setup, iso
from vision_ai.labels import rules
from vision_ai.labels.gpt.ledger import Ledger
from vision_ai.labels.gpt.replies import GptAnswer, Language, Reply, ReplyKind
from vision_ai.labels.gpt.run import DescriptionOptions
from vision_ai.market.simulate import simulate
from vision_ai.market.store import Store
from vision_ai.pipeline import batch
from vision_ai.pipeline.labelling import review, select
from vision_ai.pipeline.reader import Reader, spans_of
from vision_ai.pipeline.workspace import Workspace
from vision_ai.records import IntervalReading

END_MS = 1_740_000_600_000 // 900_000 * 900_000
DAY = 86_400_000
TWIN, LATER_MS = "TWINUSDT", 40 * DAY


@pytest.fixture(scope="module")
def markets() -> list[Klines]:
    return [
        simulate(f"S{seed}USDT", Interval.M15, 900, seed=seed, end_ms=END_MS - seed * 15 * DAY)
        for seed in range(6)
    ]


@pytest.fixture(scope="module")
def origin(tmp_path_factory, markets) -> Path:
    """A data root with the candles and the stand-in model, to be copied."""
    paths = Paths(tmp_path_factory.mktemp("origin"))
    store = Store(paths, "simulated-1-linear")
    for market in markets:
        store.add(market)
    standin.install(paths, markets)
    return paths.root


@pytest.fixture
def workspace(tmp_path, monkeypatch, origin: Path) -> Workspace:
    monkeypatch.setenv("VISION_AI_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("VISION_AI_REVIEWER", "anna")
    monkeypatch.chdir(tmp_path)
    shutil.copytree(origin, tmp_path / "data")
    return Workspace.open()


def describe(workspace: Workspace, window: Klines, reading: Reading | None = None) -> str:
    """Put a chart in the queue: GPT reads it as `reading`, or as the rule book does."""
    label = rules.label(window.bars[None])[0]
    subject = select.subject_of(window, label)
    seen = reading or label.reading
    said = GptAnswer(
        setup=seen.setup, direction=seen.direction, phase=label.phase, confidence=0.9,
        description=f"{label.setup} as told", paraphrases=[f"{label.setup}"],
    )  # fmt: skip
    order = DescriptionOptions(Language.EN, config())
    Ledger(workspace.paths.descriptions).append(
        order.attempt(subject, Reply(ReplyKind.DESCRIBED, answer=said))
    )
    return subject.digest


def chart(market: Klines, end: int) -> Klines:
    return market[end - 95 : end + 1]


def probabilities(workspace: Workspace, window: Klines) -> tuple[np.ndarray, int]:
    """What a similar chart, of another symbol and weeks later, is read as."""
    reader = Reader.open(workspace.config, workspace.paths)
    as_of_ms = int(window.close_ms[-1]) + LATER_MS
    noise = np.random.default_rng(0).uniform(0.9999, 1.0001, (96, 1))
    answers = reader.answers(
        (window.bars * noise)[None], spans_of([TWIN], [Interval.M15], [as_of_ms])
    )
    nearest = int(answers.evidence.rows[0, 0])
    return answers.probabilities.reading[0], int(reader.index.rows.reading[nearest])


@pytest.mark.parametrize("end", [401, 402], ids=["in the index", "not in the index"])
def test_a_corrected_label_changes_the_next_prediction_of_a_similar_chart(
    workspace, markets, capsys, end
) -> None:
    window = chart(markets[0], end)
    digest = describe(workspace, window)
    code = rules.label(window.bars[None]).reading[0]
    other = next(r for r in READINGS if r.setup not in (READINGS[code].setup, "none", "range"))
    before, nearest = probabilities(workspace, window)
    arguments = ["review", "correct", digest[:12], "--setup", other.setup.value]
    assert run([*arguments, "--direction", other.direction.value, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["correction"]["who"] == "anna"
    after, now_nearest = probabilities(workspace, window)
    assert READINGS[now_nearest] == other
    assert READINGS[nearest] != other
    corrected = READINGS.index(other)
    assert after[corrected] > before[corrected] + 0.05

    # building the index anew keeps people's labels
    assert run(["index", "build"]) == 0
    assert READINGS[probabilities(workspace, window)[1]] == other


def predicted(workspace: Workspace, window: Klines) -> IntervalReading:
    """What a chart is predicted to show, as it is written down."""
    reader = Reader.open(workspace.config, workspace.paths)
    question = next(iter(batch.read_symbols(reader, {window.symbol: [window]})))
    made_by = batch.provenance(reader, "simulated", END_MS)
    found = question.prediction(reader, made_by, neighbor_count=5)
    jsonschema.validate(found.model_dump(mode="json"), predict_cv_setup.prediction_schema())
    return found.intervals[Interval.M15]


@pytest.mark.slow
def test_an_annotation_adjusts_the_next_candle_and_names_who_gave_it(
    workspace, markets, capsys
) -> None:
    """Long before the outcome is known, and on the chart itself."""
    window, following = chart(markets[0], 402), chart(markets[0], 403)
    elsewhere = [chart(market, 700) for market in markets[1:]]
    digest = describe(workspace, window)
    before = [predicted(workspace, one) for one in (window, following, *elsewhere)]
    assert all(reading.unadjusted is None for reading in before)
    code = rules.label(window.bars[None]).reading[0]
    other = next(r for r in READINGS if r.setup not in (READINGS[code].setup, "none", "range"))
    arguments = ["review", "correct", digest[:12], "--setup", other.setup.value]
    assert run([*arguments, "--direction", other.direction.value]) == 0
    after = [predicted(workspace, one) for one in (window, following, *elsewhere)]

    itself, after_it = after[0], after[1]
    assert (itself.setup, itself.direction) == (other.setup, other.direction)
    assert itself.confidence > 0.9
    for then, now in zip(before[:2], after[:2], strict=True):
        assert now.probabilities[other.name] > then.probabilities[other.name] + 0.05
        assert now.unadjusted is not None
        given = now.unadjusted.annotations[0]
        assert (given.who, given.symbol, given.setup) == ("anna", window.symbol, other.setup)
        assert given.as_of == iso(int(window.close_ms[-1]))
    assert after_it.unadjusted is not None
    assert after_it.unadjusted.setup == before[1].setup
    assert (
        after_it.unadjusted.annotations[0].transfer_probability
        < itself.unadjusted.annotations[0].transfer_probability
    )
    far = [(then, now) for then, now in zip(before, after, strict=True) if now.unadjusted is None]
    assert far
    assert all(then == now for then, now in far)  # to the last digit


def test_an_older_calibration_says_what_it_does_not_know(workspace, markets, capsys) -> None:
    path = workspace.paths.models / standin.VERSION / "calibration.json"
    content = json.loads(path.read_text())
    del content["transfer"], content["human_error"]
    path.write_text(json.dumps(content))
    window = chart(markets[0], 402)
    before, _ = probabilities(workspace, window)
    code = READINGS.index(Reading(Setup.TRAP, Direction.SHORT))
    said = ["--setup", "trap", "--direction", "short"]
    assert run(["review", "correct", describe(workspace, window)[:12], *said]) == 0
    assert "does not say how far a person's label carries over" in capsys.readouterr().out
    after, _ = probabilities(workspace, window)
    assert after[code] > before[code]  # it votes, louder than others
    assert (
        Reader.open(workspace.config, workspace.paths).index.rows.weight.max()
        == workspace.config.review.weight
    )


def test_a_list_of_models_names_a_damaged_calibration(workspace, capsys) -> None:
    assert run(["models", "list", "--json"]) == 0
    before = json.loads(capsys.readouterr().out)["models"]
    path = workspace.paths.models / standin.VERSION / "calibration.json"
    path.write_bytes(path.read_bytes()[:200])
    assert run(["models", "list", "--json"]) == 0
    after = json.loads(capsys.readouterr().out)["models"]
    assert all(model["damage"] is None for model in before)
    damage = {model["version"]: model["damage"] for model in after}[standin.VERSION]
    assert "calibration.json" in damage
    assert f"Delete {path.parent}" in damage
    assert run(["models", "list"]) == 0
    assert damage in capsys.readouterr().out


def test_the_same_annotation_twice_builds_no_second_index(workspace, markets, capsys) -> None:
    digest = describe(workspace, chart(markets[1], 301))
    assert run(["review", "accept", digest[:12]]) == 0
    first = capsys.readouterr().out
    assert "is in use" in first
    assert run(["review", "accept", digest[:12], "--who", "ben"]) == 0
    assert "holds it already" in capsys.readouterr().out


def test_the_queue_begins_with_disagreement_and_forgets_what_was_seen(
    workspace, markets, capsys
) -> None:
    windows = [chart(markets[2], end) for end in (200, 400, 600)]
    digests = [describe(workspace, window) for window in windows[:2]]
    label = rules.label(windows[2].bars[None])[0]
    wrong = next(r for r in READINGS if r != label.reading)
    digests.append(describe(workspace, windows[2], wrong))
    assert run(["review", "next", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["waiting"] == 3
    doubts = [case["disagreements"] + case["uncertainty"] for case in found["cases"]]
    assert doubts == sorted(doubts, reverse=True)
    assert all(case["model"] is not None for case in found["cases"])
    by_digest = {case["digest"]: case for case in found["cases"]}
    assert by_digest[digests[2]]["gpt"]["reading"] == wrong.name
    assert by_digest[digests[2]]["disagreements"] >= 1

    assert run(["review", "skip", digests[2][:10]]) == 0
    assert run(["review", "accept", digests[0][:10]]) == 0
    capsys.readouterr()
    assert run(["review", "next", "--json"]) == 0
    left = json.loads(capsys.readouterr().out)
    assert [case["digest"] for case in left["cases"]] == [digests[1]]
    assert run(["review", "stats", "--json"]) == 0
    stats = json.loads(capsys.readouterr().out)
    assert stats["actions"] == {"skip": 1, "accept": 1}
    assert stats["reviewers"] == {"anna": 2}
    assert stats["rule_book_right"]["rate"] == 1.0


@pytest.mark.parametrize("suffix", [".csv", ".jsonl"])
def test_labels_go_out_and_come_in_once(
    workspace, markets, capsys, tmp_path, monkeypatch, suffix
) -> None:
    digest = describe(workspace, chart(markets[3], 500))
    said = ["--setup", "trap", "--direction", "short", "--words", 'a "trap", no less']
    assert run(["review", "correct", digest[:12], *said]) == 0
    out = tmp_path / f"labels{suffix}"
    assert run(["labels", "export", str(out)]) == 0
    assert run(["labels", "import", str(out)]) == 0
    assert "0 of 1 corrections are new" in capsys.readouterr().out

    monkeypatch.setenv("VISION_AI_DATA", str(tmp_path / "elsewhere"))
    assert run(["labels", "import", str(out), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["added"] == 1
    again = tmp_path / f"again{suffix}"
    assert run(["labels", "export", str(again)]) == 0
    assert again.read_text() == out.read_text()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["review", "accept", "123"], "at least 6"),
        (["review", "accept", "ffffffff"], "is not known"),
        (["review", "correct", "CHART"], "Nothing to correct"),
        (["review", "correct", "CHART", "--setup", "moon"], "is not known"),
        (["review", "correct", "CHART", "--setup", "range", "--direction", "long"], "neutral"),
        (["review", "skip", "CHART", "--who", "x" * 100], "who"),
        (["labels", "export", "labels.xlsx"], "neither .csv nor .jsonl"),
        (["labels", "import", "nowhere.csv"], "cannot be read"),
    ],
    ids=lambda value: value if isinstance(value, str) else " ".join(value)[:50],
)
def test_what_cannot_be_is_one_sentence(workspace, markets, capsys, arguments, says) -> None:
    digest = describe(workspace, chart(markets[4], 300))
    assert run([word.replace("CHART", digest[:12]) for word in arguments]) == 2
    shown = capsys.readouterr()
    assert says in shown.err
    assert "Traceback" not in shown.err
    assert not workspace.paths.corrections.exists()


def test_without_a_model_an_annotation_is_kept_for_later(
    tmp_path, markets, monkeypatch, capsys
) -> None:
    monkeypatch.setenv("VISION_AI_DATA", str(tmp_path / "bare"))
    monkeypatch.setattr("vision_ai.model.registry.SHIPPED", tmp_path / "none")
    workspace = Workspace.open(os.environ)
    digest = describe(workspace, chart(markets[5], 300))
    assert run(["review", "correct", digest[:12], "--phase", "range"]) == 0
    assert "No model is installed yet" in capsys.readouterr().out
    assert review.stats(workspace).words == 1


def test_the_loopback_writer_reads_some_charts_wrong() -> None:
    """Else the queue would have nothing to show in the experiments."""
    told = [{"setup": "trap", "direction": "long", "phase": "range", "n": n} for n in range(30)]
    bodies = [
        {"input": [{"content": [{"type": "input_text", "text": "Facts: " + json.dumps(one)}]}]}
        for one in told
    ]
    read = {honest(body)["setup"] for body in bodies}
    assert read == {"trap", "none"}
