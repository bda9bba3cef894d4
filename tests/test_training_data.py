"""Training data: whose labels count, which rows are drawn, and what a model learns to measure."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("open_clip")

from tests.model import making, tiny, versions
from vision_ai import training_data
from vision_ai.charts import raster
from vision_ai.config import Paths
from vision_ai.domain import HORIZONS, PHASES, READINGS, Interval, iso
from vision_ai.labels import rules
from vision_ai.labels.captions import Captions
from vision_ai.labels.review import Action, Correction
from vision_ai.measures import targets
from vision_ai.model.training.batches import Corpus

pytestmark = pytest.mark.train


def annotation(corpus, row, code, phase=0):
    """What a person said about one window of a corpus."""
    interval = Interval(str(corpus.interval[row]))
    return Correction(
        id=f"{row}-{code}", digest="0" * 64, symbol=str(corpus.symbol[row]), interval=interval,
        as_of=iso(int(corpus.last_ms[row]) + interval.ms), action=Action.CORRECT,
        setup=READINGS[code].setup, direction=READINGS[code].direction, phase=PHASES[phase],
        who="anna", at="2025-06-15T12:00:00Z",
    )  # fmt: skip


@settings(max_examples=20, deadline=None)
@given(st.dictionaries(st.integers(0, 39), st.integers(0, 17), max_size=6), st.integers(1, 4))
def test_annotated_charts_are_relabelled_and_repeated(codes, times):
    corpus = making.corpus()
    annotations = [annotation(corpus, row, code, 4) for row, code in codes.items()]
    found = training_data.apply_annotations(corpus, annotations, times)
    expected = []
    for row in range(len(corpus)):
        label = (codes[row], 4) if row in codes else (corpus.reading[row], corpus.phase[row])
        expected += [(corpus.end[row], *label)] * (times if row in codes else 1)
    rows = zip(found.end, found.reading, found.phase, strict=True)
    assert [tuple(map(int, row)) for row in rows] == [tuple(map(int, row)) for row in expected]


@pytest.mark.parametrize("change", [{"symbol": "OTHERUSDT"}, {"interval": Interval.H1}])
def test_an_annotation_of_another_chart_at_the_same_time_changes_nothing(change):
    corpus = making.corpus()
    other = annotation(corpus, 3, 7).model_copy(update=change)
    found = training_data.apply_annotations(corpus, [other], 4)
    assert np.array_equal(found.reading, corpus.reading)
    assert len(found) == len(corpus)


def test_the_last_annotation_of_a_chart_counts():
    corpus = making.corpus()
    found = training_data.apply_annotations(
        corpus, [annotation(corpus, 2, 5), annotation(corpus, 2, 9)], 1
    )
    assert found.reading[2] == 9


def test_labels_of_the_corpus_given_are_left_as_they_are():
    corpus = making.corpus()
    before = corpus.reading.copy()
    training_data.apply_annotations(corpus, [annotation(corpus, 0, 11)], 2)
    assert np.array_equal(corpus.reading, before)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 60), st.integers(0, 999), st.floats(0, 1))
def test_sampled_rows_are_distinct_in_order_and_replayable(count, seed, balance):
    corpus = making.corpus()
    one, other = (training_data.sample_rows(corpus, count, seed, balance=balance) for _ in range(2))
    assert len(one) == min(count, len(corpus))
    assert (np.diff(one.end) > 0).all()
    assert np.array_equal(one.end, other.end)


def test_balance_draws_rare_classes_more_often():
    corpus = making.corpus()
    many = corpus.take(np.repeat([0], 380))
    rare = corpus.take(np.repeat([1], 20))
    joined = Corpus(
        corpus.tables,
        np.concatenate([many.table, rare.table]),
        np.concatenate([many.end, rare.end]),
        np.repeat([0, 1], [380, 20]).astype(np.int8),
        np.zeros(400, np.int8),
    )
    shares = [
        np.mean([
            (training_data.sample_rows(joined, 20, seed, balance=balance).reading == 1).mean()
            for seed in range(60)
        ])
        for balance in (0.0, 1.0)
    ]  # fmt: skip
    assert shares[0] == pytest.approx(0.05, abs=0.03)
    assert shares[1] > 0.3


def test_charts_are_drawn_in_the_canonical_style():
    corpus = making.corpus(count=3)
    charts = training_data.render_charts(corpus)
    assert np.array_equal(charts.pictures, raster.render(corpus.bars(np.arange(len(corpus)))))
    assert np.array_equal(charts.reading, corpus.reading)


def flat(pictures):
    """An image encoder of three numbers: mean colour."""
    vectors = pictures.reshape(len(pictures), -1, 3).mean(axis=1) + 1
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def test_embedded_charts_carry_labels_outcomes_and_origin(monkeypatch):
    monkeypatch.setattr(training_data, "_CHUNK", 3)  # chunks must not show
    one, two = making.corpus(count=5), making.corpus(count=4, seed=2)
    corpus = Corpus(
        one.tables + two.tables,
        np.repeat([0, 1], [len(one), len(two)]).astype(np.int32),
        np.concatenate([one.end, two.end]),
        np.concatenate([one.reading, two.reading]),
        np.concatenate([one.phase, two.phase]),
    )
    rows = training_data.embed_charts(corpus, flat, versions.manifest("v"))
    bars = corpus.bars(np.arange(len(corpus)))
    assert np.array_equal(rows.vectors, flat(raster.render(bars)))
    assert np.array_equal(rows.last_ms, corpus.last_ms)
    assert (rows.model, rows.style, rows.rules, rows.data) == ("v", "s", "r", "d")
    assert (rows.weight == 1).all()
    for code, part in enumerate((one, two)):
        expected = targets.forward_outcomes(corpus.tables[code], part.end.astype(np.int64))
        here = corpus.table == code
        for name in ("move", "best", "worst", "scale", "complete_ms"):
            left, right = getattr(rows.outcomes, name)[here], getattr(expected, name)
            assert np.array_equal(left, right, equal_nan=True), name
    assert rows.outcomes.move.shape == (len(corpus), len(HORIZONS))


def test_measured_facts_are_of_order_one_and_nan_where_none_applies():
    corpus = making.corpus(count=30)
    labels = rules.label(corpus.bars(np.arange(len(corpus))))
    found = training_data._measure(labels)
    names = (
        *training_data.LOG_DISTANCES, *training_data.BARS, *training_data.SIZES,
        *training_data.PARTS, *training_data.WHOLE_CHART,
    )  # fmt: skip
    assert found.shape == (len(corpus), training_data.FACTS)
    assert len(names) == training_data.FACTS
    facts = labels.facts
    for column, name in enumerate(names):
        for row in range(len(corpus)):
            value = float(facts[name][row])
            if name in training_data.WHOLE_CHART:
                expected = 2 * value
            elif value == 0:
                expected = np.nan
            elif name in training_data.LOG_DISTANCES:
                expected = value / max(facts["atr"][row] * facts["chart_atr"][row], 1e-12)
            elif name in training_data.BARS:
                expected = value / 24
            elif name in training_data.SIZES:
                expected = np.arcsinh(value)
            else:
                expected = 2 * value
            assert found[row, column] == pytest.approx(expected, rel=1e-5, nan_ok=True), name
    known = found[np.isfinite(found)]
    assert np.abs(known).max() < 50
    assert np.isnan(found).any()


def test_half_of_the_training_charts_are_drawn_in_another_style():
    bars = making.corpus(count=40).bars(np.arange(40))
    factory = training_data.example_factory(Captions())
    plain = raster.render(bars)
    drawn = factory.draw(bars, np.random.default_rng(0))
    changed = (drawn != plain).any(axis=(1, 2, 3)).mean()
    assert 0.25 < changed < 0.75
    assert np.array_equal(drawn, factory.draw(bars, np.random.default_rng(0)))
    assert not np.array_equal(drawn, factory.draw(bars, np.random.default_rng(1)))


def test_regions_of_an_example_have_the_shape_that_the_tower_classifies():
    bars = making.corpus(count=4).bars(np.arange(4))
    expected = making.locate(bars)
    found = training_data.example_factory(Captions()).locate(bars)
    assert [part.shape for part in found] == [part.shape for part in expected]


def test_prompts_name_every_class_and_are_all_known_words():
    model = tiny.reader()
    prompts = training_data.make_prompts(model, tiny.words(model).tokenizer)
    assert len(prompts.groups) == len(READINGS) + len(PHASES)
    assert all(len(set(group)) == len(group) >= 1 for group in prompts.groups)
    assert prompts.tokens(prompts.groups[0]).shape[1] == model.context


def test_a_new_data_root_has_no_captions(tmp_path):
    assert not training_data.read_captions(Paths(tmp_path))
