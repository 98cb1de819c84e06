"""Uploads become upright squares on white, or a sentence that says why not."""

import subprocess
import sys
from io import BytesIO

import numpy as np
import pytest
from PIL import Image, ImageOps

from models.pixels import (
    Crop,
    PictureLimits,
    UnusablePictureError,
    encode,
    read_square,
    resize,
)
from tests.faults.files import png, png_header, saved

LIMITS = PictureLimits()


def _two_halves(width: int, height: int) -> Image.Image:
    """Red on the left, blue on the right."""
    image = Image.new("RGB", (width, height), (255, 0, 0))
    image.paste((0, 0, 255), (width // 2, 0, width, height))
    return image


def test_the_centre_square_is_cut_and_the_crop_reported() -> None:
    picture = read_square(saved(_two_halves(200, 100)), LIMITS)
    assert picture.crop == Crop(50, 0, 100)
    assert picture.pixels.shape == (100, 100, 3)
    assert picture.pixels[50, 10].tolist() == [255, 0, 0]
    assert picture.pixels[50, 90].tolist() == [0, 0, 255]


def test_a_crop_is_taken_where_it_is_asked_for() -> None:
    picture = read_square(saved(_two_halves(200, 100)), LIMITS, Crop(120, 10, 64))
    assert (picture.pixels == (0, 0, 255)).all()
    assert picture.pixels.shape == (64, 64, 3)


@pytest.mark.parametrize("crop", [Crop(150, 0, 64), Crop(0, 0, 101), Crop(-1, 0, 64)])
def test_a_crop_outside_the_picture_is_refused(crop: Crop) -> None:
    with pytest.raises(UnusablePictureError, match=r"crop .* does not lie inside"):
        read_square(saved(_two_halves(200, 100)), LIMITS, crop)


@pytest.mark.parametrize("side", [0, 1, 15])
def test_a_crop_of_a_few_pixels_is_refused(side: int) -> None:
    assert read_square(saved(_two_halves(200, 100)), LIMITS, Crop(0, 0, 16)).crop.side == 16
    with pytest.raises(UnusablePictureError, match="at least 16 pixels"):
        read_square(saved(_two_halves(200, 100)), LIMITS, Crop(0, 0, side))


@pytest.mark.parametrize("crop", [Crop(0, 0, 70), Crop(13, 5, 40)])
@pytest.mark.parametrize("file_format", ["PNG", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_crop_is_meant_in_the_upright_picture(
    orientation: int, file_format: str, crop: Crop
) -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (70, 120, 3), dtype=np.uint8)
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = saved(Image.fromarray(pixels), file_format, exif=exif.tobytes(), lossless=True)
    upright = ImageOps.exif_transpose(Image.open(BytesIO(data))).convert("RGB")
    picture = read_square(data, LIMITS, crop)
    box = (crop.x, crop.y, crop.x + crop.side, crop.y + crop.side)
    assert (picture.width_px, picture.height_px) == upright.size
    assert np.array_equal(picture.pixels, np.asarray(upright.crop(box)))


def test_exif_orientation_turns_the_picture_upright() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: the stored left is the top
    data = saved(_two_halves(200, 200), "JPEG", exif=exif.tobytes(), quality=95)
    pixels = read_square(data, LIMITS).pixels.astype(int)
    assert pixels[20, 100, 0] > 200
    assert pixels[180, 100, 2] > 200


def test_a_broken_exif_block_does_not_matter() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    exif[0x010E] = "a description"
    good = saved(_two_halves(200, 200), "JPEG", exif=exif.tobytes(), quality=95)
    start = good.index(b"Exif")
    for position in range(start, start + 60):
        broken = bytearray(good)
        broken[position] ^= 0xFF
        try:
            assert read_square(bytes(broken), LIMITS).pixels.shape == (200, 200, 3)
        except UnusablePictureError:
            continue


@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation_is_turned_as_pillow_turns_it(orientation: int) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (80, 80, 3), dtype=np.uint8)
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = saved(Image.fromarray(pixels), "PNG", exif=exif.tobytes())
    expected = ImageOps.exif_transpose(Image.open(BytesIO(data)))
    assert np.array_equal(read_square(data, LIMITS).pixels, np.asarray(expected))


def test_transparency_becomes_white() -> None:
    image = Image.new("RGBA", (80, 80), (0, 0, 0, 0))
    assert (read_square(saved(image), LIMITS).pixels == 255).all()


def test_a_palette_with_transparency_becomes_white() -> None:
    image = Image.new("P", (80, 80), 3)
    image.putpalette([10, 20, 30] * 256)
    assert (read_square(saved(image, transparency=3), LIMITS).pixels == 255).all()


@pytest.mark.parametrize(("sixteen", "eight"), [(0, 0), (32768, 128), (65535, 255)])
def test_sixteen_bits_are_scaled_not_clipped(sixteen: int, eight: int) -> None:
    image = Image.fromarray(np.full((80, 80), sixteen, np.uint16))
    assert read_square(saved(image), LIMITS).pixels[0, 0].tolist() == [eight] * 3


def test_cmyk_looks_like_its_colours() -> None:
    data = saved(_two_halves(200, 200).convert("CMYK"), "JPEG", quality=95)
    assert read_square(data, LIMITS).pixels[100, 20].astype(int)[0] > 180


def test_a_large_crop_is_reduced() -> None:
    picture = read_square(saved(_two_halves(3000, 3000)), LIMITS)
    assert picture.pixels.shape == (1024, 1024, 3)
    assert picture.width_px == 3000


@pytest.mark.heavy
def test_a_very_large_crop_is_averaged_to_what_a_filter_alone_makes_of_it() -> None:
    rows, columns = np.mgrid[0:4200, 0:4200].astype(np.float32)
    waves = 120 + 50 * np.sin(columns / 9) + 50 * np.cos(rows / 13)
    image = Image.fromarray(np.stack([waves, columns / 18, rows / 18], axis=-1).astype(np.uint8))
    cut = image.crop((90, 13, 4190, 4113))
    expected = np.asarray(cut.resize((1024, 1024), Image.Resampling.LANCZOS), dtype=float)
    for data in (saved(image, compress_level=1), saved(image, "JPEG", quality=98)):
        found = read_square(data, LIMITS, Crop(90, 13, 4100)).pixels
        error = ((found - expected) ** 2).mean()
        assert 10 * np.log10(255**2 / error) > 45  # dB; from 40 on nobody sees a difference


PEAK = """
import re, sys
from pathlib import Path
from models.pixels import PictureLimits, read_square
from tests.faults.files import plain_png

def peak_mb():  # not getrusage: that counts what this process was forked from
    return int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) // 1024

data = plain_png(7000, 7000, 16, 6, bytes(8))
before = peak_mb()
read_square(data, PictureLimits())
sys.stdout.write(str(peak_mb() - before))
"""


@pytest.mark.heavy
def test_fifty_megapixels_take_little_more_memory_than_their_pixels() -> None:
    command = [sys.executable, "-c", PEAK]
    peak_mb = int(subprocess.run(command, capture_output=True, check=True, timeout=120).stdout)
    assert 150 < peak_mb < 350  # decoded they have 187 MiB; every copy would be as much again


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"", "empty"),
        (b"not a picture at all", "cannot be decoded"),
        (saved(_two_halves(200, 200), "JPEG")[:600], "cannot be decoded"),
        (saved(_two_halves(200, 200), "BMP"), "cannot be decoded"),
        (saved(Image.new("RGB", (1, 1))), "at least 64"),
        (png(png_header(20000, 20000), b""), "at most"),
        (png(png_header(8000, 8000), b""), "50000000"),
        (saved(Image.new("RGB", (600, 100))), "4 times"),
    ],
)
def test_what_cannot_be_used_gets_a_sentence(data: bytes, sentence: str) -> None:
    with pytest.raises(UnusablePictureError, match=sentence):
        read_square(data, LIMITS)


def test_a_file_over_the_limit_is_refused() -> None:
    with pytest.raises(UnusablePictureError, match="at most 100 are taken"):
        read_square(saved(_two_halves(200, 200)), PictureLimits(max_bytes=100))


@pytest.mark.parametrize("output_format", ["png", "webp"])
def test_lossless_formats_keep_every_pixel_and_repeat_their_bytes(output_format: str) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    data = encode(pixels, output_format)
    assert np.array_equal(np.asarray(Image.open(BytesIO(data)).convert("RGB")), pixels)
    assert encode(pixels, output_format) == data


def test_resize_to_the_same_side_changes_nothing() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    assert resize(pixels, 64, Image.Resampling.LANCZOS) is pixels
