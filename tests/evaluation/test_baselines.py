import numpy as np
import pytest

from tests.clusters import HOUR, START, embeddings
from vision_ai.errors import ImageError
from vision_ai.evaluation import baselines
from vision_ai.index import PurgeAndEmbargo, Spans

LATER = START + 50_000 * HOUR


def test_majority_answers_with_the_commonest_label():
    rows = embeddings(300)
    guess = baselines.majority(rows, 4)
    values, counts = np.unique(rows.reading, return_counts=True)
    assert guess.reading.tolist() == [values[counts.argmax()]] * 4
    assert guess.confidence[0] == pytest.approx(counts.max() / 300)


def test_pixels_are_means_of_cells_of_the_picture():
    pictures = np.random.default_rng(0).integers(0, 256, (3, 192, 96, 3)).astype(np.uint8)
    found = baselines.pixels(pictures)
    cells = np.array(
        [
            [pictures[1, 8 * r : 8 * r + 8, 4 * c : 4 * c + 4].mean(axis=(0, 1)) for c in range(24)]
            for r in range(24)
        ]
    ).ravel()
    cells -= cells.mean()
    np.testing.assert_allclose(found[1], cells / np.linalg.norm(cells), atol=1e-5)
    with pytest.raises(ImageError, match="multiples of 8 x 4"):
        baselines.pixels(pictures[:, :190])


def test_cosine_of_returns_is_their_correlation_at_any_price():
    rng = np.random.default_rng(0)
    bars = np.exp(rng.normal(0, 0.01, (2, 96, 5)).cumsum(axis=1))
    found = baselines.returns(bars)
    moves = np.diff(np.log(bars[:, :, 3]), axis=1)
    assert found[0] @ found[1] == pytest.approx(np.corrcoef(moves)[0, 1], abs=1e-5)
    np.testing.assert_allclose(baselines.returns(bars * 1e6), found, atol=1e-5)


def test_nearest_neighbours_vote_under_the_same_purge():
    rows, asked = embeddings(800, noise=0.1), embeddings(100, seed=1, noise=0.1, start_ms=LATER)
    guess = baselines.nearest(
        rows, rows.vectors, asked.vectors, Spans.of(asked), eligibility=PurgeAndEmbargo(0), k=5
    )
    assert (guess.reading == asked.reading).mean() > 0.95
    assert (guess.phase == asked.phase).mean() > 0.95
    same_time = embeddings(100, seed=1, noise=0.1, hours=1)
    one_hour = embeddings(800, noise=0.1, hours=1)
    blind = baselines.nearest(
        one_hour,
        one_hour.vectors,
        same_time.vectors,
        Spans.of(same_time),
        eligibility=PurgeAndEmbargo(0),
        k=5,
    )
    assert len(set(blind.reading.tolist())) == 1  # nobody may speak: the commonest label
