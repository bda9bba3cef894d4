"""Report cards, backtests and simulated days as lines for a terminal."""

from collections import Counter

from vision_ai.evaluation import report, trading
from vision_ai.pipeline.backtest.simulate import SimulateResult
from vision_ai.pipeline.backtest.trade import BacktestResult
from vision_ai.pipeline.evaluate import EvaluateResult


def format_evaluation(result: EvaluateResult) -> list[str]:
    """What missed its aim first, then every figure."""
    return report.summary(result.payload()) + _report(result.report)


def format_backtest(result: BacktestResult) -> list[str]:
    """Whether anything differs from zero, then every arm."""
    return trading.summary(result.payload()) + _report(result.report)


def format_simulation(result: SimulateResult) -> list[str]:
    """What the simulated days wrote, and what could not be read."""
    decisions = ", ".join(f"{count} {name}" for name, count in result.decisions.items())
    unread = Counter(result.hours_missing)
    return [
        f"{result.hours} hours from {result.first}, in {result.seconds:.0f} s, under {result.out}.",
        f"{result.outcomes} outcomes; decisions: {decisions}",
        *(
            f"  {kind:<12}{written.files:>7} files  SHA-256 {written.sha256[:16]}"
            for kind, written in result.logs.items()
        ),
        *(f"  not read: {why} ({count} hours)" for why, count in unread.most_common(5)),
        *(f"  not counted: {line}" for line in result.not_counted),
    ]


def _report(path: str | None) -> list[str]:
    return [] if path is None else [f"Report: {path}"]
