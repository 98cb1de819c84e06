"""Uploaded bytes become one square RGB array; arrays become encoded bytes (Pillow, no torch)."""

import hashlib
import math
import zlib
from dataclasses import dataclass
from io import BytesIO
from typing import Any, Literal

import numpy as np
from PIL import Image

from models.colours import as_srgb, flat
from models.file_structure import is_costly
from models.interfaces import RGBPixels
from models.orientation import orientation_of, stored_corner, turned, upright_size

INPUT_FORMATS = ("JPEG", "PNG", "WEBP")
OutputFormat = Literal["png", "webp", "jpeg"]
MAX_SQUARE_SIDE_PX = 1024
"""A crop with a longer side is reduced to this: both models work at less, and it must travel."""

_FINE_SIDE_PX = 2 * MAX_SQUARE_SIDE_PX
# A longer side is brought down to no less than this by averages of whole blocks, and from there by
# a filter: no eye sees the difference, and no copy of the whole picture is made.
MIN_CROP_SIDE_PX = 16
"""Of a square to cut; a face in less says nothing to either model."""

# By measurement (docs/decisions/0004-codecs.md). Of a lossless WebP, quality is effort, not loss.
_ENCODER_OPTIONS: dict[OutputFormat, dict[str, int | bool | str]] = {
    "png": {"format": "PNG", "compress_level": 1, "compress_type": zlib.Z_RLE},
    "webp": {"format": "WEBP", "lossless": True, "method": 0, "quality": 0},
    "jpeg": {"format": "JPEG", "quality": 95, "subsampling": 0},
}


class UnusablePictureError(ValueError):
    """The upload is not a picture that can be used; the message is meant for the caller."""


@dataclass(frozen=True)
class PictureLimits:
    """What is refused before a pixel is decoded.

    Attributes:
        max_bytes: size of the file.
        min_side_px: the shorter side, at least.
        max_side_px: the longer side, at most.
        max_pixels: width times height.
        max_aspect: longer side divided by shorter side.
    """

    max_bytes: int = 20_000_000
    min_side_px: int = 64
    max_side_px: int = 8192
    max_pixels: int = 50_000_000
    max_aspect: float = 4.0


@dataclass(frozen=True)
class Crop:
    """A square of the upright input picture, in its pixels: left, top and side."""

    x: int
    y: int
    side: int


@dataclass(frozen=True)
class SquarePicture:
    """One input picture, ready for both models.

    Attributes:
        pixels: (S, S, 3) uint8 in [0, 255], S at most 1024.
        sha256: of the uploaded bytes, in hexadecimal.
        width_px: of the whole picture, upright.
        height_px: of the whole picture, upright.
        crop: the square that was used, in pixels of the whole picture.
    """

    pixels: RGBPixels
    sha256: str
    width_px: int
    height_px: int
    crop: Crop

    def facts(self) -> dict[str, Any]:
        """Return what answers and images say of the input: digest, size in pixels and crop."""
        return {
            "sha256": self.sha256,
            "width": self.width_px,
            "height": self.height_px,
            "crop": vars(self.crop),
        }


def read_square(data: bytes, limits: PictureLimits, crop: Crop | None = None) -> SquarePicture:
    """Decode an upload, turn it upright, cut a square out of it, on white and in sRGB.

    An embedded colour profile is applied to the square; a picture without one, or with a broken
    one, counts as sRGB.

    Args:
        data: a JPEG, PNG or WebP file; of an animation the first frame counts.
        limits: checked against the header, before decoding.
        crop: the square to cut; the largest one in the centre when absent.

    Raises:
        UnusablePictureError: not a picture, broken, or outside the limits.
    """
    _check_file(data, limits)
    try:
        # A decompression bomb is only warned of by Pillow up to twice its limit; ours are checked
        # against the header, before any pixel is decoded.
        with Image.open(BytesIO(data), formats=INPUT_FORMATS) as opened:
            _check_size(opened.width, opened.height, limits)
            return _square_of(opened, hashlib.sha256(data).hexdigest(), crop)
    except UnusablePictureError:
        raise
    except Image.DecompressionBombError as error:
        raise UnusablePictureError(
            f"the picture is too large: at most {limits.max_pixels} pixels are taken"
        ) from error
    except (OSError, ValueError, SyntaxError, EOFError, OverflowError) as error:
        # Pillow raises any of these for broken files; all mean the same to the caller.
        raise UnusablePictureError(
            "the picture cannot be decoded: send a complete JPEG, PNG or WebP file"
        ) from error


def has_picture_header(data: bytes) -> bool:
    """Say whether data begins as a JPEG, PNG or WebP file; no pixel is decoded."""
    if is_costly(data):
        return False
    try:
        Image.open(BytesIO(data), formats=INPUT_FORMATS).close()
    except Exception:  # whatever a broken header makes Pillow raise
        return False
    return True


def resize(pixels: RGBPixels, side_px: int, resample: Image.Resampling) -> RGBPixels:
    """Resize (S, S, 3) uint8 to (side_px, side_px, 3) uint8 with Pillow's antialiased filters."""
    if pixels.shape[:2] == (side_px, side_px):
        return pixels
    image = Image.fromarray(pixels).resize((side_px, side_px), resample)
    return np.ascontiguousarray(np.asarray(image, dtype=np.uint8))


