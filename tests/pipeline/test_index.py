"""The index of similar charts: built, shown, and changed by people's labels."""

import shutil
from pathlib import Path

import pytest

from tests import standin
from vision_ai import storage
from vision_ai.config import Config, Paths
from vision_ai.domain import (
    PHASES,
    READINGS,
    Direction,
    Interval,
    Label,
    Phase,
    Reading,
    Setup,
    iso,
)
from vision_ai.errors import CorruptFileError, KlinesError, MissingModelError
from vision_ai.labels.gpt.replies import LabelledChart
from vision_ai.labels.review import Action, CorrectionLog, make_correction
from vision_ai.market.simulate import simulate
from vision_ai.market.store import Store
from vision_ai.model import registry
from vision_ai.pipeline import index as use_cases
from vision_ai.pipeline import reader
from vision_ai.pipeline.workspace import Workspace

NOW = 1_750_032_000_000


@pytest.fixture(scope="module")
def model_root(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("model")
    market = simulate("OLDUSDT", Interval.M15, 700, seed=9, end_ms=NOW - 30 * 86_400_000)
    standin.install(Paths(root), [market])
    return root


@pytest.fixture
def workspace(model_root: Path, tmp_path: Path) -> Workspace:
    """A data root that shares the model of the module, with an index of its own."""
    root = tmp_path / "data"
    (root / "vision_ai").mkdir(parents=True)
    (root / "vision_ai" / "models").symlink_to(model_root / "vision_ai" / "models")
    return Workspace(Config(), Paths(root), clock=lambda: NOW)


def folder(tmp_path: Path, *symbols: str, count: int = 400) -> Path:
    store = Store(Paths(tmp_path / "more"), "bybit-linear")
    for seed, symbol in enumerate(symbols):
        store.add(simulate(symbol, Interval.M15, count, seed=seed, end_ms=NOW - 86_400_000))
    return tmp_path / "more" / "vision_ai" / "klines"


def test_before_a_build_the_models_own_charts_are_the_index(workspace: Workspace) -> None:
    shown = use_cases.show(workspace)
    model = registry.resolve(workspace.paths)
    assert shown.model == model.version
    assert shown.charts == len(reader.exemplars(model))
    assert shown.symbols == 1
    assert sum(shown.intervals.values()) == shown.charts


def test_building_without_candles_holds_the_models_own_charts(workspace: Workspace) -> None:
    before = use_cases.show(workspace)
    built = use_cases.build(workspace, klines=None, stride=8)
    assert built.charts == before.charts
    assert use_cases.show(workspace) == built


def test_charts_of_other_candles_join_and_none_twice(workspace: Workspace, tmp_path: Path) -> None:
    own = use_cases.show(workspace).charts
    more = folder(tmp_path, "AAAUSDT", "BBBUSDT")
    built = use_cases.build(workspace, klines=more, stride=40)
    assert built.symbols == 3
    assert built.charts > own
    rows = reader.open_index(workspace.paths, registry.resolve(workspace.paths)).rows
    assert len(set(rows.keys)) == len(rows)
    again = use_cases.build(workspace, klines=more, stride=40)
    assert again.version == built.version


def test_a_wider_stride_takes_fewer_charts(workspace: Workspace, tmp_path: Path) -> None:
    more = folder(tmp_path, "AAAUSDT")
    counts = [
        use_cases.build(workspace, klines=more, stride=stride).charts for stride in (20, 40, 80)
    ]
    assert counts == sorted(counts, reverse=True)
    assert counts[0] > counts[2]


def test_candles_too_few_for_a_chart_are_refused_by_name(
    workspace: Workspace, tmp_path: Path
) -> None:
    with pytest.raises(KlinesError, match="AAAUSDT 15m makes no chart"):
        use_cases.build(workspace, klines=folder(tmp_path, "AAAUSDT", count=90), stride=8)
    assert not workspace.paths.index.exists()


def correct(workspace: Workspace, row: int, setup: Setup, direction: Direction) -> None:
    """Anna gives an exemplar another setup."""
    rows = reader.exemplars(registry.resolve(workspace.paths))
    symbol, interval, last_ms = rows.keys[row]
    chart = LabelledChart(
        digest=f"{row:064x}", symbol=symbol, interval=Interval(interval),
        as_of=iso(last_ms + Interval(interval).ms), setup=Setup.NONE,
        direction=Direction.NEUTRAL, phase=Phase.RANGE, clear=True, rules="1", look="0" * 64,
    )  # fmt: skip
    label = Label(Reading(setup, direction), Phase.MARKUP)
    correction = make_correction(chart, Action.CORRECT, label, who="anna", at=iso(NOW), words=None)
    CorrectionLog(workspace.paths.corrections).write([correction])


def test_a_persons_label_replaces_the_rule_books_in_the_index(workspace: Workspace) -> None:
    correct(workspace, 3, Setup.TRAP, Direction.SHORT)
    text = use_cases.refresh(workspace)
    assert "is in use" in text
    rows = reader.open_index(workspace.paths, registry.resolve(workspace.paths)).rows
    own = reader.exemplars(registry.resolve(workspace.paths))
    at = rows.keys.index(own.keys[3])
    assert READINGS[rows.reading[at]] == Reading(Setup.TRAP, Direction.SHORT)
    assert PHASES[rows.phase[at]] is Phase.MARKUP
    others = [row for row in range(len(own)) if row != 3]
    assert (
        rows.reading[[rows.keys.index(own.keys[row]) for row in others]] == own.reading[others]
    ).all()


def test_a_model_that_does_not_know_how_far_labels_carry_says_their_weight(
    workspace: Workspace, model_root: Path, tmp_path: Path
) -> None:
    root = tmp_path / "unfitted"
    shutil.copytree(model_root, root)
    unfitted = Workspace(Config(), Paths(root), clock=lambda: NOW)
    model = registry.resolve(unfitted.paths)
    fitted = reader.calibration(model).model_copy(update={"transfer": {}})
    storage.write_document(model.path / reader.CALIBRATION, fitted)
    correct(unfitted, 3, Setup.TRAP, Direction.SHORT)
    weight = unfitted.config.review.weight
    assert f"votes as {weight:g} similar charts" in use_cases.refresh(unfitted)
    own = reader.exemplars(model)
    rows = reader.open_index(unfitted.paths, model).rows
    assert rows.weight[rows.keys.index(own.keys[3])] == weight


def test_a_second_refresh_builds_nothing(workspace: Workspace) -> None:
    correct(workspace, 3, Setup.TRAP, Direction.SHORT)
    use_cases.refresh(workspace)
    version = use_cases.show(workspace).version
    assert use_cases.refresh(workspace) == f"Index {version} holds it already."
    assert use_cases.show(workspace).version == version


def test_a_corrected_chart_that_cannot_be_found_is_counted(workspace: Workspace) -> None:
    chart = LabelledChart(
        digest="ab" * 32, symbol="GONEUSDT", interval=Interval.M15, as_of=iso(NOW),
        setup=Setup.NONE, direction=Direction.NEUTRAL, phase=Phase.RANGE, clear=True, rules="1",
        look="0" * 64,
    )  # fmt: skip
    label = Label(Reading(Setup.TRAP, Direction.SHORT), Phase.MARKUP)
    correction = make_correction(chart, Action.CORRECT, label, who="bob", at=iso(NOW), words=None)
    CorrectionLog(workspace.paths.corrections).write([correction])
    applied = use_cases.apply_annotations(
        workspace,
        registry.resolve(workspace.paths),
        reader.exemplars(registry.resolve(workspace.paths)),
    )
    assert applied.left_out == 1
    assert applied.annotations == ()


def test_without_a_model_a_label_waits(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("vision_ai.model.registry.SHIPPED", tmp_path / "none")
    workspace = Workspace(Config(), Paths(tmp_path / "bare"))
    assert use_cases.refresh(workspace).startswith("No model is installed yet")
    with pytest.raises(MissingModelError):
        use_cases.show(workspace)


def test_a_damaged_index_is_named_with_its_repair(workspace: Workspace) -> None:
    built = use_cases.build(workspace, klines=None, stride=8)
    damaged = next((Path(built.folder) / built.version).glob("*.faiss"), None) or next(
        path for path in (Path(built.folder) / built.version).iterdir() if path.suffix != ".json"
    )
    damaged.write_bytes(damaged.read_bytes()[:-10])
    with pytest.raises(CorruptFileError, match=damaged.name):
        use_cases.show(workspace)
