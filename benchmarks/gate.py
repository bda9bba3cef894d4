"""How often the gate promotes what is no better, and what is; whether bands recover from a drift.

    python benchmarks/gate.py

Each run simulates 12 symbols with a call of each twice a day for 64 days, whose outcomes share a
shock within a day. The earlier days are learned from and the later ones judge, as
`vision-ai feedback update --mode reweight` does it. Three worlds: *null* (outcomes know nothing of
neighbors, bands cover as often as they say), *planted* (calls of good neighbors reach their
target in 65 % of cases, of bad ones in 35 %) and *drift* (from the 17th day on moves are 1.8 times
as large as the bands were made for; once more with 96 days). Coverage before and after is that of
the champion's bands and of what the gate let through, on 20 days that come after everything.
Prints a table; the last line is one JSON object.
"""

import argparse
import json
import platform
import time
from concurrent.futures import ProcessPoolExecutor
from functools import cache, partial

import numpy as np

from vision_ai.domain import Direction, Floats, Horizon, Interval, Phase, Setup, iso
from vision_ai.feedback.challenge import ALPHA, DAY_MS, challenge
from vision_ai.feedback_loop_cv import fold
from vision_ai.records import Feedback, NeighborRecord, Prediction

SYMBOLS, AFTER, EXEMPLARS = 12, 20, 40
DAYS = {"null": 64, "planted": 64, "drift": 64, "long drift": 96}
LEVEL = 0.8
DRIFT, DRIFT_DAY = 1.8, 16
START = 20_000 * DAY_MS
_HALF = 1.2815515594
"""Half width of a band that holds 80 % of standard normal moves."""


