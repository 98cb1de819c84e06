"""Medians, spreads, quantiles, and ratios with their intervals."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

RESAMPLES = 10_000
SEED = 20
"""Of the bootstrap, so that the same records give the same interval."""


@dataclass(frozen=True)
class Spread:
    """The median of some values, and their range."""

    median: float
    least: float
    most: float


@dataclass(frozen=True)
class Ratio:
    """A ratio of medians with the 95 % interval of its repetitions."""

    figure: float
    low: float
    high: float


def spread(values: Sequence[float]) -> Spread | None:
    """Return the median and the range; None without values."""
    if not values:
        return None
    return Spread(float(np.median(values)), float(min(values)), float(max(values)))


def quantile(values: Sequence[float], share: float) -> float | None:
    """Return the value that `share` of all do not exceed (nearest rank); None without values."""
    if not values:
        return None
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)]


def ratio(above: Sequence[float], below: Sequence[float]) -> Ratio:
    """Return the ratio of two medians; value k of both is of repetition k.

    The interval is a percentile bootstrap (Efron 1979) of the median of the ratios within each
    repetition: what slowed a whole repetition down slowed both sides of its ratio. Infinite where
    `below` is 0; a repetition in which both are 0, or both infinite, counts as equal.

    Raises:
        ValueError: there is nothing to divide, or the sides are not of the same repetitions.
    """
    if not above or len(above) != len(below):
        raise ValueError(f"{len(above)} and {len(below)} values are not of the same repetitions")
    with np.errstate(divide="ignore", invalid="ignore"):
        figure = np.divide(np.median(above), np.median(below), dtype=np.float64)
        paired = np.divide(above, below, dtype=np.float64)
    low, high = _interval(np.where(np.isnan(paired), 1.0, paired))
    return Ratio(float(figure), low, high)


def _interval(paired: NDArray[np.float64]) -> tuple[float, float]:
    dice = np.random.default_rng(SEED)
    picks = dice.integers(0, len(paired), (RESAMPLES, len(paired)))
    medians = np.median(paired[picks], axis=1)
    low, high = np.quantile(medians, (0.025, 0.975), method="inverted_cdf")
    return float(low), float(high)
