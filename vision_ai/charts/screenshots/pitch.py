"""The even spacing of candles on a screenshot."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vision_ai.domain import Bools

_SMALLEST, _LARGEST = 2.8, 80.0
_PAD = 1 << 16
_PEAKS = 6
_BANDS = 8
"""Rows are looked at in bands, so that text and volume cannot drown the candles."""


@dataclass(frozen=True)
class PitchGrid:
    """Candle centres at `first + i * pitch`, in pixels (pixel x covers x to x + 1)."""

    first: float
    pitch: float
    contrast: float

    def centres(self, width: int) -> NDArray[np.float64]:
        """All centres on a picture of that width."""
        return np.arange(self.first, width, self.pitch)

    def column(self, slot: float) -> float:
        """Where a slot's centre lies, in pixels; half a slot on lies the gap to the next."""
        return self.first + slot * self.pitch


def find_pitch_grid(foreground: Bools, largest: float = _LARGEST) -> PitchGrid | None:
    """Find the spacing of candles in the foreground (h, w), or None where nothing repeats.

    `largest` is the widest spacing looked for, in pixels.
    """
    waves = [_wave(band) for band in np.array_split(foreground, _BANDS)]
    waves = [wave for wave in waves if wave.any()]
    if not waves:
        return None
    # candles repeat: their spacing is a peak of the mean power spectrum of all bands
    spectra = np.fft.rfft(waves, _PAD)
    power = np.abs(spectra).mean(axis=0)
    frequency = np.arange(len(power)) / _PAD
    power[(frequency < 1 / largest) | (frequency > 1 / _SMALLEST)] = 0
    # a peak may be a multiple of the true frequency: try its halves and thirds, keep what fits best
    wave, spectrum = np.mean(waves, axis=0), spectra.sum(axis=0)
    candidates = [
        _fit(wave, spectrum, float(frequency[peak]) * factor, largest)
        for peak in _peaks(power)
        for factor in (1, 1 / 2, 1 / 3)
    ]
    usable = [c for c in candidates if c is not None]
    return max(usable, key=lambda c: c.contrast, default=None)


def _peaks(power: NDArray[np.float64]) -> list[int]:
    """The strongest frequencies that are not shoulders of one another."""
    remaining, peaks = power.copy(), []
    for _ in range(_PEAKS):
        peak = int(remaining.argmax())
        peaks.append(peak)
        remaining[max(int(peak * 0.97), 0) : int(peak * 1.03) + 1] = 0
    return peaks


def _wave(band: Bools) -> NDArray[np.float64]:
    """How foreground rises and falls along a band of rows, with its slow part taken away."""
    profile = np.sqrt(band.sum(axis=0, dtype=np.float64))
    window = int(_LARGEST / 2)
    slow = np.convolve(profile, np.ones(window) / window, mode="same")
    wave = profile - slow
    return np.asarray(wave / (float(np.sqrt((wave**2).mean())) or 1.0))


def _fit(
    wave: NDArray[np.float64],
    spectrum: NDArray[np.complex128],
    frequency: float,
    largest: float,
) -> PitchGrid | None:
    """The grid at the strongest frequency within 1 % of the given one."""
    if not 1 / largest <= frequency <= 1 / _SMALLEST:
        return None
    # refine the frequency, then read the phase of the candles off the spectrum
    low, high = int(frequency * 0.99 * _PAD), int(frequency * 1.01 * _PAD) + 1
    best = low + int(np.abs(spectrum[low : high + 1]).argmax())
    pitch = _PAD / best
    shift = -float(np.angle(spectrum[best])) / (2 * np.pi)  # in periods; pixel centres at + 0.5
    first = (shift % 1.0) * pitch + 0.5
    # contrast: more foreground about the centres than half way between them
    positions = np.arange(len(wave)) + 0.5
    phase = ((positions - first) / pitch) % 1.0
    on_candles = (phase < 0.15) | (phase > 0.85)
    between_candles = np.abs(phase - 0.5) < 0.12
    contrast = (
        float(wave[on_candles].mean() - wave[between_candles].mean())
        if on_candles.any() and between_candles.any()
        else 0.0
    )
    return PitchGrid(first, pitch, contrast)
