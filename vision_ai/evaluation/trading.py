"""A backtest as a page: first whether anything is different from zero, then every figure.

The content is the object that `vision-ai backtest --json` prints; nothing is measured here.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from vision_ai import reports, storage

CV, NO_CV = "model's rules", "features alone"
LEARNING = ", learning"

PAIRS = (
    (CV, NO_CV),
    (CV + LEARNING, NO_CV + LEARNING),
    (CV + LEARNING, CV),
    (NO_CV + LEARNING, NO_CV),
)
"""What is compared: the first less the second."""

NAMES = {
    "hit_rate": "trades that won after costs",
    "expectancy": "expectancy: mean net return of a trade",
    "total_return": "return of the whole time",
    "sharpe": "Sharpe ratio, a year",
    "sortino": "Sortino ratio, a year",
    "max_drawdown": "greatest drawdown",
    "exposure": "exposure: share of time in a position",
    "trades_per_day": "trades a day",
    "fee_share": "costs over gross gains",
}

_SHARES = frozenset({"hit_rate", "total_return", "max_drawdown", "exposure", "fee_share"})
_JUDGED = ("expectancy", "sharpe")

RULE = """A decision to join is entered at the open of the next candle, in the direction of the
leading setup; without one there is no trade. It ends at target, stop or the end of the hold; a
candle that touches both is a loss, and one that opens beyond the stop fills there. One position a
symbol at a time, each symbol an equal share of the capital. Funding is not counted. "Features
alone" takes the model's rules out of the score; the direction still comes from the model."""


def arm(*, with_cv: bool, learning: bool) -> str:
    """What an arm of the comparison is called.

    >>> arm(with_cv=True, learning=False)
    "model's rules"
    """
    return (CV if with_cv else NO_CV) + (LEARNING if learning else "")


def verdict(content: Mapping[str, Any]) -> list[str]:
    """The first sentences: what is different from zero, or that nothing is."""
    arms = _distinct(content)
    if not sum(figures["trades"] for figures in arms.values()):
        return ["No decision to join with a direction came up: nothing was traded."]
    sentences = [line for name, figures in arms.items() for line in _judge(name, figures)]
    pairs = {
        name: figures
        for name, figures in content["differences"].items()
        if name.split(" less ")[0] in arms
    }
    differences = [line for name, figures in pairs.items() for line in _judge(name, figures)]
    if not sentences and not differences:
        sentences = [
            "Nothing is different from zero: expectancy and Sharpe ratio of every arm, and every "
            "difference between arms, have intervals that hold zero."
        ]
    elif not differences:
        sentences += [
            f"{name}: no difference in expectancy, {_format('expectancy', figures['expectancy'])}."
            for name, figures in pairs.items()
        ]
    if len(arms) < len(content["arms"]):
        differences.append("Learning changed nothing: no update passed the gate.")
    return sentences + differences


def _distinct(content: Mapping[str, Any]) -> dict[str, Any]:
    """Arms without those that learned nothing and so equal another."""
    arms = content["arms"]
    if content["method"]["promotions"]:
        return dict(arms)
    return {
        name: figures
        for name, figures in arms.items()
        if not name.endswith(LEARNING) or name.removesuffix(LEARNING) not in arms
    }


def _judge(name: str, figures: Mapping[str, Any]) -> list[str]:
    """The judged figures whose intervals do not hold zero."""
    return [
        f"{name}: {NAMES[figure]} is {'above' if figures[figure]['low'] > 0 else 'below'} zero, "
        f"{_format(figure, figures[figure])}."
        for figure in _JUDGED
        if _differs(figures[figure])
    ]


def _differs(estimate: Mapping[str, Any]) -> bool:
    low, high = estimate["low"], estimate["high"]
    return low is not None and high is not None and (low > 0 or high < 0)


def summary(content: Mapping[str, Any]) -> list[str]:
    """A few lines for a terminal."""
    facts = content["method"]
    lines = [
        f"{facts['hours']} hours of {len(facts['symbols'])} symbols in {facts['klines']}, "
        f"{facts['first'][:10]} to {facts['until'][:10]}; model {facts['model']}.",
        f"Fee {facts['fee']:.3%} and slippage {facts['slippage']:.3%} a fill.",
        *verdict(content),
    ]
    for name, figures in content["arms"].items():
        lines += ["", f"{name}: {figures['trades']} trades of {figures['calls']} calls"]
        lines += [f"  {label:<44}{_format(key, figures[key])}" for key, label in NAMES.items()]
    return lines