def encode(pixels: RGBPixels, output_format: OutputFormat, **metadata: object) -> bytes:
    """Encode (H, W, 3) uint8 as PNG, lossless WebP or JPEG; the same input gives the same bytes.

    Args:
        pixels: the image.
        output_format: "png", "webp" or "jpeg".
        **metadata: passed to Pillow's `save`, such as `pnginfo` or `exif`.
    """
    buffer = BytesIO()
    Image.fromarray(pixels).save(buffer, **_ENCODER_OPTIONS[output_format], **metadata)  # type: ignore[arg-type]
    return buffer.getvalue()


def _check_file(data: bytes, limits: PictureLimits) -> None:
    if len(data) > limits.max_bytes:
        raise UnusablePictureError(
            f"the picture has {len(data)} bytes: at most {limits.max_bytes} are taken"
        )
    if not data:
        raise UnusablePictureError("the picture is empty: send a JPEG, PNG or WebP file")
    if is_costly(data):
        raise UnusablePictureError(
            "the picture is made of too many parts to be decoded: save it anew, as a plain JPEG, "
            "PNG or WebP file"
        )


def _check_size(width: int, height: int, limits: PictureLimits) -> None:
    short, long = sorted((width, height))
    where = f"the picture is {width}x{height} pixels"
    if short < limits.min_side_px:
        raise UnusablePictureError(f"{where}: each side needs at least {limits.min_side_px}")
    if long > limits.max_side_px:
        raise UnusablePictureError(f"{where}: a side may have at most {limits.max_side_px}")
    if width * height > limits.max_pixels:
        raise UnusablePictureError(f"{where}: at most {limits.max_pixels} in all are taken")
    if long > limits.max_aspect * short:
        raise UnusablePictureError(
            f"{where}: the longer side may be at most {limits.max_aspect:g} times the shorter"
        )


def _square_of(picture: Image.Image, sha256: str, crop: Crop | None) -> SquarePicture:
    if picture.format == "PNG":
        picture.load()  # its EXIF block may stand behind the pixels
    orientation = orientation_of(picture)
    width, height = upright_size(*picture.size, orientation)
    square = crop or _center_crop(width, height)
    _check_crop(square, width, height)
    corner = stored_corner(square.x, square.y, square.side, picture.size, orientation)
    profile, is_grey = picture.info.get("icc_profile"), picture.getbands()[0] in ("L", "I", "1")
    cut = as_srgb(_reduced(picture, *corner, square.side), profile, is_grey)
    pixels = np.ascontiguousarray(np.asarray(turned(cut, orientation), dtype=np.uint8))
    return SquarePicture(pixels, sha256, width_px=width, height_px=height, crop=square)


def _reduced(picture: Image.Image, x: int, y: int, side: int) -> Image.Image:
    """Decode a picture and cut a square of it, on white, at most `MAX_SQUARE_SIDE_PX` wide."""
    width = picture.width
    coarse = side // _FINE_SIDE_PX
    if coarse > 1:  # a JPEG can be decoded at a half, a quarter or an eighth of its size
        picture.draft(None, (width // coarse, picture.height // coarse))
    picture.load()
    scale = 1 / round(width / picture.width)
    left, top, right, bottom = (scale * edge for edge in (x, y, x + side, y + side))
    outer = (math.floor(left), math.floor(top), math.ceil(right), math.ceil(bottom))
    step = max(1, int(side * scale) // _FINE_SIDE_PX)
    cut = _flat_in_bands(picture, outer, step)
    if side <= MAX_SQUARE_SIDE_PX:
        return cut
    inner = ((left - outer[0]) / step, (top - outer[1]) / step)
    box = (*inner, inner[0] + (right - left) / step, inner[1] + (bottom - top) / step)
    size = (MAX_SQUARE_SIDE_PX, MAX_SQUARE_SIDE_PX)
    return cut.resize(size, Image.Resampling.LANCZOS, box=box)


def _flat_in_bands(picture: Image.Image, box: tuple[int, int, int, int], step: int) -> Image.Image:
    """Cut a box and lay it on white; blocks of `step` by `step` pixels become their average.

    The copies that this takes are of one band at a time: a whole picture has hundreds of megabytes.
    """
    left, top, right, bottom = box
    if step == 1:
        return flat(picture.crop(box))
    size = (math.ceil((right - left) / step), math.ceil((bottom - top) / step))
    whole: Image.Image | None = None
    for start in range(top, bottom, 64 * step):
        band = flat(picture.crop((left, start, right, min(start + 64 * step, bottom))))
        whole = whole or Image.new(band.mode, size)
        whole.paste(band.reduce(step), (0, (start - top) // step))
    return whole or picture


def _center_crop(width: int, height: int) -> Crop:
    side = min(width, height)
    return Crop((width - side) // 2, (height - side) // 2, side)


def _check_crop(crop: Crop, width: int, height: int) -> None:
    given = f"crop {crop.x},{crop.y},{crop.side}"
    if crop.side < MIN_CROP_SIDE_PX:
        raise UnusablePictureError(
            f"{given} is too small: its side needs at least {MIN_CROP_SIDE_PX} pixels"
        )
    inside = crop.x >= 0 and crop.y >= 0
    inside = inside and crop.x + crop.side <= width and crop.y + crop.side <= height
    if not inside:
        raise UnusablePictureError(
            f"{given} does not lie inside the picture, which is {width}x{height} pixels after its "
            "orientation is applied"
        )
