from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.clusters import embeddings, with_rows
from vision_ai.calibration import annotations
from vision_ai.calibration import fusion as calibrations
from vision_ai.calibration.annotations import AnnotationTransfer, NearbyAnnotations, TransferCurve
from vision_ai.calibration.bands import Bands
from vision_ai.calibration.fusion import Probabilities
from vision_ai.domain import PHASES, READINGS, Interval, Labelled, Neighbors

CURVES = TransferCurve(similarity=[0.8, 0.9, 1.0], reading=[0.0, 0.4, 1.0], phase=[0.0, 0.0, 1.0])
TRUST = AnnotationTransfer(pairs=100, shared=CURVES, other=CURVES)
CALIBRATION = calibrations.plain(embeddings(50), level=0.8).model_copy(
    update={"transfer": {Interval.M15: TRUST, Interval.H1: TRUST}}
)
MIRROR = np.array([READINGS.index(reading.mirror) for reading in READINGS])


def adjusted(machine: np.ndarray, said: list[tuple[float, int]]) -> np.ndarray:
    """One chart with the machine's probabilities, and words of (trust, reading code)."""
    trust = np.array([[t for t, _ in said]])
    codes = np.array([[code for _, code in said]], np.int64)
    return annotations.linear_pool(machine[None], trust.reshape(1, -1), codes.reshape(1, -1))[0]


@st.composite
def machines(draw: st.DrawFn) -> np.ndarray:
    rng = np.random.default_rng(draw(st.integers(0, 10_000)))
    return rng.dirichlet(np.full(len(READINGS), draw(st.sampled_from([0.05, 0.3, 3.0]))))


annotations_given = st.tuples(st.floats(0.0, 0.95), st.integers(0, len(READINGS) - 1))


@settings(max_examples=60, deadline=None)
@given(machines(), st.lists(annotations_given, max_size=6))
def test_annotations_leave_probabilities_and_one_is_a_mixture(machine, said):
    after = adjusted(machine, said)
    assert after.min() >= 0
    np.testing.assert_allclose(after.sum(), 1)
    if not any(trust > 0 for trust, _ in said):
        np.testing.assert_array_equal(after, machine)
    for trust, code in said[:1]:
        label = np.eye(len(READINGS))[code]
        mixture = trust * label + (1 - trust) * machine
        np.testing.assert_allclose(adjusted(machine, [(trust, code)]), mixture)


@settings(max_examples=60, deadline=None)
@given(machines(), st.lists(annotations_given, max_size=5), annotations_given)
def test_one_more_annotation_never_lowers_its_own_label(machine, said, more):
    before, after = adjusted(machine, said), adjusted(machine, [*said, more])
    assert after[more[1]] >= before[more[1]] - 1e-12


@settings(max_examples=60, deadline=None)
@given(machines(), st.floats(0.05, 0.95), st.permutations(range(len(READINGS))))
def test_annotations_that_contradict_leave_the_choice_to_the_machine(machine, trust, codes):
    one, other = codes[:2]
    after = adjusted(machine, [(trust, one), (trust, other)])
    alone = adjusted(machine, [(trust, one)])
    assert after[one] <= alone[one] + 1e-12
    assert (after[one] - after[other]) * (machine[one] - machine[other]) >= 0


@settings(max_examples=40, deadline=None)
@given(machines(), st.lists(annotations_given, min_size=1, max_size=4))
def test_mirrored_annotations_on_mirrored_charts_give_the_mirrored_answer(machine, said):
    mirrored = adjusted(machine[MIRROR], [(trust, int(MIRROR[code])) for trust, code in said])
    np.testing.assert_array_equal(mirrored, adjusted(machine, said)[MIRROR])


def probabilities(n: int, seed: int = 0) -> Probabilities:
    rng = np.random.default_rng(seed)
    nothing = Bands(*(np.zeros((n, 2)) for _ in range(6)))
    return Probabilities(
        rng.dirichlet(np.ones(len(READINGS)), n),
        rng.dirichlet(np.ones(len(PHASES)), n),
        np.ones(n, np.int64),
        nothing,
    )


def nearby(similarity: list[float], interval: str = "15m") -> tuple[NearbyAnnotations, np.ndarray]:
    rows = with_rows(embeddings(1), interval=np.array([interval]))
    labelled = Labelled(np.array([0]), rows, np.array(["anna"]), rows.close_ms)
    alike = np.array(similarity, np.float32)[:, None]
    near = Neighbors(np.where(alike > -1, 0, -1), alike)
    return NearbyAnnotations.of(labelled, near, np.zeros(alike.shape, np.bool_)), rows.reading


