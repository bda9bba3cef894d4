"""The captions and labels that training learns from: a person's, then GPT's, then the rule book's.

A chart is known by the hash of its candles (`gpt.replies.hash_bars`), so the same window is found
again in training whatever its symbol is called. A mirrored window has another hash and gets a
caption of our own.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

from vision_ai.domain import PHASES, READINGS, Label, Labels
from vision_ai.labels import descriptions, review, rules
from vision_ai.labels.gpt.replies import Attempt, hash_bars
from vision_ai.labels.review import Correction

WRITTEN_SHARE = 0.5
"""Share of the time that a chart's written captions are used; generated ones otherwise."""

MIN_KNOWN_SHARE = 0.85
"""Share of a caption's words that must be in the vocabulary of the model."""

_VOCABULARY = frozenset(descriptions.VOCABULARY)


@dataclass(frozen=True)
class Captions:
    """Written captions and corrected labels, by the hash of the charts. Empty, it changes nothing.

    Attributes:
        written: what GPT or a person wrote about a chart, and the label that it was written under.
        corrections: the newest correction of each chart.
    """

    written: Mapping[str, tuple[Label, tuple[str, ...]]] = field(default_factory=dict)
    corrections: tuple[Correction, ...] = ()

    @classmethod
    def of(cls, attempts: Iterable[Attempt], corrections: Iterable[Correction]) -> Self:
        """Select what may be learned from: no caption that contradicts the label in force."""
        newest = review.newest_corrections(corrections)
        written: dict[str, tuple[Label, tuple[str, ...]]] = {}
        for attempt in attempts:
            chart = attempt.subject
            label = review.label_in_force(chart, newest)
            readable = tuple(text for text in attempt.captions if _is_readable(text))
            if readable and chart.has_label(label):
                earlier = written.get(chart.look, (label, ()))[1]
                written[chart.look] = (label, (*earlier, *readable))
        # a person's own note replaces whatever GPT wrote about the chart
        for correction in newest.values():
            if correction.words and correction.look and _is_readable(correction.words):
                label = Label(correction.reading, correction.phase, source="human")
                written[correction.look] = (label, (correction.words,))
        return cls(written, tuple(c for c in newest.values() if c.look))

    def __bool__(self) -> bool:
        return bool(self.written or self.corrections)

    @property
    def fingerprint(self) -> str:
        """SHA-256 of everything in it: other captions make another training run."""
        lines = [
            f"{key}|{label.reading.name}|{texts}" for key, (label, texts) in self.written.items()
        ]
        lines += [f"{c.look}|{c.reading.name}|{c.phase}" for c in self.corrections]
        return hashlib.sha256("\n".join(sorted(lines)).encode()).hexdigest()

    def label(self, bars: NDArray[np.float64]) -> Labels:
        """Labels of windows (n, 96, 5): a person's where there is one, else the rule book's."""
        labels = rules.label(bars)
        corrections = {correction.look: correction for correction in self.corrections}
        if not corrections:
            return labels
        reading, phase = labels.reading.copy(), labels.phase.copy()
        for row, window in enumerate(bars):
            correction = corrections.get(hash_bars(window))
            if correction is not None:
                reading[row] = READINGS.index(correction.reading)
                phase[row] = PHASES.index(correction.phase)
        return replace(labels, reading=reading, phase=phase)

    def describe(
        self, bars: NDArray[np.float64], labels: Labels, rng: np.random.Generator
    ) -> list[str]:
        """A caption for each window, true of its label."""
        hashes = [hash_bars(window) for window in bars] if self else [""] * len(bars)
        corrected = {correction.look for correction in self.corrections}
        return [
            # the rule book's facts belong to its own label, not to a person's
            self.caption_for(key, replace(label, facts={}) if key in corrected else label, rng)
            for key, label in zip(hashes, labels, strict=True)
        ]

    def caption_for(self, key: str, label: Label, rng: np.random.Generator) -> str:
        """A caption for the chart of that hash: a written one where it fits, or a generated one."""
        written_under, texts = self.written.get(key, (label, ()))
        fits = (written_under.reading, written_under.phase) == (label.reading, label.phase)
        if texts and fits and rng.random() < WRITTEN_SHARE:
            return texts[int(rng.integers(len(texts)))]
        return descriptions.describe(label, rng)[0]


def _is_readable(text: str) -> bool:
    """Whether the model knows most words of a text."""
    words = descriptions.normalize(text).split()
    return sum(word in _VOCABULARY for word in words) >= MIN_KNOWN_SHARE * len(words) > 0