@cache
def calls_and_lines(days: int) -> tuple[list[Prediction], list[Feedback], list[list[int]]]:
    """Calls and lines without outcomes, and which exemplars voted for each line's call."""
    rng = np.random.default_rng(0)
    predictions, lines, voters = [], [], []
    for day in range(days):
        for hour in (2, 14):
            for symbol in range(SYMBOLS):
                as_of = iso(START + day * DAY_MS + hour * 3_600_000)
                direction = (Direction.LONG, Direction.SHORT)[int(rng.integers(2))]
                # neighbors of one call are good or bad together: their clusters are of one kind
                kind = int(rng.integers(2))
                voted = rng.choice(EXEMPLARS // 2, 3, replace=False) * 2 + kind
                confidence = round(float(rng.uniform(0.5, 0.9)), 3)
                neighbors = [_neighbor(int(at), direction) for at in voted]
                predictions.append(_call(f"S{symbol}USDT", as_of, direction, neighbors))
                for horizon in Horizon:
                    lines.append(_line(f"S{symbol}USDT", as_of, horizon, direction, confidence))
                    voters.append(voted.tolist())
    return predictions, lines, voters


def _call(
    symbol: str, as_of: str, direction: Direction, neighbors: list[NeighborRecord]
) -> Prediction:
    return Prediction(
        symbol=symbol,
        as_of=as_of,
        lead_interval=Interval.M15,
        setup=Setup.BREAKOUT,
        phase=Phase.MARKUP,
        direction=direction,
        confidence=0.7,
        abstained=False,
        probabilities={},
        neighbors=neighbors,
        outcome={},
        intervals={},
        model_version="champion",
        index_version="i",
        style_hash="s",
        rules_version="r",
        created_at=as_of,
    )


def _neighbor(number: int, direction: Direction) -> NeighborRecord:
    return NeighborRecord(
        symbol=f"E{number}USDT",
        interval=Interval.M15,
        as_of="2020-01-01T00:00:00Z",
        similarity=0.9,
        weight=0.2,
        setup=Setup.BREAKOUT,
        direction=direction,
        phase=Phase.MARKUP,
        moves={},
    )


def _line(
    symbol: str, as_of: str, horizon: Horizon, direction: Direction, confidence: float
) -> Feedback:
    return Feedback(
        symbol=symbol,
        as_of=as_of,
        horizon=horizon,
        interval=Interval.M15,
        setup=Setup.BREAKOUT,
        direction=direction,
        phase=Phase.MARKUP,
        confidence=confidence,
        abstained=False,
        model_version="champion",
        index_version="i",
        move=0.0,
        best=0.0,
        worst=0.0,
        first="neither",
        resolved_on="15m",
        success=False,
        covered=True,
        reason="",
        checked_at=as_of,
        level=LEVEL,
        width_factor=0.0,
    )


def moves(rng: np.random.Generator, days: int, per_day: int) -> Floats:
    """Standard normal moves (days, per_day), half of whose variance is a day's common shock."""
    common = rng.normal(size=(days, 1))
    mixed: Floats = np.sqrt(0.5) * (common + rng.normal(size=(days, per_day)))
    return mixed


def trial(seed: int, *, world: str) -> tuple[bool, bool, bool, float, float]:
    """One run: promoted; its exemplars; its bands; coverage before and after."""
    rng = np.random.default_rng([seed, list(DAYS).index(world)])
    days, drifts = DAYS[world], world.endswith("drift")
    predictions, blank, voters = calls_and_lines(days)
    needed = np.abs(moves(rng, days, len(blank) // days)) / _HALF
    if drifts:
        needed[DRIFT_DAY:] *= DRIFT
    swing = moves(rng, days, len(blank) // days).ravel()  # longs and shorts swing against it
    chance = np.full(len(blank), 0.35)
    if world == "planted":
        chance = np.array([0.65 if voted[0] % 2 else 0.35 for voted in voters])
    sign = np.array([line.direction.sign for line in blank])
    hit = swing * sign > np.sqrt(2) * _erfinv(1 - 2 * chance)
    width_factor = needed.ravel()
    lines = [
        line.model_copy(update={"success": bool(hit[at]), "width_factor": float(width_factor[at])})
        for at, line in enumerate(blank)
    ]
    split = fold(lines, "champion", [], START + days * DAY_MS)
    assert split is not None
    exemplars = {(f"E{n}USDT", Interval.M15, "2020-01-01T00:00:00Z") for n in range(EXEMPLARS)}
    found = challenge(predictions, split, exemplars, number=1)
    after = np.abs(moves(rng, AFTER, SYMBOLS * 2)) / _HALF * (DRIFT if drifts else 1)
    before = float((after <= 1).mean())
    kept = float((after <= found.width_factor.get(Horizon.H6, 1.0)).mean())
    return found.attempt.promote, bool(found.factors), bool(found.width_factor), before, kept


def _erfinv(values: Floats) -> Floats:
    """Inverse error function of the few values that occur."""
    from statistics import NormalDist

    known = {v: NormalDist().inv_cdf((1 + v) / 2) / np.sqrt(2) for v in np.unique(values).tolist()}
    return np.array([known[v] for v in values.tolist()])


def rates(pool: ProcessPoolExecutor, world: str, runs: int) -> dict[str, float]:
    """Mean of what the runs of one world gave."""
    results = np.array(list(pool.map(partial(trial, world=world), range(runs), chunksize=25)))
    names = ("promoted", "exemplars", "bands", "coverage_before", "coverage_after")
    return dict(zip(names, results.mean(axis=0).tolist(), strict=True))


def main() -> None:
    """Simulate, print a table and one JSON line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--runs", type=int, default=1000, help="null runs")
    runs = parser.parse_args().runs
    started = time.perf_counter()
    with ProcessPoolExecutor(2) as pool:
        null = rates(pool, "null", runs)
        planted = rates(pool, "planted", max(1, runs // 5))
        drift = rates(pool, "drift", max(1, runs // 5))
        longer = rates(pool, "long drift", max(1, runs // 5))
    for name, found in zip(DAYS, (null, planted, drift, longer), strict=True):
        print(f"{name:12s}" + "  ".join(f"{key} {value:.4f}" for key, value in found.items()))
    result = {
        "alpha": ALPHA,
        "runs": runs,
        "false_promotion_rate": round(null["promoted"], 4),
        "true_promotion_rate": round(planted["exemplars"], 4),
        "drift_promotion_rate": round(drift["bands"], 4),
        "coverage_before": round(drift["coverage_before"], 4),
        "coverage_after": round(drift["coverage_after"], 4),
        "coverage_after_96_days": round(longer["coverage_after"], 4),
        "nominal": LEVEL,
        "seconds": round(time.perf_counter() - started, 1),
        "machine": platform.machine(),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