@settings(max_examples=30, deadline=None)
@given(st.lists(st.floats(-1, 0.799), min_size=1, max_size=5), st.integers(0, 100))
def test_annotations_of_unlike_charts_change_no_bit(similarity, seed):
    before = probabilities(len(similarity), seed)
    said, _ = nearby(similarity)
    after = calibrations.apply_annotations(
        before, np.full(len(similarity), "15m"), said, CALIBRATION
    )
    np.testing.assert_array_equal(after.reading, before.reading)
    np.testing.assert_array_equal(after.phase, before.phase)
    np.testing.assert_array_equal(after.abstain_code, before.abstain_code)


def test_the_same_picture_takes_the_persons_label_less_their_own_error():
    before = probabilities(3)
    said, code = nearby([1.0, 0.9, 0.5])
    after = calibrations.apply_annotations(before, np.full(3, "15m"), said, CALIBRATION)
    told = after.reading[:, code[0]]
    trust = np.array([0.95, 0.95 * 0.4, 0.0])
    expected = trust + (1 - trust) * before.reading[:, code[0]]
    np.testing.assert_allclose(told, expected, rtol=1e-6)
    # a chart that was never seen is answered once a word more likely holds than not
    assert after.abstain_code.tolist() == [0, 1, 1]


def test_without_fitted_curves_no_annotation_counts():
    old = CALIBRATION.model_copy(update={"transfer": {}})
    written = old.model_dump(mode="json", exclude={"transfer", "human_error"})
    loaded = calibrations.Calibration.model_validate(written)
    assert loaded.transfer == {}
    before = probabilities(1)
    said, _ = nearby([1.0])
    after = calibrations.apply_annotations(before, np.array(["15m"]), said, loaded)
    np.testing.assert_array_equal(after.reading, before.reading)


def fold(n: int, noise: float, seed: int = 0) -> tuple[annotations.Embeddings, np.ndarray]:
    rows = embeddings(n, seed=seed, dim=24, symbols=200, noise=noise)
    return with_rows(rows, interval=np.full(n, "15m")), np.eye(len(READINGS))


def phases(rows: annotations.Embeddings) -> np.ndarray:
    return np.eye(len(PHASES))[rows.phase.astype(int)] * (1 - 5e-5) + 1e-5


def test_annotations_transfer_where_the_machine_knows_nothing_and_not_where_it_knows_all():
    rows, hot = fold(1500, noise=0.05)
    blind = np.full((len(rows), len(READINGS)), 1 / len(READINGS))
    knows = hot[rows.reading.astype(int)] * (1 - 1e-5) + 1e-5 / len(READINGS)
    guided = annotations.fit(rows, blind, phases(rows))[Interval.M15].other
    silent = annotations.fit(rows, knows, phases(rows))[Interval.M15].other
    assert guided.reading[-2] > 0.6
    assert max(silent.reading[:-1]) == 0.0
    assert guided.reading == sorted(guided.reading)
    assert max(guided.phase[:-1]) == 0.0  # the machine knows the phases


def test_a_machine_that_is_wrong_throughout_is_corrected():
    """Its errors are shared by charts that look alike: there a word is worth most."""
    rows, hot = fold(1500, noise=0.05)
    wrong = hot[(rows.reading.astype(int) + 1) % len(READINGS)] * 0.9 + 0.1 / len(READINGS)
    assert annotations.fit(rows, wrong, phases(rows))[Interval.M15].other.reading[-2] > 0.6


@pytest.mark.parametrize("seed", range(4))
def test_charts_that_share_nothing_transfer_nothing(seed):
    rows, _ = fold(1000, noise=0.05, seed=seed)
    shuffled = np.random.default_rng(seed).permutation(rows.reading)
    rows = with_rows(rows, reading=shuffled)
    blind = np.full((len(rows), len(READINGS)), 1 / len(READINGS))
    curve = annotations.fit(rows, blind, phases(rows))[Interval.M15].other
    assert max(curve.reading[:-1]) <= 0.1


def test_small_folds_transfer_nothing():
    rows, _ = fold(annotations.LEAST_CHARTS - 1, noise=0.05)
    blind = np.full((len(rows), len(READINGS)), 1 / len(READINGS))
    assert annotations.fit(rows, blind, phases(rows)) == {}


def test_charts_on_the_same_candles_have_a_curve_of_their_own():
    """Neighbours in time keep their label; charts elsewhere that look as much alike do not."""
    rows, _ = fold(1200, noise=0.0)
    rng = np.random.default_rng(0)
    hours = np.arange(len(rows)) // 6
    same = replace(
        rows,
        symbol=np.array([f"S{h}USDT" for h in hours]),
        reading=rng.integers(0, len(READINGS), hours.max() + 1)[hours].astype(np.int8),
        last_ms=rows.last_ms[0] + hours * 10**9 + np.arange(len(rows)) % 6 * 900_000,
        vectors=np.repeat(rows.vectors[:1], len(rows), axis=0),
    )
    blind = np.full((len(rows), len(READINGS)), 1 / len(READINGS))
    found = annotations.fit(same, blind, phases(same))[Interval.M15]
    assert found.shared.reading[-2] > 0.6
    assert found.other.reading[-2] < 0.2
