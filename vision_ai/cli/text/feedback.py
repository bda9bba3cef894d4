"""Passes of the feedback loop, reviews and updates as lines for a terminal."""

from collections import Counter

from vision_ai.feedback.review import Filters, Rate
from vision_ai.pipeline.feedback import FeedbackReviewResult, FeedbackRunResult
from vision_ai.pipeline.learning.update import UpdateResult

FEWEST_CALLS = 5
"""Calls that a group needs to get a line of its own."""

BAD_LINE_CURE = [
    "  Such a line changes nothing: what it lost is worked out again while candles reach back.",
    "  Delete it from its file to hear no more of it.",
]


def format_feedback_run(result: FeedbackRunResult) -> list[str]:
    """What was written, what waits and why, and what is damaged."""
    waiting = Counter(result.waiting)
    lines = [f"{len(result.written)} outcomes written, {waiting.total()} waiting."]
    lines += [f"  waiting: {count} because {reason}" for reason, count in waiting.most_common(5)]
    lines += [f"  not counted: {problem}" for problem in result.not_counted]
    return lines + (BAD_LINE_CURE if result.bad_lines else [])


def format_feedback_review(result: FeedbackReviewResult) -> list[str]:
    """Hit rates and coverage by group, each with its interval."""
    return _review_lines(result) + ([f"Report {result.report}"] if result.report else [])


def format_update(result: UpdateResult) -> list[str]:
    """What would change, or what the gate found."""
    proposal = result.proposal
    if proposal.mode == "log-only":
        count = len(proposal.exemplars)
        lines = [f"Would change {count} exemplar weights, from {proposal.lines} outcomes."]
    else:
        lines = [proposal.outcome]
    for part in proposal.attempt.parts if proposal.attempt else ():
        verdict = "better" if part.better else "not better"
        lines.append(
            f"  {part.name:<12}{verdict:<12}days won {part.wins}, lost {part.losses}; "
            f"p {part.p_value:.4g} against {part.level:.4g}"
        )
        lines += [f"    {name:<40}{value:.4f}" for name, value in part.figures.items()]
    return [*lines, f"Proposal {result.path}"]


def _review_lines(result: FeedbackReviewResult) -> list[str]:
    review = result.review
    if not review.lines and review.filters == Filters():
        return ["No outcomes yet: run vision-ai feedback run once a prediction is 2 h old."]
    if not review.lines:
        return ["No outcome is of these symbols, times and interval: leave out what you can."]
    lines = [
        f"{review.predictions} predictions, {review.lines} outcomes.",
        "A hit: the target came before the stop within the horizon, in the setup's direction.",
    ]
    for cut in review.cuts:
        if cut.hits.n >= FEWEST_CALLS:
            name = f"{cut.horizon:<4}{cut.facet:<16}{cut.value:<26}"
            lines.append(f"  {name}{_rate(cut.hits)}, over {cut.days} days")
    small_groups = [cut for cut in review.cuts if 0 < cut.hits.n < FEWEST_CALLS]
    if small_groups:
        count = len(small_groups)
        lines.append(f"  {count} groups of fewer than {FEWEST_CALLS} calls are left to --json.")
    for coverage in review.coverage:
        if coverage.day == "all" and coverage.covered.n:
            name = f"{coverage.horizon:<4}{'band coverage':<16}{f'of {coverage.nominal:.0%}':<26}"
            lines.append(f"  {name}{_rate(coverage.covered)}")
    lines += [f"  not counted: {line}" for line in review.bad]
    return lines + (BAD_LINE_CURE if review.bad else [])


def _rate(rate: Rate) -> str:
    if rate.rate is None:
        return "nothing counted"
    return f"{rate.rate:>6.1%} of {rate.n} ({rate.low:.1%} to {rate.high:.1%})"
