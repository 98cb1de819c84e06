"""Uploaded bytes become one square RGB array; arrays become encoded bytes (Pillow, no torch)."""

import hashlib
import zlib
from dataclasses import dataclass
from io import BytesIO
from typing import Any, Literal

import numpy as np
from PIL import ExifTags, Image

from models.interfaces import RGBPixels

INPUT_FORMATS = ("JPEG", "PNG", "WEBP")
OutputFormat = Literal["png", "webp", "jpeg"]
MAX_SQUARE_SIDE_PX = 1024
"""A crop with a longer side is reduced to this: both models work at less, and it must travel."""

_TURNS = {  # EXIF 2.3, tag 274
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

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
    """Decode an upload, turn it upright, cut a square out of it and lay that on white.

    Colour profiles are not applied: numbers count as sRGB.

    Args:
        data: a JPEG, PNG or WebP file; of an animation the first frame counts.
        limits: checked against the header, before decoding.
        crop: the square to cut; the largest one in the centre when absent.

    Raises:
        UnusablePictureError: not a picture, broken, or outside the limits.
    """
    upright = _decode(data, limits)
    square = crop or _center_crop(upright.width, upright.height)
    _check_crop(square, upright.width, upright.height)
    box = (square.x, square.y, square.x + square.side, square.y + square.side)
    cut = _on_white(upright.crop(box))  # cut first: the copies below are of the square alone
    side = min(square.side, MAX_SQUARE_SIDE_PX)
    if side != square.side:
        cut = cut.resize((side, side), Image.Resampling.LANCZOS)
    return SquarePicture(
        pixels=np.ascontiguousarray(np.asarray(cut, dtype=np.uint8)),
        sha256=hashlib.sha256(data).hexdigest(),
        width_px=upright.width,
        height_px=upright.height,
        crop=square,
    )


def has_picture_header(data: bytes) -> bool:
    """Say whether data begins as a JPEG, PNG or WebP file; no pixel is decoded."""
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


def _decode(data: bytes, limits: PictureLimits) -> Image.Image:
    if len(data) > limits.max_bytes:
        raise UnusablePictureError(
            f"the picture has {len(data)} bytes: at most {limits.max_bytes} are taken"
        )
    if not data:
        raise UnusablePictureError("the picture is empty: send a JPEG, PNG or WebP file")
    try:
        # A decompression bomb is only warned of by Pillow up to twice its limit; ours are checked
        # against the header, before any pixel is decoded.
        with Image.open(BytesIO(data), formats=INPUT_FORMATS) as opened:
            _check_size(opened.width, opened.height, limits)
            opened.load()
            return _upright(opened)
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


def _upright(image: Image.Image) -> Image.Image:
    """Turn a picture by its EXIF orientation; one that cannot be read counts as upright.

    Not Pillow's `exif_transpose`: that writes the EXIF block anew and fails on a broken one.
    """
    try:
        orientation = image.getexif().get(ExifTags.Base.Orientation)
    except Exception:  # whatever a broken block makes Pillow raise
        orientation = None
    method = _TURNS.get(orientation) if isinstance(orientation, int) else None
    return image.copy() if method is None else image.transpose(method)


def _on_white(image: Image.Image) -> Image.Image:
    """Convert any mode to RGB: transparency onto white, 16 bits scaled to 8 instead of clipped."""
    if image.mode.startswith("I"):
        samples = np.asarray(image, dtype=np.int32).clip(0, 65535)
        return Image.fromarray(((samples + 128) // 257).astype(np.uint8)).convert("RGB")
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        canvas = Image.new("RGBA", rgba.size, (255, 255, 255, 255))
        return Image.alpha_composite(canvas, rgba).convert("RGB")
    return image.convert("RGB")


def _center_crop(width: int, height: int) -> Crop:
    side = min(width, height)
    return Crop((width - side) // 2, (height - side) // 2, side)


def _check_crop(crop: Crop, width: int, height: int) -> None:
    inside = crop.x >= 0 and crop.y >= 0
    inside = inside and crop.x + crop.side <= width and crop.y + crop.side <= height
    if not inside or crop.side < 1:
        raise UnusablePictureError(
            f"crop {crop.x},{crop.y},{crop.side} does not lie inside the picture, which is "
            f"{width}x{height} pixels after its orientation is applied"
        )
