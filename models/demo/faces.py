"""Synthetic faces: from seeds to aligned portraits with captions, with no picture of anybody."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.demo.attributes import FaceAttributes, draw_attributes
from models.demo.background import paint_backdrop, paint_clothes, paint_ears, paint_neck
from models.demo.beard import paint_beard
from models.demo.captions import caption
from models.demo.eyes import paint_eyes
from models.demo.glasses import paint_glasses
from models.demo.hair import paint_back_hair, paint_front_hair
from models.demo.head import paint_head
from models.demo.light import encode
from models.demo.mouth import paint_mouth
from models.demo.scene import make_scene

LAYERS = (
    paint_back_hair,
    paint_neck,
    paint_clothes,
    paint_ears,
    paint_head,
    paint_mouth,
    paint_beard,
    paint_eyes,
    paint_front_hair,
    paint_glasses,
)
"""What is painted over the backdrop, from the back to the front."""
OVERSAMPLING = 2
"""Every face is drawn this many times larger and averaged down, against jagged edges."""


@dataclass(frozen=True)
class RenderedFaces:
    """Rendered faces: pixels (N, H, W, 3) uint8 sRGB, and for each its caption and attributes."""

    pixels: NDArray[np.uint8]
    captions: list[str]
    attributes: list[FaceAttributes]


def render_face(
    face: FaceAttributes, side_px: int, oversampling: int = OVERSAMPLING
) -> NDArray[np.uint8]:
    """Draw one face as (side_px, side_px, 3) uint8 sRGB."""
    scene = make_scene(face, side_px * oversampling)
    image = paint_backdrop(scene)
    for paint in LAYERS:
        image = paint(scene, image)
    tones = encode(image).reshape(3, side_px, oversampling, side_px, oversampling).mean(axis=(2, 4))
    grain = scene.texture.lattice(side_px, side_px) * 0.006
    pixels = (np.clip(tones + grain, 0.0, 1.0) * 255.0 + 0.5).astype(np.uint8)
    return np.ascontiguousarray(pixels.transpose(1, 2, 0))


def render_faces(seeds: Sequence[int], side_px: int) -> RenderedFaces:
    """Draw the faces of some seeds; face k depends on seeds[k] and the side alone."""
    attributes = [draw_attributes(seed) for seed in seeds]
    pixels = np.zeros((len(attributes), side_px, side_px, 3), dtype=np.uint8)
    for index, face in enumerate(attributes):
        pixels[index] = render_face(face, side_px)
    return RenderedFaces(pixels, [caption(face) for face in attributes], attributes)
