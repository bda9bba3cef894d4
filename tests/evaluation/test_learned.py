import numpy as np
import pytest

from tests.clusters import HOUR, START, embeddings, with_rows
from vision_ai.domain import READINGS
from vision_ai.evaluation import baselines, learned
from vision_ai.index import PointInTimeFilter, PurgeAndEmbargo, Spans

LATER = START + 50_000 * HOUR
PURGE = PurgeAndEmbargo(0)


def test_a_probe_reads_what_lies_in_clusters() -> None:
    pytest.importorskip("sklearn", reason="needs the evaluate extra")
    rows, asked = embeddings(900, noise=0.1), embeddings(80, seed=1, noise=0.1, start_ms=LATER)
    guess = learned.probe(rows.vectors, rows, asked.vectors, np.ones(900))
    assert (guess.reading == asked.reading).mean() > 0.95
    assert (guess.phase == asked.phase).mean() > 0.9
    assert ((guess.confidence > 0) & (guess.confidence <= 1)).all()


def test_trees_read_what_lies_in_clusters_and_need_not_know_every_class() -> None:
    pytest.importorskip("lightgbm", reason="needs the evaluate extra")
    rows = embeddings(900, noise=0.1)
    rows = rows.take(rows.reading != 3)
    asked = embeddings(80, seed=1, noise=0.1, start_ms=LATER)
    guess = learned.trees(rows.vectors, rows, asked.vectors, np.ones(len(rows)))
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
    guess = learned.warped(known, rows, asked, queries, eligibility=PURGE, k=5)
    assert guess.reading.tolist() == [0, 1, 2]
    other = Spans.at(["QQQUSDT"] * 3, ["15m"] * 3, [LATER] * 3)
    blind = learned.warped(known, rows, asked, other, eligibility=PURGE, k=5)
    assert len(set(blind.reading.tolist())) == 1  # nobody may speak


def test_prompts_alone_answer_with_the_nearest() -> None:
    cosine = np.zeros((2, len(READINGS)))
    cosine[0, 4], cosine[1, 7] = 0.5, 0.9
    guess = baselines.zero_shot(cosine, np.eye(5)[:2], scale=10.0)
    assert guess.reading.tolist() == [4, 7]
    assert guess.phase.tolist() == [0, 1]
    assert guess.confidence[1] > guess.confidence[0]


def test_random_charts_are_of_the_same_interval_and_volatility_and_were_known() -> None:
    rows = embeddings(2000, symbols=40)
    asked = embeddings(60, seed=1, hours=1000)
    queries, scale = Spans.of(asked), asked.outcomes.scale
    near = baselines.same_regime(rows, queries, scale, eligibility=PointInTimeFilter(), k=6)
    for i in range(60):
        found = near.rows[i][near.rows[i] >= 0]
        assert (rows.interval[found] == asked.interval[i]).all()
        assert (rows.outcomes.complete_ms[found].max(axis=1) <= queries.as_of_ms[i]).all()
        own = rows.outcomes.scale[rows.interval == asked.interval[i]]
        edges = np.quantile(own, [1 / 3, 2 / 3])
        regimes = np.searchsorted(edges, rows.outcomes.scale[found])
        assert (regimes == np.searchsorted(edges, scale[i])).all()
    again = baselines.same_regime(rows, queries, scale, eligibility=PointInTimeFilter(), k=6)
    assert (again.rows == near.rows).all()
