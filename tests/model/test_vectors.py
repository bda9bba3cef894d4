import io
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.model import making
from vision_ai.errors import CorruptFileError, StorageError
from vision_ai.model import vectors

COLUMNS = ("symbol", "interval", "last_ms", "reading", "phase", "weight")


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**31), st.integers(1, 40), st.integers(2, 64))
def test_what_is_saved_is_loaded(tmp_path_factory, seed, n, d):
    path = tmp_path_factory.mktemp("v") / "e.parquet"
    one = making.embeddings(n, d, seed)
    vectors.save(path, one)
    other = vectors.load(path)
    for name in COLUMNS:
        assert np.array_equal(getattr(one, name), getattr(other, name)), name
    for name in ("move", "best", "worst", "scale"):
        expected = getattr(one.outcomes, name)
        assert np.allclose(expected, getattr(other.outcomes, name), rtol=1e-6, equal_nan=True)
    assert np.array_equal(one.outcomes.complete_ms, other.outcomes.complete_ms)
    assert (one.vectors * other.vectors).sum(axis=1).min() > 0.9999
    assert np.allclose(np.linalg.norm(other.vectors, axis=1), 1, atol=1e-6)
    marks = ("model", "style", "rules", "data")
    assert [getattr(one, m) for m in marks] == [getattr(other, m) for m in marks]


def test_no_rows_are_legal(tmp_path):
    none = making.embeddings().take(np.zeros(7, bool))
    vectors.save(tmp_path / "e.parquet", none)
    assert len(vectors.load(tmp_path / "e.parquet")) == 0


def test_equal_rows_are_equal_bytes():
    assert vectors.dump(making.embeddings()) == vectors.dump(making.embeddings())


@settings(max_examples=25, deadline=None)
@given(st.floats(0, 0.99))
def test_a_truncated_file_is_one_sentence(tmp_path_factory, share):
    path = tmp_path_factory.mktemp("v") / "e.parquet"
    payload = vectors.dump(making.embeddings())
    path.write_bytes(payload[: int(share * len(payload))])
    with pytest.raises(CorruptFileError) as caught:
        vectors.load(path, repair="mend it")
    assert caught.value.hint == "mend it"


def test_a_missing_file_is_one_sentence(tmp_path):
    with pytest.raises(CorruptFileError, match="missing"):
        vectors.load(tmp_path / "none.parquet")


def test_a_file_of_another_format_is_refused(tmp_path):
    path = tmp_path / "texts.parquet"
    texts = vectors.TextVectors(["a"], ["range:neutral"], np.ones((1, 4), np.float32))
    vectors.save_texts(path, texts, model="m")
    with pytest.raises(CorruptFileError, match="format"):
        vectors.load(path)
    assert pq.read_table(path).column("label").to_pylist() == ["range:neutral"]


EVERY = pq.read_table(io.BytesIO(vectors.dump(making.embeddings()))).column_names
STRANGE = ["x", None, 1e300, -5.0, float("nan"), [1.0], []]


@pytest.mark.parametrize("name", EVERY)
@pytest.mark.parametrize("value", STRANGE, ids=str)
def test_a_column_of_another_form_is_one_sentence(tmp_path, name, value):
    table = pq.read_table(io.BytesIO(vectors.dump(making.embeddings())))
    at = table.schema.get_field_index(name)
    changed = table.set_column(at, name, pa.array([value] * len(table)))
    pq.write_table(changed.replace_schema_metadata(table.schema.metadata), tmp_path / "e.parquet")
    with pytest.raises(CorruptFileError):
        vectors.load(tmp_path / "e.parquet")


@pytest.mark.parametrize(
    ("name", "value"), [("interval", "5m"), ("weight", np.nan), ("weight", -1)], ids=str
)
def test_values_that_cannot_be_are_refused(tmp_path, name, value):
    one = making.embeddings()
    column = getattr(one, name).astype(object)
    column[2] = value
    changed = replace(one, **{name: column.astype(getattr(one, name).dtype)})
    vectors.save(tmp_path / "e.parquet", changed)
    with pytest.raises(CorruptFileError, match=name):
        vectors.load(tmp_path / "e.parquet")


@pytest.mark.parametrize("facet", ["reading", "phase"])
def test_codes_out_of_range_are_refused(tmp_path, facet):
    one = making.embeddings()
    getattr(one, facet)[2] = 99
    vectors.save(tmp_path / "e.parquet", one)
    with pytest.raises(CorruptFileError, match=facet):
        vectors.load(tmp_path / "e.parquet")


def test_vectors_that_are_not_finite_are_refused(tmp_path):
    one = making.embeddings()
    one.vectors[1, 1] = np.nan
    vectors.save(tmp_path / "e.parquet", one)
    with pytest.raises(CorruptFileError, match="finite"):
        vectors.load(tmp_path / "e.parquet")


def test_a_save_that_fails_leaves_the_earlier_file(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError):
        vectors.save(tmp_path / "file" / "e.parquet", making.embeddings())


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**31), st.integers(1, 20))
def test_reweighting_changes_weights_and_model_alone(tmp_path_factory, seed, n):
    folder = tmp_path_factory.mktemp("v")
    vectors.save(folder / "e.parquet", making.embeddings(n, 6, seed))
    before = vectors.load(folder / "e.parquet")
    weight = np.random.default_rng(seed).random(n).astype(np.float32)
    payload = vectors.reweight(folder / "e.parquet", weight, model="child")
    (folder / "child.parquet").write_bytes(payload)
    after = vectors.load(folder / "child.parquet")
    assert np.array_equal(after.weight, weight)
    assert after.model == "child"
    assert np.array_equal(after.vectors, before.vectors)
    for name in ("symbol", "interval", "last_ms", "reading", "phase"):
        assert np.array_equal(getattr(after, name), getattr(before, name)), name
    assert (after.style, after.rules, after.data) == (before.style, before.rules, before.data)


@settings(max_examples=15, deadline=None)
@given(st.lists(st.text(max_size=30), min_size=1, max_size=5))
def test_vectors_of_texts_are_kept_with_sentence_and_label(tmp_path_factory, sentences):
    path = tmp_path_factory.mktemp("v") / "texts.parquet"
    rows = np.random.default_rng(len(sentences)).normal(size=(len(sentences), 4))
    labels = [f"label-{number}" for number in range(len(sentences))]
    texts = vectors.TextVectors(sentences, labels, rows.astype(np.float32))
    vectors.save_texts(path, texts, model="m")
    table = pq.read_table(path)
    assert table.column("sentence").to_pylist() == sentences
    assert table.column("label").to_pylist() == labels
    assert np.allclose(table.column("vector").to_pylist(), rows, atol=2e-3)
    assert table.schema.metadata[b"model"] == b"m"
