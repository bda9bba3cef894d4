"""What reads charts: model, index and calibration, opened and checked to belong together."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests import standin
from vision_ai import index, storage
from vision_ai.charts import raster
from vision_ai.config import Config, ModelConfig, Paths
from vision_ai.domain import PHASES, READINGS, WINDOW, Interval
from vision_ai.errors import CorruptFileError, MissingModelError, StaleIndexError, StateError
from vision_ai.index import ExactIndex
from vision_ai.market.simulate import simulate
from vision_ai.measures import indicators
from vision_ai.measures.purge import PointInTimeFilter, PurgeAndEmbargo, Spans
from vision_ai.model import lineage, registry, vectors
from vision_ai.model.registry import ModelFolder
from vision_ai.pipeline import reader as reading
from vision_ai.pipeline.reader import CHUNK, LIVE, Reader

NOW = 1_750_032_000_000
OLDER = NOW - 30 * 86_400_000


@pytest.fixture(scope="module")
def model_root(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("model")
    standin.install(Paths(root), [simulate("OLDUSDT", Interval.M15, 700, seed=9, end_ms=OLDER)])
    return root


@pytest.fixture(scope="module")
def reader(model_root: Path) -> Reader:
    return Reader.open(Config(), Paths(model_root))


@pytest.fixture
def paths(model_root: Path, tmp_path: Path) -> Paths:
    """A data root of its own, with a copy of the model."""
    shutil.copytree(model_root, tmp_path / "data")
    return Paths(tmp_path / "data")


def bars(count: int, seed: int = 3) -> np.ndarray:
    """Charts of one market, one candle apart."""
    klines = simulate("AAAUSDT", Interval.M15, WINDOW + count - 1, seed=seed, end_ms=NOW)
    return klines.windows(klines.window_ends())


def spans(count: int, symbol: str = "AAAUSDT", last_ms: int = NOW) -> Spans:
    as_of = last_ms - np.arange(count)[::-1] * Interval.M15.ms
    return reading.spans_of([symbol] * count, [Interval.M15] * count, as_of.tolist())


def changed(model: ModelFolder, **fields: object) -> ModelFolder:
    """The same folder, its manifest saying something else."""
    return replace(model, manifest=model.manifest.model_copy(update=fields))


def test_an_opened_reader_holds_the_model_its_charts_and_its_calibration(reader: Reader) -> None:
    assert reader.model.version == standin.VERSION
    assert reader.index.rows.model == standin.VERSION
    assert reader.calibration == reading.calibration(reader.model)
    assert reader.neighbors == Config().index.neighbors


def test_a_missing_version_is_named(model_root: Path) -> None:
    settings = Config(model=ModelConfig(version="nowhere-1"))
    with pytest.raises(MissingModelError, match="nowhere-1"):
        Reader.open(settings, Paths(model_root))


def test_vectors_are_of_unit_length_and_alike_however_many_are_drawn_at_once(
    reader: Reader,
) -> None:
    charts = bars(CHUNK + 3)
    together = reader.vectors(charts)
    assert together.shape == (CHUNK + 3, standin.DIMENSION)
    assert np.allclose(np.linalg.norm(together, axis=1), 1, atol=1e-5)
    alone = np.concatenate([reader.vectors(charts[row : row + 1]) for row in (0, CHUNK, CHUNK + 2)])
    assert np.allclose(together[[0, CHUNK, CHUNK + 2]], alone, atol=1e-5)


def test_no_charts_give_no_vectors(reader: Reader) -> None:
    assert reader.vectors(np.empty((0, WINDOW, 5))).shape == (0, standin.DIMENSION)


def test_neighbors_are_those_of_an_exact_search(reader: Reader) -> None:
    charts = bars(4)
    evidence = reader.evidence(charts, spans(4), eligibility=LIVE)
    exact = ExactIndex(reader.index.rows).search(
        reader.vectors(charts), spans(4), eligibility=LIVE, k=reader.neighbors
    )
    assert (evidence.rows == exact.rows).all()
    some = exact.rows >= 0
    assert some.any()
    assert np.allclose(evidence.similarity[some], exact.similarity[some], atol=1e-6)


def test_a_chart_with_prices_has_a_scale_and_a_bare_picture_has_none(reader: Reader) -> None:
    charts = bars(2)
    with_prices = reader.evidence(charts, spans(2), eligibility=LIVE)
    without = reader.evidence(charts, spans(2), eligibility=LIVE, has_scale=False)
    assert np.allclose(with_prices.scale, indicators.volatility(charts))
    assert np.isnan(without.scale).all()
    assert (with_prices.rows == without.rows).all()


def test_nothing_is_evidence_before_its_outcome_was_known(reader: Reader) -> None:
    known_ms = Spans.of(reader.index.rows).known_ms
    middle = int(np.sort(known_ms)[len(known_ms) // 2])
    evidence = reader.evidence(bars(1), spans(1, last_ms=middle), eligibility=LIVE)
    rows = evidence.rows[evidence.rows >= 0]
    assert 0 < len(rows) < len(known_ms)
    assert (known_ms[rows] <= middle).all()
    before_all = spans(1, last_ms=int(known_ms.min()) - 1)
    assert (reader.evidence(bars(1), before_all, eligibility=LIVE).rows == -1).all()


def test_answers_are_those_of_vectors_that_were_drawn_before(reader: Reader) -> None:
    charts = bars(3)
    direct = reader.answers(charts, spans(3))
    scale = indicators.volatility(charts)
    embedded = reading.read(reader, reader.vectors(charts), spans(3), scale, LIVE)
    assert (direct.confidence == embedded.confidence).all()
    assert (direct.code == embedded.code).all()


def test_without_annotations_a_replay_reads_what_is_read_live(reader: Reader) -> None:
    live = reader.answers(bars(3), spans(3))
    replayed = reader.answers(bars(3), spans(3), eligibility=PointInTimeFilter(is_replay=True))
    assert (live.confidence == replayed.confidence).all()


def test_a_model_of_another_style_is_refused_with_both_styles(reader: Reader) -> None:
    reading.check_style(reader.model)
    with pytest.raises(StaleIndexError, match=f"style {'0' * 12}.*{raster.STYLE_HASH[:12]}"):
        reading.check_style(changed(reader.model, style="0" * 64))


def test_exemplars_of_another_model_or_of_another_width_are_refused(paths: Paths) -> None:
    model = registry.resolve(paths)
    assert len(reading.exemplars(model)) > 0
    with pytest.raises(StaleIndexError, match="'stand-in-1': expected 'other-1'"):
        reading.exemplars(changed(model, version="other-1"))
    with pytest.raises(CorruptFileError, match=f"{standin.DIMENSION} numbers: expected 7"):
        reading.exemplars(changed(model, dimension=7))


def test_a_missing_or_damaged_calibration_is_named(paths: Paths) -> None:
    path = registry.resolve(paths).path / reading.CALIBRATION
    path.write_text("{")
    with pytest.raises(CorruptFileError, match=r"calibration\.json"):
        Reader.open(Config(), paths)
    path.unlink()
    with pytest.raises(StateError, match=r"calibration\.json"):
        Reader.open(Config(), paths)


def test_prompts_keep_the_order_of_readings_and_phases() -> None:
    names = [reading_.name for reading_ in READINGS] + [f"phase:{phase}" for phase in PHASES]
    prompts = reading.prompts_from({name: [float(at), 1.0] for at, name in enumerate(names)})
    first, second = np.array(prompts.reading), np.array(prompts.phase)
    assert first[:, 0].tolist() == list(range(len(READINGS)))
    assert second[:, 0].tolist() == list(range(len(READINGS), len(names)))


def test_a_class_without_a_prototype_is_named(reader: Reader) -> None:
    prototypes = dict(reader.model.manifest.prototypes)
    del prototypes["trap:short"]
    with pytest.raises(CorruptFileError, match="no prototype of 'trap:short'"):
        reading.prompts(changed(reader.model, prototypes=prototypes))


def test_an_index_that_was_built_here_comes_before_the_models_own_charts(paths: Paths) -> None:
    model = registry.resolve(paths)
    own = reading.exemplars(model)
    assert reading.open_index(paths, model).version == index.fingerprint(own)
    part = own.take(np.arange(len(own) // 2))
    built = index.build(paths.index, part, now_ms=NOW)
    opened = reading.open_index(paths, model)
    assert opened.version == built.version
    assert len(opened) == len(own) // 2


def test_an_index_of_an_unknown_model_is_refused(paths: Paths) -> None:
    model = registry.resolve(paths)
    index.build(paths.index, replace(reading.exemplars(model), model="gone-1"), now_ms=NOW)
    with pytest.raises(StaleIndexError, match="'gone-1': expected 'stand-in-1'"):
        reading.open_index(paths, model)


def child(paths: Paths, factor: float) -> ModelFolder:
    """A version of the same tower whose exemplars all weigh `factor` times as much."""
    parent = registry.resolve(paths)
    rows = reading.exemplars(parent)
    heavier = replace(rows, model="child-1", weight=(rows.weight * factor).astype(np.float32))
    path = paths.root / "exemplars.parquet"
    vectors.save(path, heavier)
    manifest = parent.manifest.model_copy(update={"version": "child-1", "files": {}})
    return lineage.derive(paths, parent, manifest, {"exemplars.parquet": path.read_bytes()})


def test_an_index_of_the_same_tower_serves_with_the_new_versions_weights(paths: Paths) -> None:
    parent = registry.resolve(paths)
    own = reading.exemplars(parent)
    other = replace(own.take(np.arange(1)), symbol=np.array(["NEWUSDT"]))
    index.build(paths.index, index.merge(own, other), now_ms=NOW)
    opened = reading.open_index(paths, child(paths, factor=3.0))
    weight = dict(zip(opened.rows.keys, opened.rows.weight.tolist(), strict=True))
    assert opened.rows.model == "child-1"
    for key, was in reading.weights(own).items():
        assert weight[key] == pytest.approx(3 * was)
    # a chart that is no exemplar keeps the weight it was indexed with
    assert weight[other.keys[0]] == pytest.approx(float(other.weight[0]))


def test_a_span_of_time_reaches_over_all_candles_of_a_chart() -> None:
    one = reading.spans_of(["AAAUSDT"], [Interval.H1], [NOW])
    assert int(one.as_of_ms[0]) == NOW
    assert int(one.first_ms[0]) == NOW - WINDOW * Interval.H1.ms


def test_an_embargo_leaves_out_what_lies_too_near(reader: Reader) -> None:
    at = spans(1, last_ms=int(Spans.of(reader.index.rows).known_ms.max()) + 86_400_000)
    near = reader.evidence(bars(1), at, eligibility=PurgeAndEmbargo(0))
    far = reader.evidence(bars(1), at, eligibility=PurgeAndEmbargo(10**11))
    assert (near.rows >= 0).any()
    assert (far.rows == -1).all()


def test_a_calibration_of_another_model_is_refused(paths: Paths) -> None:
    model = registry.resolve(paths)
    fitted = reading.calibration(model)
    other = fitted.model_copy(update={"model": "other-1"})
    storage.write_document(model.path / reading.CALIBRATION, other)
    with pytest.raises(StateError, match="other-1"):
        Reader.open(Config(), paths)
