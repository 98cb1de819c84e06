"""Smooth noise on lattices: the same texture at every picture size."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Plane = NDArray[np.floating[Any]]
"""An (H, W) float32 plane, or (3, H, W) for colours."""


class Texture:
    """Draws the lattices of one face, in a fixed order, from its seed."""

    def __init__(self, seed: int) -> None:
        """Start the stream of lattices of one face."""
        self._rng = np.random.default_rng([seed, 1])

    def lattice(self, rows: int, columns: int) -> Plane:
        """A (rows, columns) float32 lattice of uniform noise in [-1, 1]."""
        return self._rng.uniform(-1.0, 1.0, (rows, columns)).astype(np.float32)

    def points(self, count: int, size: int) -> Plane:
        """A (count, size) float32 array of uniform numbers in [0, 1]."""
        return self._rng.random((count, size)).astype(np.float32)


def sample(lattice: Plane, rows: Plane, columns: Plane) -> Plane:
    """Read a lattice at real places (in cells, wrapping round), smoothly; float32 in [-1, 1]."""
    height, width = lattice.shape
    row_floor, column_floor = np.floor(rows), np.floor(columns)
    row_share, column_share = fade(rows - row_floor), fade(columns - column_floor)
    top = row_floor.astype(np.int32) % height
    left = column_floor.astype(np.int32) % width
    bottom, right = (top + 1) % height, (left + 1) % width
    flat = lattice.ravel()
    upper = flat[top * width + left] * (1 - column_share) + flat[top * width + right] * column_share
    lower = (
        flat[bottom * width + left] * (1 - column_share)
        + flat[bottom * width + right] * column_share
    )
    mixed: Plane = upper * (1 - row_share) + lower * row_share
    return mixed


def fade(share: Plane) -> Plane:
    """The smooth step of lattice noise, [0, 1] to [0, 1]."""
    eased: Plane = share * share * (3 - 2 * share)
    return eased


def step(low: float, high: float, value: Plane) -> Plane:
    """Smooth step from 0 at low to 1 at high (low may be the larger)."""
    return fade(np.clip((value - low) / (high - low), 0.0, 1.0).astype(np.float32, copy=False))


def bump(a: Plane, b: Plane, at: tuple[float, float], size: tuple[float, float]) -> Plane:
    """A Gaussian of height 1 at a place, with one deviation per axis."""
    bell: Plane = np.exp(-0.5 * (((a - at[0]) / size[0]) ** 2 + ((b - at[1]) / size[1]) ** 2))
    return bell


def pair(a: Plane, b: Plane, at: tuple[float, float], size: tuple[float, float]) -> Plane:
    """The same Gaussian left and right of the middle."""
    both: Plane = bump(a, b, at, size) + bump(a, b, (-at[0], at[1]), size)
    return both
