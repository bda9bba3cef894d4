"""The words and labels that training learns from: a person's, then GPT's, then our own.

A chart is known by its look (`gpt.replies.look`), so the same window of candles is found again in
training whatever its symbol is called; a mirrored window has another look and gets our own words.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

from vision_ai.domain import PHASES, READINGS, Label, Labels
from vision_ai.labels import describe, review, rules
from vision_ai.labels.gpt.replies import Attempt, look
from vision_ai.labels.review import Correction

WRITTEN = 0.5
"""Share of the time that a chart's written words are used; ours at other times, for variety."""

KNOWN = 0.85
"""Share of a text's words that the model must have a number for."""

_VOCABULARY = frozenset(describe.VOCABULARY)


@dataclass(frozen=True)
class Wording:
    """What was written and corrected, by the look of the charts. Empty, it changes nothing.

    Attributes:
        texts: what GPT or a person wrote, under which label.
        words: corrections that stand.
    """

    texts: Mapping[str, tuple[Label, tuple[str, ...]]] = field(default_factory=dict)
    words: tuple[Correction, ...] = ()

    @classmethod
    def of(cls, attempts: Iterable[Attempt], corrections: Iterable[Correction]) -> Self:
        """Sort out what may be learnt from: no text that contradicts the label that stands."""
        standing = review.standing(corrections)
        texts: dict[str, tuple[Label, tuple[str, ...]]] = {}
        for attempt in attempts:
            subject = attempt.subject
            label = review.label_of(subject, standing)
            readable = tuple(text for text in attempt.words if _is_readable(text))
            if readable and subject.says(label):
                known = texts.get(subject.look, (label, ()))[1]
                texts[subject.look] = (label, (*known, *readable))
        for word in standing.values():
            if word.words and word.look and _is_readable(word.words):
                texts[word.look] = (Label(word.reading, word.phase, source="human"), (word.words,))
        return cls(texts, tuple(word for word in standing.values() if word.look))

    def __bool__(self) -> bool:
        return bool(self.texts or self.words)

    @property
    def fingerprint(self) -> str:
        """SHA-256 of everything in it: other words make another training run."""
        lines = [
            f"{key}|{label.reading.name}|{texts}" for key, (label, texts) in self.texts.items()
        ]
        lines += [f"{w.look}|{w.reading.name}|{w.phase}" for w in self.words]
        return hashlib.sha256("\n".join(sorted(lines)).encode()).hexdigest()

    def label(self, bars: NDArray[np.float64]) -> Labels:
        """The rule book's labels of windows (n, 96, 5), people's where they gave one."""
        labels = rules.label(bars)
        human = {word.look: word for word in self.words}
        if not human:
            return labels
        reading, phase = labels.reading.copy(), labels.phase.copy()
        for row, window in enumerate(bars):
            word = human.get(look(window))
            if word is not None:
                reading[row] = READINGS.index(word.reading)
                phase[row] = PHASES.index(word.phase)
        return replace(labels, reading=reading, phase=phase)

    def describe(
        self, bars: NDArray[np.float64], labels: Labels, rng: np.random.Generator
    ) -> list[str]:
        """A sentence for each window, true of its label."""
        looks = [look(window) for window in bars] if self else [""] * len(bars)
        human = {word.look for word in self.words}
        return [
            # facts that the rule book measured tell its own label, not a person's
            self.words_for(key, replace(label, facts={}) if key in human else label, rng)
            for key, label in zip(looks, labels, strict=True)
        ]

    def words_for(self, key: str, label: Label, rng: np.random.Generator) -> str:
        """A sentence for the chart of that look: written words where they fit, or our own."""
        under, texts = self.texts.get(key, (label, ()))
        fits = (under.reading, under.phase) == (label.reading, label.phase)
        if texts and fits and rng.random() < WRITTEN:
            return texts[int(rng.integers(len(texts)))]
        return describe.describe(label, rng)[0]


def _is_readable(text: str) -> bool:
    """Whether the model knows most of a text's words."""
    words = describe.normalise(text).split()
    return sum(word in _VOCABULARY for word in words) >= KNOWN * len(words) > 0


__all__ = ["KNOWN", "WRITTEN", "Wording"]
