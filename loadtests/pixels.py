"""Pictures as arrays: reading them from an answer, and telling whether two are the same."""

from __future__ import annotations

import base64
import binascii
import io
import struct
import zlib
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

from loadtests.metadata import Marks, read_marks

COARSE_STEP_PX = 8

Pixels = npt.NDArray[np.uint8]

# Pillow's decoders raise all of these on broken data, depending on the format.
DECODE_ERRORS = (
    OSError,
    ValueError,
    SyntaxError,
    EOFError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
)


@dataclass(frozen=True)
class Picture:
    """One decoded file: (H, W, 3) uint8 RGB in [0, 255], what it says of itself, its format."""

    pixels: Pixels
    marks: Marks
    image_format: str


def decode_image(b64_json: object) -> Pixels:
    """Decode base64 text into (H, W, 3) uint8 RGB in [0, 255]; raises as `decode_picture` does."""
    return decode_picture(b64_json).pixels


def decode_picture(b64_json: object) -> Picture:
    """Decode base64 text into pixels and metadata.

    Raises:
        ValueError: where the text is no base64 or the picture is not square; broken image data
            raises one of `DECODE_ERRORS`, as Pillow does.
    """
    if not isinstance(b64_json, str) or not b64_json:
        raise ValueError("b64_json is empty")
    try:
        data = base64.b64decode(b64_json, validate=True)
    except binascii.Error as error:
        raise ValueError("b64_json is not base64") from error
    with Image.open(io.BytesIO(data)) as image:
        width, height = image.size
        if width != height or width == 0:
            raise ValueError(f"{width}x{height} px is not square")
        pixels = np.asarray(image.convert("RGB"), dtype=np.uint8)
        return Picture(pixels, read_marks(image), str(image.format).lower())


def are_same(first: Pixels, second: Pixels, tolerance: int) -> bool:
    """Say whether no pixel of two pictures differs by more than `tolerance` 8-bit levels."""
    if first.shape != second.shape:
        return False
    # A coarse grid settles nearly every pair that differs, at a small part of the time.
    coarse = largest_difference(
        first[::COARSE_STEP_PX, ::COARSE_STEP_PX], second[::COARSE_STEP_PX, ::COARSE_STEP_PX]
    )
    return coarse <= tolerance and largest_difference(first, second) <= tolerance


def largest_difference(first: Pixels, second: Pixels) -> int:
    """Return the largest difference between two pictures of one shape, in 8-bit levels."""
    return int(np.abs(first.astype(np.int16) - second.astype(np.int16)).max())


def describe_difference(first: Pixels, second: Pixels) -> str:
    """Return a few words on how two pictures differ."""
    if first.shape != second.shape:
        return "has another size"
    return f"differs by {largest_difference(first, second)}/255"