def write(folder: Path, content: Mapping[str, Any]) -> Path:
    """Write `backtest.md`.

    Raises:
        StorageError: it could not be written.
    """
    path = folder / "backtest.md"
    storage.write_text(path, "# Backtest\n\n" + section(content))
    return path


def section(content: Mapping[str, Any], *, level: int = 2) -> str:
    """Everything as Markdown, headings of `level` and below."""
    mark = "#" * level
    names = list(content["arms"])
    parts = [
        *verdict(content),
        RULE,
        f"{mark} Arms",
        reports.table(["figure", *names], _arms(content)),
    ]
    if content["differences"]:
        parts += [
            f"{mark} Differences, on the same drawn days",
            reports.table(["figure", *content["differences"]], _differences(content)),
        ]
    parts += [f"{mark} Expectancy by fee and slippage of a fill"]
    for name in names:
        fees, rows = _sweep(content["sweep"][name])
        parts += [f"{name}:", reports.table(["slippage", *fees], rows)]
    parts += [f"{mark} Method of the backtest", reports.table(["what", "value"], _method(content))]
    return "\n\n".join(parts) + "\n"


def _arms(content: Mapping[str, Any]) -> Iterable[Sequence[str]]:
    arms = content["arms"].values()
    yield "trades", *(str(figures["trades"]) for figures in arms)
    yield (
        "ended at target, stop, both in one candle, time",
        *(
            ", ".join(
                str(figures["ends"].get(end, 0)) for end in ("target", "stop", "ambiguous", "time")
            )
            for figures in arms
        ),
    )
    yield (
        "decisions: join, consider, avoid",
        *(
            ", ".join(
                str(figures["decisions"].get(kind, 0)) for kind in ("join", "consider", "avoid")
            )
            for figures in arms
        ),
    )
    for key, label in NAMES.items():
        yield label, *(_format(key, figures[key]) for figures in arms)


def _differences(content: Mapping[str, Any]) -> Iterable[Sequence[str]]:
    for key, label in NAMES.items():
        yield label, *(_format(key, figures[key]) for figures in content["differences"].values())


def _sweep(rows: Sequence[Mapping[str, Any]]) -> tuple[list[str], list[Sequence[str]]]:
    fees = sorted({row["fee"] for row in rows})
    slippages = sorted({row["slippage"] for row in rows})
    cells = {
        (row["fee"], row["slippage"]): _format("expectancy", row["expectancy"]) for row in rows
    }
    table: list[Sequence[str]] = [
        [f"{slip:.3%}", *(cells[fee, slip] for fee in fees)] for slip in slippages
    ]
    return [f"fee {fee:.3%}" for fee in fees], table


def _method(content: Mapping[str, Any]) -> Iterable[Sequence[str]]:
    facts = content["method"]
    levels = f"{facts['target']:.1%} and {facts['stop']:.1%} from the entry"
    if facts["atr_multiple"] is not None:
        levels = f"{facts['atr_multiple']:g} mean true ranges"
    changes = "; ".join(f"{at} to {version}" for at, version in facts["promotions"])
    yield "candles", f"{facts['klines']}, SHA-256 {facts['data'][:16]}"
    yield "symbols", ", ".join(facts["symbols"])
    yield "time", f"{facts['first']} to {facts['until']}, every hour"
    yield "predictions", str(facts["predictions"])
    yield "target and stop", levels
    yield "held at most", facts["hold"]
    yield "costs of a fill", f"fee {facts['fee']:.3%}, slippage {facts['slippage']:.3%}"
    yield "the gate runs", f"every {facts['learn_every_h']} h; promotions: {changes or 'none'}"
    yield (
        "intervals",
        f"95 %, {facts['draws']} resamples of blocks of {facts['block_days']} days, seed "
        f"{facts['seed']}",
    )
    yield "model", facts["model"]
    yield "index", facts["index"][:16]


def _format(name: str, estimate: Mapping[str, Any]) -> str:
    """A figure with its interval, in percent where it is a share."""
    if estimate["value"] is None:
        return "-"
    digits, factor, unit = 2, 1.0, ""
    if name in _SHARES:
        digits, factor, unit = 1, 100.0, " %"
    elif name == "expectancy":
        digits, factor, unit = 3, 100.0, " %"
    value, low, high = (
        None if estimate[key] is None else f"{estimate[key] * factor:.{digits}f}"
        for key in ("value", "low", "high")
    )
    return f"{value}{unit}" if low is None else f"{value}{unit} ({low} to {high})"
