"""The law that fits measured times best."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.time_law import TimeLaw

_NAMES = ("fixed_s", "step_s", "image_step_s", "image_s")
VAE_TERMS = ("fixed_s", "image_step_s")
"""A VAE has one step: what depends on steps cannot be told from what does not."""


@dataclass(frozen=True)
class Timed:
    """One set that was timed.

    Attributes:
        images: in the set.
        steps: that were asked for.
        seconds: that it took.
    """

    images: int
    steps: int
    seconds: float


def fit(sets: Sequence[Timed], terms: Sequence[str] = _NAMES) -> TimeLaw:
    """Return the law whose relative errors are the least squares, no number of it negative.

    Relative, since a set that takes ten times as long is not ten times as wrong. A term that would
    be negative is left out, the worst first, and the others are fitted again.
    """
    left = list(terms)
    while True:
        numbers = _least_squares(sets, left)
        worst = min(left, key=lambda name: numbers[name])
        if numbers[worst] >= 0:
            break
        left.remove(worst)
    law = TimeLaw(**{**dict.fromkeys(_NAMES, 0.0), **numbers})
    jitter = float(np.std(residuals(law, sets), ddof=len(left))) if len(sets) > len(left) else 0.0
    return TimeLaw(**{**vars(law), "jitter": jitter})


def residuals(law: TimeLaw, sets: Sequence[Timed]) -> NDArray[np.float64]:
    """Return the logarithm of measured by expected time, for each set."""
    expected = [law.seconds(one.images, one.steps) for one in sets]
    return np.log(np.array([one.seconds for one in sets]) / np.array(expected))


def _least_squares(sets: Sequence[Timed], terms: Sequence[str]) -> dict[str, float]:
    columns = {
        "fixed_s": [1 for _ in sets],
        "step_s": [one.steps for one in sets],
        "image_step_s": [one.steps * one.images for one in sets],
        "image_s": [one.images for one in sets],
    }
    seconds = np.array([one.seconds for one in sets])
    matrix = np.array([columns[name] for name in terms], dtype=np.float64).T / seconds[:, None]
    solved, *_ = np.linalg.lstsq(matrix, np.ones(len(sets)), rcond=None)
    return dict(zip(terms, (float(value) for value in solved), strict=True))
