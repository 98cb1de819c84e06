"""A picture of any mode becomes sRGB: laid on white, its colour profile applied (no torch)."""

from io import BytesIO

import numpy as np
from PIL import Image, ImageCms

MAX_PROFILE_BYTES = 4_000_000
"""Of a profile that is applied: those of printing presses have 3 MB, those of cameras 3 kB."""
_SRGB_TOLERANCE = 3
"""A profile that changes no colour by more is sRGB under another name: numbers stay as they are."""
# Chains of any length, which cost lcms minutes to evaluate; hardly a profile has them.
_UNBOUNDED_TAGS = (b"D2B0", b"D2B1", b"D2B2", b"D2B3")
# ICC.1:2022, section 7.2.6; the modes are Pillow's.
_MODES = {b"RGB ": "RGB", b"GRAY": "L", b"CMYK": "CMYK"}


def flat(image: Image.Image) -> Image.Image:
    """Lay a picture of any mode on white, as RGB; CMYK stays as it is, for its profile.

    Sixteen bits are scaled to eight, where Pillow would clip them.
    """
    if image.mode.startswith("I"):
        return _from_16_bits(image)
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        canvas = Image.new("RGBA", rgba.size, (255, 255, 255, 255))
        return Image.alpha_composite(canvas, rgba).convert("RGB")
    return image if image.mode in ("RGB", "CMYK") else image.convert("RGB")


def as_srgb(image: Image.Image, profile: bytes | None, is_grey: bool = False) -> Image.Image:
    """Convert RGB or CMYK, as it comes from `flat`, to sRGB; its numbers are the profile's.

    A profile that is absent, broken, very long or made for another mode counts as sRGB.

    Args:
        image: RGB or CMYK.
        profile: an ICC profile.
        is_grey: the picture had one channel of colour, so that a grey profile means it.
    """
    mode = _MODES.get((profile or b"")[16:20])
    if profile and mode and (image.mode == mode or (mode == "L" and is_grey)):
        try:
            return _converted(image.getchannel(0) if mode == "L" else image, profile)
        except Exception:  # whatever a broken profile makes lcms or Pillow raise
            return image.convert("RGB")
    return image.convert("RGB")


def _from_16_bits(image: Image.Image) -> Image.Image:
    samples = np.asarray(image, dtype=np.int32).clip(0, 65535)
    grey = ((samples + 128) // 257).astype(np.uint8)
    transparent = image.info.get("transparency")
    if isinstance(transparent, int):
        grey[samples == transparent] = 255
    return Image.fromarray(grey).convert("RGB")


def _converted(image: Image.Image, profile: bytes) -> Image.Image:
    # The table of tags stands behind the header: ICC.1:2022, section 7.3.
    table = profile[128 : 132 + 12 * 100]
    if len(profile) > MAX_PROFILE_BYTES or any(tag in table for tag in _UNBOUNDED_TAGS):
        return image.convert("RGB")
    transform = ImageCms.buildTransform(
        ImageCms.ImageCmsProfile(BytesIO(profile)),
        ImageCms.createProfile("sRGB"),
        image.mode,
        "RGB",
        ImageCms.Intent.PERCEPTUAL,
    )
    if image.mode != "CMYK" and _is_srgb(transform, image.mode):
        return image.convert("RGB")
    return ImageCms.applyTransform(image, transform) or image.convert("RGB")


def _is_srgb(transform: ImageCms.ImageCmsTransform, mode: str) -> bool:
    levels = np.arange(0, 256, 15, dtype=np.uint8)  # 18 of them, black and white too
    if mode == "L":
        probe = Image.fromarray(levels[None, :])
    else:
        cube = np.stack(np.meshgrid(levels, levels, levels), axis=-1)
        probe = Image.fromarray(cube.reshape(len(levels), -1, 3))
    before = np.asarray(probe.convert("RGB"), dtype=np.int16)
    after = np.asarray(transform.apply(probe), dtype=np.int16)
    return bool(np.abs(after - before).max() <= _SRGB_TOLERANCE)
