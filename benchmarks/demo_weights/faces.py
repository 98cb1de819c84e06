"""The rendered faces that figures are taken on, and where their background and hair are."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from models.demo.attributes import HAIR_COLOURS, FaceAttributes, draw_attributes
from models.demo.background import paint_backdrop
from models.demo.dataset import FIRST_HELD_OUT_SEED
from models.demo.faces import OVERSAMPLING, render_face
from models.demo.light import encode
from models.demo.scene import make_scene
from models.interfaces import RGBPixels

INPUT_SEEDS = (9001, 9002, 9003, 9004)
"""Light to dark skin; none was seen in training."""
HELD_OUT = range(FIRST_HELD_OUT_SEED, FIRST_HELD_OUT_SEED + 200)
INPUT_SIDE_PX = 512
_SAME = 6
_CHANGED = 40


@dataclass(frozen=True)
class Masks:
    """Where a face's background and its hair are: (S, S) bool each."""

    background: NDArray[np.bool_]
    hair: NDArray[np.bool_]


def inputs() -> list[RGBPixels]:
    """Draw the four inputs, (512, 512, 3) uint8 each."""
    return [render_face(draw_attributes(seed), INPUT_SIDE_PX) for seed in INPUT_SEEDS]


def masks(seed: int, side_px: int) -> Masks:
    """Find background and hair of a face by drawing it again without one and with another.

    Background is what looks as the backdrop alone; hair is what changes with the hair's colour.
    """
    face = draw_attributes(seed)
    drawn = render_face(face, side_px).astype(int)
    other = render_face(replace(face, hair_colour=_unlike(face)), side_px).astype(int)
    backdrop = _backdrop(face, side_px)
    # Black hair may look as its dark backdrop: hair of another colour does not.
    background = [np.abs(each - backdrop).max(axis=2) <= _SAME for each in (drawn, other)]
    return Masks(np.logical_and(*background), np.abs(drawn - other).max(axis=2) >= _CHANGED)


def _unlike(face: FaceAttributes) -> str:
    return "black" if sum(HAIR_COLOURS[face.hair_colour]) > 300 else "white"


def _backdrop(face: FaceAttributes, side_px: int) -> NDArray[np.int64]:
    side = side_px * OVERSAMPLING
    tones = encode(paint_backdrop(make_scene(face, side)))
    small = tones.reshape(3, side_px, OVERSAMPLING, side_px, OVERSAMPLING).mean(axis=(2, 4))
    return np.asarray((small * 255.0 + 0.5).transpose(1, 2, 0), dtype=np.int64)
