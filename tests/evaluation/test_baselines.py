import numpy as np
import pytest

from tests.clusters import HOUR, START, embeddings, with_rows
from vision_ai.domain import READINGS
from vision_ai.errors import ImageError
from vision_ai.evaluation import baselines
from vision_ai.index import PointInTimeFilter, PurgeAndEmbargo, Spans

LATER = START + 50_000 * HOUR
PURGE = PurgeAndEmbargo(0)


def test_majority_answers_with_the_commonest_label():
    rows = embeddings(300)
    guess = baselines.answer_majority(rows, 4)
    values, counts = np.unique(rows.reading, return_counts=True)
    assert guess.reading.tolist() == [values[counts.argmax()]] * 4
    assert guess.confidence[0] == pytest.approx(counts.max() / 300)


def test_pixels_are_means_of_cells_of_the_picture():
    pictures = np.random.default_rng(0).integers(0, 256, (3, 192, 96, 3)).astype(np.uint8)
    found = baselines.pixel_features(pictures)
    cells = np.array(
        [
            [pictures[1, 8 * r : 8 * r + 8, 4 * c : 4 * c + 4].mean(axis=(0, 1)) for c in range(24)]
            for r in range(24)
        ]
    ).ravel()
    cells -= cells.mean()
    np.testing.assert_allclose(found[1], cells / np.linalg.norm(cells), atol=1e-5)
    with pytest.raises(ImageError, match="multiples of 8 x 4"):
        baselines.pixel_features(pictures[:, :190])


def test_cosine_of_returns_is_their_correlation_at_any_price():
    rng = np.random.default_rng(0)
    bars = np.exp(rng.normal(0, 0.01, (2, 96, 5)).cumsum(axis=1))
    found = baselines.return_features(bars)
    moves = np.diff(np.log(bars[:, :, 3]), axis=1)
    assert found[0] @ found[1] == pytest.approx(np.corrcoef(moves)[0, 1], abs=1e-5)
    np.testing.assert_allclose(baselines.return_features(bars * 1e6), found, atol=1e-5)


def test_nearest_neighbours_vote_under_the_same_purge():
    rows, asked = embeddings(800, noise=0.1), embeddings(100, seed=1, noise=0.1, start_ms=LATER)
    guess = baselines.answer_by_neighbors(
        rows, rows.vectors, asked.vectors, Spans.of(asked), eligibility=PurgeAndEmbargo(0), k=5
    )
    assert (guess.reading == asked.reading).mean() > 0.95
    assert (guess.phase == asked.phase).mean() > 0.95
    same_time = embeddings(100, seed=1, noise=0.1, hours=1)
    one_hour = embeddings(800, noise=0.1, hours=1)
    blind = baselines.answer_by_neighbors(
        one_hour,
        one_hour.vectors,
        same_time.vectors,
        Spans.of(same_time),
        eligibility=PurgeAndEmbargo(0),
        k=5,
    )
    assert len(set(blind.reading.tolist())) == 1  # nobody may speak: the commonest label


def test_a_probe_reads_what_lies_in_clusters() -> None:
    pytest.importorskip("sklearn", reason="needs the evaluate extra")
    rows, asked = embeddings(900, noise=0.1), embeddings(80, seed=1, noise=0.1, start_ms=LATER)
    guess = baselines.answer_by_probe(rows.vectors, rows, asked.vectors, np.ones(900))
    assert (guess.reading == asked.reading).mean() > 0.95
    assert (guess.phase == asked.phase).mean() > 0.9
    assert ((guess.confidence > 0) & (guess.confidence <= 1)).all()


def test_trees_read_what_lies_in_clusters_and_need_not_know_every_class() -> None:
    pytest.importorskip("lightgbm", reason="needs the evaluate extra")
    rows = embeddings(900, noise=0.1)
    rows = rows.take(rows.reading != 3)
    asked = embeddings(80, seed=1, noise=0.1, start_ms=LATER)
    guess = baselines.answer_by_trees(rows.vectors, rows, asked.vectors, np.ones(len(rows)))
    known = asked.reading != 3
    assert (guess.reading == asked.reading)[known].mean() > 0.8
    assert 3 not in guess.reading


def walks(shape: int, shift: int) -> np.ndarray:
    """Bars (1, 96, 5) of one of several shapes, shifted by a few candles."""
    at = np.arange(96) - shift
    path = np.sin(at / (4.0 + 3 * shape)) * 0.02
    price = 100 * np.exp(path)
    return np.stack([price] * 4 + [np.ones(96)], axis=1)[None]


def test_warping_finds_a_shifted_chart_of_the_same_shape() -> None:
    pytest.importorskip("dtaidistance", reason="needs the evaluate extra")
    shapes = np.arange(60) % 3
    known = np.concatenate([walks(int(shape), 0) for shape in shapes])
    rows = with_rows(
        embeddings(60),
        reading=shapes.astype(np.int8),
        phase=shapes.astype(np.int8),
        interval=np.full(60, "1h"),
    )
    asked = np.concatenate([walks(shape, 4) for shape in range(3)])
    queries = Spans.at(["QQQUSDT"] * 3, ["1h"] * 3, [LATER] * 3)
    guess = baselines.answer_by_warping(known, rows, asked, queries, eligibility=PURGE, k=5)
    assert guess.reading.tolist() == [0, 1, 2]
    other = Spans.at(["QQQUSDT"] * 3, ["15m"] * 3, [LATER] * 3)
    blind = baselines.answer_by_warping(known, rows, asked, other, eligibility=PURGE, k=5)
    assert len(set(blind.reading.tolist())) == 1  # nobody may speak


def test_prompts_alone_answer_with_the_nearest() -> None:
    cosine = np.zeros((2, len(READINGS)))
    cosine[0, 4], cosine[1, 7] = 0.5, 0.9
    guess = baselines.answer_by_prompts(cosine, np.eye(5)[:2], scale=10.0)
    assert guess.reading.tolist() == [4, 7]
    assert guess.phase.tolist() == [0, 1]
    assert guess.confidence[1] > guess.confidence[0]


def test_random_charts_are_of_the_same_interval_and_volatility_and_were_known() -> None:
    rows = embeddings(2000, symbols=40)
    asked = embeddings(60, seed=1, hours=1000)
    queries, scale = Spans.of(asked), asked.outcomes.scale
    near = baselines.draw_same_regime(rows, queries, scale, eligibility=PointInTimeFilter(), k=6)
    for i in range(60):
        found = near.rows[i][near.rows[i] >= 0]
        assert (rows.interval[found] == asked.interval[i]).all()
        assert (rows.outcomes.complete_ms[found].max(axis=1) <= queries.as_of_ms[i]).all()
        own = rows.outcomes.scale[rows.interval == asked.interval[i]]
        edges = np.quantile(own, [1 / 3, 2 / 3])
        regimes = np.searchsorted(edges, rows.outcomes.scale[found])
        assert (regimes == np.searchsorted(edges, scale[i])).all()
    again = baselines.draw_same_regime(rows, queries, scale, eligibility=PointInTimeFilter(), k=6)
    assert (again.rows == near.rows).all()
