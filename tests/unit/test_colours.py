"""Pictures of any mode and colour profile come out in the colours that were meant."""

import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from models.pixels import PictureLimits, read_square
from tests.faults.files import png, png_header, saved
from tests.faults.profiles import (
    ADOBE_RGB,
    DISPLAY_P3,
    LINEAR_GREY,
    SRGB_BY_HAND,
    chain,
    red_cyan_press,
)

LIMITS = PictureLimits()


def test_a_transparent_grey_of_sixteen_bits_becomes_white() -> None:
    image = Image.fromarray(np.full((80, 80), 1234, np.uint16))
    image.putpixel((0, 0), 4321)
    pixels = read_square(saved(image, transparency=1234), LIMITS).pixels
    assert pixels[0, 0].tolist() == [17] * 3
    assert pixels[1, 1].tolist() == [255] * 3


@pytest.mark.parametrize(
    ("colour_type", "samples", "expected"),
    [
        (2, (65535, 32896, 0), [255, 128, 0]),
        (4, (32896, 65535), [128, 128, 128]),
        (4, (0, 0), [255, 255, 255]),
        (6, (65535, 0, 0, 32896), [255, 127, 127]),
    ],
)
def test_colours_of_sixteen_bits_come_out_right(
    colour_type: int, samples: tuple[int, ...], expected: list[int]
) -> None:
    row = b"\0" + struct.pack(f">{len(samples)}H", *samples) * 80
    data = png(png_header(80, 80, 16, colour_type), zlib.compress(row * 80))
    found = read_square(data, LIMITS).pixels[40, 40].astype(int)
    assert np.abs(found - expected).max() <= 1


@pytest.mark.parametrize(
    ("profile", "mode", "colour", "expected"),
    [
        # By the matrices and curves of the standards, reckoned apart from this code.
        (DISPLAY_P3, "RGB", (200, 100, 50), (215, 93, 31)),
        (ADOBE_RGB, "RGB", (150, 100, 50), (167, 100, 42)),
        (DISPLAY_P3, "RGBA", (200, 100, 50, 255), (215, 93, 31)),
        (DISPLAY_P3, "RGBA", (200, 100, 50, 0), (255, 255, 255)),
        (DISPLAY_P3, "L", 100, (100, 100, 100)),
        (LINEAR_GREY, "L", 55, (128, 128, 128)),
        (LINEAR_GREY, "LA", (55, 255), (128, 128, 128)),
        # Not theirs: the numbers count as sRGB.
        (LINEAR_GREY, "RGB", (55, 60, 65), (55, 60, 65)),
        (red_cyan_press(), "RGB", (55, 60, 65), (55, 60, 65)),
        (SRGB_BY_HAND, "RGB", (55, 60, 65), (55, 60, 65)),
        (b"", "RGB", (55, 60, 65), (55, 60, 65)),
        (b"not a profile", "RGB", (55, 60, 65), (55, 60, 65)),
        (DISPLAY_P3[:200], "RGB", (55, 60, 65), (55, 60, 65)),
        (chain(), "RGB", (55, 60, 65), (55, 60, 65)),
    ],
)
def test_a_colour_profile_is_applied_where_it_fits(
    profile: bytes, mode: str, colour: object, expected: tuple[int, ...]
) -> None:
    data = saved(Image.new(mode, (80, 80), colour), "PNG", icc_profile=profile)  # type: ignore[arg-type]
    found = read_square(data, LIMITS).pixels[40, 40].astype(int)
    assert np.abs(found - expected).max() <= 1


def test_the_profile_of_a_press_is_applied_to_cmyk() -> None:
    cyan = Image.new("CMYK", (80, 80), (255, 0, 0, 0))
    plain = read_square(saved(cyan, "JPEG", quality=95), LIMITS).pixels[40, 40].astype(int)
    data = saved(cyan, "JPEG", quality=95, icc_profile=red_cyan_press())
    red = read_square(data, LIMITS).pixels[40, 40].astype(int)
    assert plain[0] < 20
    assert plain[1] > 235
    assert red[0] > 235
    assert red[1] < 60


def test_no_broken_profile_breaks_a_picture() -> None:
    random = np.random.default_rng(0)
    for profile in (DISPLAY_P3, LINEAR_GREY):
        mode = "L" if profile is LINEAR_GREY else "RGB"
        for _ in range(150):
            broken = bytearray(profile)
            for position in random.integers(0, len(profile), 3):
                broken[position] = random.integers(0, 256)
            data = saved(Image.new(mode, (64, 64), 90), "PNG", icc_profile=bytes(broken))
            assert read_square(data, LIMITS).pixels.shape == (64, 64, 3)
