"""What a challenger learns from, votes with, is chosen on and judged on."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

pytest.importorskip("torch", reason="needs the train extra")

from tests.clusters import embeddings
from tests.feedback.examples import AS_OF, H_MS, M15, line, prediction, walk
from vision_ai import storage
from vision_ai.config import Config, Paths
from vision_ai.domain import PHASES, READINGS, WINDOW, Embeddings, Klines, Label, iso
from vision_ai.feedback_loop_cv import Stages
from vision_ai.labels import rules
from vision_ai.labels.captions import Captions
from vision_ai.labels.review import Action, make_correction
from vision_ai.market.store import Store
from vision_ai.measures import targets
from vision_ai.measures.purge import Spans
from vision_ai.model.training.batches import Corpus
from vision_ai.pipeline.labelling import select
from vision_ai.pipeline.learning import curriculum
from vision_ai.pipeline.learning.curriculum import LEAST, MOST_REPEATS, TuneConfig
from vision_ai.pipeline.workspace import Workspace
from vision_ai.records import Feedback

pytestmark = pytest.mark.train

COUNT = 1400
START = AS_OF - COUNT * M15
CANDLES = walk(COUNT, START, seed=5, symbol="AAAUSDT")
LEARNED, CHOOSING, JUDGING = range(300, 360), range(700, 760), range(1100, 1160)
UNTIL_MS, CHOSEN_UNTIL_MS = START + 500 * M15, START + 900 * M15


def corpus(ends: list[int] | range, *, code: int = 1) -> Corpus:
    end = np.array(ends, np.int32)
    codes = np.full(len(end), code, np.int8)
    return Corpus((CANDLES,), np.zeros(len(end), np.int32), end, codes, codes)


# Settings.


@pytest.mark.parametrize(
    "changes",
    [{"resolved_share": 1.0}, {"resolved_share": 0.0}, {"replay": -1}, {"exemplars": LEAST - 1},
     {"tried_on": LEAST - 1}, {"least_gain": -0.1}],
    ids=str,
)  # fmt: skip
def test_settings_out_of_range_are_refused(changes: dict[str, float]) -> None:
    with pytest.raises(ValidationError):
        TuneConfig.model_validate(changes)


def test_heads_and_hard_examples_teach_nothing_by_default() -> None:
    """Heads are not kept with a model, and labels of charts in use may be noise."""
    recipe = TuneConfig().recipe
    assert (recipe.head_weight, recipe.fact_weight, recipe.hard) == (0, 0, 0)


# Which rows, and how often.


@given(learned=st.integers(1, 300), replayed=st.integers(0, 3000), share=st.floats(0.05, 0.95))
def test_resolved_charts_are_repeated_to_about_their_share(
    learned: int, replayed: int, share: float
) -> None:
    ends = np.arange(WINDOW, WINDOW + max(learned, replayed)) % (COUNT - WINDOW) + WINDOW - 1
    mine, theirs = corpus(ends[:learned].tolist()), corpus(ends[:replayed].tolist(), code=2)
    training = curriculum._training_charts(mine, theirs, share, Captions())
    counts = np.bincount(training.reading, minlength=3)
    times, rest = divmod(int(counts[1]), learned)
    assert rest == 0
    assert counts[2] == replayed
    assert 1 <= times <= MOST_REPEATS
    if 1 < times < MOST_REPEATS:  # as near to the share as whole repeats come
        wanted = share / (1 - share) * replayed / learned
        assert abs(times - wanted) <= 0.5


def test_a_persons_label_is_learned_from_several_times() -> None:
    window = CANDLES[300 + 1 - WINDOW : 301]
    subject = select.subject_of(window, rules.label(window.bars[None])[0])
    label = Label(READINGS[0], PHASES[3], source="human")
    said = make_correction(subject, Action.CORRECT, label, who="anna", at=iso(AS_OF))
    people = Captions.of([], [said])
    plain = curriculum._training_charts(corpus([300, 310]), corpus([]), 0.5, Captions())
    training = curriculum._training_charts(corpus([300, 310]), corpus([]), 0.5, people)
    corrected = training.end == 300
    assert set(zip(training.reading[corrected], training.phase[corrected], strict=True)) == {(0, 3)}
    assert corrected.sum() > (plain.end == 300).sum()
    assert (training.end == 310).sum() == (plain.end == 310).sum()


@given(count=st.integers(-2, 30), size=st.integers(0, 20))
def test_some_rows_are_drawn_once_each_and_in_their_order(count: int, size: int) -> None:
    whole = corpus(range(WINDOW, WINDOW + size))
    drawn = curriculum.some(whole, count, seed=1)
    assert len(drawn) == max(0, min(count, size))
    assert (np.diff(drawn.end) > 0).all()
    assert np.array_equal(drawn.end, curriculum.some(whole, count, seed=1).end)


# The whole: from stored calls to corpora.


def lines_of(ends: range) -> list[Feedback]:
    times = [int(CANDLES.close_ms[end]) for end in ends]
    return [line(symbol="AAAUSDT", as_of_ms=at) for at in times]


@pytest.fixture(scope="module")
def workspace(tmp_path_factory) -> Workspace:
    """Candles, and a call on them at each of the times of the three folds."""
    paths = Paths(tmp_path_factory.mktemp("data"))
    Store(paths, "simulated-1-linear").add(CANDLES)
    for end in (*LEARNED, *CHOOSING, *JUDGING):
        call = prediction(symbol="AAAUSDT", as_of_ms=int(CANDLES.close_ms[end]))
        window = CANDLES[end + 1 - WINDOW : end + 1]
        known = {"klines_hash": window.digest, "last_candle": iso(int(window.open_ms[-1]))}
        intervals = {
            interval: reading.model_copy(update=known if interval == "15m" else {})
            for interval, reading in call.intervals.items()
        }
        call = call.model_copy(update={"intervals": intervals})
        storage.write_document(paths.prediction("AAAUSDT", int(CANDLES.close_ms[end])), call)
    return Workspace(Config(), paths)


def folds(**changes: object) -> Stages:
    whole = Stages(
        "m1", 1, lines_of(LEARNED), lines_of(CHOOSING), lines_of(JUDGING), UNTIL_MS,
        CHOSEN_UNTIL_MS, AS_OF,
    )  # fmt: skip
    return replace(whole, **changes)


def exemplars(klines: Klines, ends: list[int]) -> Embeddings:
    rows = embeddings(len(ends))
    return replace(
        rows,
        symbol=np.array([klines.symbol] * len(ends)),
        interval=np.array([klines.interval.value] * len(ends)),
        last_ms=klines.open_ms[ends],
        outcomes=targets.forward_outcomes(klines, np.array(ends)),
    )


CONFIG = TuneConfig(replay=40, exemplars=100, tried_on=LEAST, tried_with=LEAST)


@pytest.fixture(scope="module")
def prepared(workspace: Workspace) -> curriculum.Curriculum:
    index = exemplars(CANDLES, [150, 160, 170, 1200])
    found = curriculum.prepare(workspace, CONFIG, folds(), index, None)
    assert isinstance(found, curriculum.Curriculum)
    return found


def ends_of(part: Corpus) -> set[int]:
    quarter_hours = part.take(part.interval == "15m")
    return {int(end) for end in np.searchsorted(CANDLES.open_ms, quarter_hours.last_ms)}


def test_each_fold_holds_the_charts_of_its_calls(prepared) -> None:
    assert ends_of(prepared.choosing) == set(CHOOSING)
    assert ends_of(prepared.judging) == set(JUDGING)
    assert set(LEARNED) <= ends_of(prepared.training)
    assert len(prepared.judging) == len(JUDGING)


def test_nothing_is_learned_from_that_was_settled_after_the_wall(prepared) -> None:
    """Exemplar 1200 is of the judging time: it may vote, and is not replayed."""
    training = prepared.training
    spans = Spans.at(training.symbol, training.interval, training.close_ms)
    own = np.isin(np.searchsorted(CANDLES.open_ms, training.last_ms), list(LEARNED))
    assert (spans.known_ms[~own] <= UNTIL_MS).all()
    assert 1200 not in ends_of(training)
    assert 1200 in ends_of(prepared.known)


def test_half_of_the_votes_at_most_are_of_resolved_charts_and_each_chart_votes_once(
    prepared,
) -> None:
    keys = list(zip(prepared.known.interval.tolist(), prepared.known.last_ms.tolist(), strict=True))
    assert len(keys) == len(set(keys)) <= CONFIG.exemplars
    resolved_voters = ends_of(prepared.known) & set(LEARNED)
    assert 0 < len(resolved_voters) <= CONFIG.exemplars // 2 + 5  # windows may hit one too
    assert {150, 160, 170} <= ends_of(prepared.known)


def test_the_same_calls_make_the_same_curriculum(workspace: Workspace, prepared) -> None:
    index = exemplars(CANDLES, [150, 160, 170, 1200])
    later = folds(now_ms=AS_OF + 5 * H_MS)  # the wall decides what is drawn, not the clock
    again = curriculum.prepare(workspace, CONFIG, later, index, None)
    assert again.fingerprint == prepared.fingerprint
    fewer = replace(prepared, training=prepared.training.take(np.arange(5)))
    assert fewer.fingerprint != prepared.fingerprint
    other = replace(prepared, choosing=replace(prepared.choosing, reading=prepared.choosing.phase))
    assert other.fingerprint != prepared.fingerprint


@pytest.mark.parametrize(
    ("fold", "says"),
    [("learned", "learn"), ("choosing", "choose"), ("judging", "judge")],
)
def test_a_fold_of_too_few_charts_is_said_with_its_count(
    workspace: Workspace, fold: str, says: str
) -> None:
    few = folds(**{fold: getattr(folds(), fold)[: LEAST - 1]})
    found = curriculum.prepare(workspace, CONFIG, few, exemplars(CANDLES, [150]), None)
    assert found == (
        f"{LEAST - 1} charts to {says} from have their candles here, {LEAST} are needed."
    )


def test_without_candles_no_chart_is_found(workspace: Workspace, tmp_path: Path) -> None:
    bare = Paths(tmp_path)
    bare.predictions.parent.mkdir(parents=True)
    bare.predictions.symlink_to(workspace.paths.predictions)
    found = curriculum.prepare(
        Workspace(Config(), bare), CONFIG, folds(), exemplars(CANDLES, [150]), None
    )
    assert found == f"0 charts to learn from have their candles here, {LEAST} are needed."
