import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.clusters import START, centres, embeddings
from vision_ai.calibration import votes
from vision_ai.domain import PHASES, READINGS, Neighbors
from vision_ai.errors import StaleIndexError
from vision_ai.index import Index, PointInTimeFilter, Spans

LATER = START + 10**12


def evidence(asked, exemplars, prompts=None, k=8):
    queries = Spans.at(asked.symbol.tolist(), asked.interval.tolist(), [LATER] * len(asked))
    neighbors = Index(exemplars).search(
        asked.vectors, queries, eligibility=PointInTimeFilter(), k=k
    )
    return votes.gather(
        asked.vectors,
        neighbors,
        exemplars,
        prompts,
        interval=asked.interval,
        scale=asked.outcomes.scale,
    )


def test_votes_are_the_sum_of_their_strengths():
    exemplars, asked = embeddings(200), embeddings(6, seed=1)
    seen = evidence(asked, exemplars)
    strength = votes.strengths(seen, beta=7.0)
    prior = np.full(len(READINGS), 1 / len(READINGS))
    share = votes.shares(strength, seen.reading, prior, smoothing=0.5)
    for q in range(len(asked)):
        expected = 0.5 * prior.copy()
        for place, row in enumerate(seen.rows[q]):
            loud = exemplars.weight[row] * np.exp(-7 * (1 - seen.similarity[q, place]))
            expected[exemplars.reading[row]] += loud
        np.testing.assert_allclose(share[q], expected / expected.sum(), rtol=1e-12)


@given(seed=st.integers(0, 1000), smoothing=st.floats(0.01, 10))
def test_order_of_neighbors_does_not_matter(seed, smoothing):
    rng = np.random.default_rng(seed)
    strength, codes = rng.random((3, 9)), rng.integers(0, 5, (3, 9))
    prior = np.full(5, 0.2)
    order = rng.permutation(9)
    plain = votes.shares(strength, codes, prior, smoothing)
    shuffled = votes.shares(strength[:, order], codes[:, order], prior, smoothing)
    np.testing.assert_allclose(plain, shuffled, rtol=1e-12)
    np.testing.assert_allclose(plain.sum(axis=1), 1)


def test_padded_neighbors_have_no_vote():
    exemplars, asked = embeddings(50), embeddings(2, seed=1)
    rows = np.array([[3, -1, -1], [-1, -1, -1]])
    similarity = np.where(rows >= 0, 0.9, -np.inf).astype(np.float32)
    seen = votes.gather(
        asked.vectors,
        Neighbors(rows, similarity),
        exemplars,
        None,
        interval=asked.interval,
        scale=asked.outcomes.scale,
    )
    assert seen.voters.tolist() == [1, 0]
    np.testing.assert_allclose(seen.mean_similarity, [0.9, 0.0], rtol=1e-6)
    prior = np.full(len(READINGS), 1 / len(READINGS))
    share = votes.shares(votes.strengths(seen, 20), seen.reading, prior, 0.1)
    np.testing.assert_allclose(share[1], prior)
    assert share[0].argmax() == exemplars.reading[3]


def test_prompts_point_where_their_mean_points():
    rng = np.random.default_rng(0)
    some = [rng.normal(size=(n + 1, 16)) for n in range(len(READINGS))]
    found = votes.prototypes(some, some[: len(PHASES)])
    np.testing.assert_allclose(np.linalg.norm(found.reading, axis=1), 1, rtol=1e-6)
    mean = some[2].mean(axis=0)
    np.testing.assert_allclose(found.phase[2], mean / np.linalg.norm(mean), rtol=1e-5)


def test_prompts_of_another_model_are_refused():
    prompts = votes.Prototypes(centres(8).astype("f4"), centres(8)[:5].astype("f4"))
    with pytest.raises(StaleIndexError, match="Prompts"):
        evidence(embeddings(2), embeddings(20), prompts)
