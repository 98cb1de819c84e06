"""A few small drawn faces to send: the same bytes on every run, no photographs of anyone."""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

SIDE_PX = 256

Color = tuple[int, int, int]


@dataclass(frozen=True)
class Look:
    """What one face looks like: colors as RGB in [0, 255], sizes as a share of the picture."""

    skin: Color
    hair: Color
    background: Color
    eyes: Color
    width: float
    smile: float


@dataclass(frozen=True)
class Face:
    """One encoded picture, ready for a multipart form."""

    filename: str
    content_type: str
    data: bytes

    @property
    def sha256(self) -> str:
        """The digest that an image made of this picture must name."""
        return hashlib.sha256(self.data).hexdigest()


LOOKS = (
    Look((236, 198, 170), (84, 56, 36), (120, 160, 190), (70, 110, 150), 0.50, 0.9),
    Look((141, 94, 66), (28, 22, 20), (200, 190, 160), (60, 40, 25), 0.56, 0.5),
    Look((250, 220, 200), (214, 170, 90), (90, 120, 90), (80, 130, 90), 0.46, 0.2),
    Look((198, 146, 106), (50, 40, 45), (170, 130, 150), (90, 60, 30), 0.60, 0.7),
    Look((110, 72, 52), (70, 66, 64), (60, 70, 110), (40, 28, 20), 0.52, 1.0),
    Look((224, 180, 150), (160, 70, 40), (210, 210, 215), (100, 130, 120), 0.48, 0.4),
)


@cache
def draw_faces() -> tuple[Face, ...]:
    """Return all the faces: every other one a PNG, the rest JPEG."""
    return tuple(encode(draw(look), place) for place, look in enumerate(LOOKS))


def encode(image: Image.Image, place: int) -> Face:
    """Encode the picture with this place in the list as PNG (even) or JPEG (odd)."""
    image_format = "PNG" if place % 2 == 0 else "JPEG"
    buffer = io.BytesIO()
    image.save(buffer, format=image_format)
    suffix = image_format.lower()
    return Face(f"face-{place}.{suffix}", f"image/{suffix}", buffer.getvalue())


def draw(look: Look) -> Image.Image:
    """Return a face on a shaded background, (256, 256) RGB."""
    image = Image.fromarray(shade(look.background))
    pen = ImageDraw.Draw(image)
    half = look.width / 2
    pen.ellipse(box(0.5 - half - 0.05, 0.10, 0.5 + half + 0.05, 0.78), fill=look.hair)
    pen.rectangle(box(0.42, 0.75, 0.58, 1.0), fill=look.skin)
    pen.ellipse(box(0.5 - half, 0.20, 0.5 + half, 0.88), fill=look.skin)
    draw_eye(pen, 0.5 - half * 0.42, look)
    draw_eye(pen, 0.5 + half * 0.42, look)
    pen.line([at(0.5, 0.50), at(0.47, 0.62), at(0.52, 0.62)], fill=look.hair, width=2)
    reach = 90 * look.smile
    pen.arc(
        box(0.5 - half * 0.5, 0.60, 0.5 + half * 0.5, 0.76),
        90 - reach,
        90 + reach,
        fill=(150, 50, 60),
        width=5,
    )
    return image


def draw_eye(pen: ImageDraw.ImageDraw, center: float, look: Look) -> None:
    """Draw one eye and its brow around a horizontal position."""
    pen.ellipse(box(center - 0.05, 0.43, center + 0.05, 0.49), fill=(245, 245, 245))
    pen.ellipse(box(center - 0.025, 0.435, center + 0.025, 0.485), fill=look.eyes)
    pen.line([at(center - 0.06, 0.40), at(center + 0.06, 0.39)], fill=look.hair, width=4)


def shade(color: Color) -> npt.NDArray[np.uint8]:
    """Return a background that darkens downwards, (256, 256, 3) uint8 in [0, 255]."""
    fall = np.linspace(1.0, 0.55, SIDE_PX)[:, None, None]
    rows = np.broadcast_to(fall * np.array(color), (SIDE_PX, SIDE_PX, 3))
    return np.ascontiguousarray(rows.astype(np.uint8))


def box(left: float, top: float, right: float, bottom: float) -> tuple[float, float, float, float]:
    """Return a box given in shares of the picture in pixels."""
    return (left * SIDE_PX, top * SIDE_PX, right * SIDE_PX, bottom * SIDE_PX)


def at(x: float, y: float) -> tuple[float, float]:
    """Return a point given in shares of the picture in pixels."""
    return (x * SIDE_PX, y * SIDE_PX)
