"""Uploads become upright squares on white, or a sentence that says why not."""

import struct
import zlib
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

LIMITS = PictureLimits()


def _file(image: Image.Image, file_format: str = "PNG", **options: object) -> bytes:
    buffer = BytesIO()
    image.save(buffer, file_format, **options)
    return buffer.getvalue()


def _two_halves(width: int, height: int) -> Image.Image:
    """Red on the left, blue on the right."""
    image = Image.new("RGB", (width, height), (255, 0, 0))
    image.paste((0, 0, 255), (width // 2, 0, width, height))
    return image


def test_the_centre_square_is_cut_and_the_crop_reported() -> None:
    picture = read_square(_file(_two_halves(200, 100)), LIMITS)
    assert picture.crop == Crop(50, 0, 100)
    assert picture.pixels.shape == (100, 100, 3)
    assert picture.pixels[50, 10].tolist() == [255, 0, 0]
    assert picture.pixels[50, 90].tolist() == [0, 0, 255]


def test_a_crop_is_taken_where_it_is_asked_for() -> None:
    picture = read_square(_file(_two_halves(200, 100)), LIMITS, Crop(120, 10, 64))
    assert (picture.pixels == (0, 0, 255)).all()
    assert picture.pixels.shape == (64, 64, 3)


@pytest.mark.parametrize("crop", [Crop(150, 0, 64), Crop(0, 0, 101), Crop(0, 0, 0)])
def test_a_crop_outside_the_picture_is_refused(crop: Crop) -> None:
    with pytest.raises(UnusablePictureError, match="crop"):
        read_square(_file(_two_halves(200, 100)), LIMITS, crop)


def test_exif_orientation_turns_the_picture_upright() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: the stored left is the top
    data = _file(_two_halves(200, 200), "JPEG", exif=exif.tobytes(), quality=95)
    pixels = read_square(data, LIMITS).pixels.astype(int)
    assert pixels[20, 100, 0] > 200
    assert pixels[180, 100, 2] > 200


def test_a_broken_exif_block_does_not_matter() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    exif[0x010E] = "a description"
    good = _file(_two_halves(200, 200), "JPEG", exif=exif.tobytes(), quality=95)
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
    data = _file(Image.fromarray(pixels), "PNG", exif=exif.tobytes())
    expected = ImageOps.exif_transpose(Image.open(BytesIO(data)))
    assert np.array_equal(read_square(data, LIMITS).pixels, np.asarray(expected))


def test_transparency_becomes_white() -> None:
    image = Image.new("RGBA", (80, 80), (0, 0, 0, 0))
    assert (read_square(_file(image), LIMITS).pixels == 255).all()


def test_a_palette_with_transparency_becomes_white() -> None:
    image = Image.new("P", (80, 80), 3)
    image.putpalette([10, 20, 30] * 256)
    assert (read_square(_file(image, transparency=3), LIMITS).pixels == 255).all()


@pytest.mark.parametrize(("sixteen", "eight"), [(0, 0), (32768, 128), (65535, 255)])
def test_sixteen_bits_are_scaled_not_clipped(sixteen: int, eight: int) -> None:
    image = Image.fromarray(np.full((80, 80), sixteen, np.uint16))
    assert read_square(_file(image), LIMITS).pixels[0, 0].tolist() == [eight] * 3


def test_cmyk_looks_like_its_colours() -> None:
    data = _file(_two_halves(200, 200).convert("CMYK"), "JPEG", quality=95)
    assert read_square(data, LIMITS).pixels[100, 20].astype(int)[0] > 180


def test_a_large_crop_is_reduced() -> None:
    picture = read_square(_file(_two_halves(3000, 3000)), LIMITS)
    assert picture.pixels.shape == (1024, 1024, 3)
    assert picture.width_px == 3000


def _png_header(width: int, height: int) -> bytes:
    """A PNG whose header promises a size that its pixel data does not hold."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(b"too little")), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in chunks
    )


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"", "empty"),
        (b"not a picture at all", "cannot be decoded"),
        (_file(_two_halves(200, 200), "JPEG")[:600], "cannot be decoded"),
        (_file(_two_halves(200, 200), "BMP"), "cannot be decoded"),
        (_file(Image.new("RGB", (1, 1))), "at least 64"),
        (_png_header(20000, 20000), "at most"),
        (_png_header(8000, 8000), "50000000"),
        (_file(Image.new("RGB", (600, 100))), "4 times"),
    ],
)
def test_what_cannot_be_used_gets_a_sentence(data: bytes, sentence: str) -> None:
    with pytest.raises(UnusablePictureError, match=sentence):
        read_square(data, LIMITS)


def test_a_file_over_the_limit_is_refused() -> None:
    with pytest.raises(UnusablePictureError, match="at most 100 are taken"):
        read_square(_file(_two_halves(200, 200)), PictureLimits(max_bytes=100))


@pytest.mark.parametrize("output_format", ["png", "webp"])
def test_lossless_formats_keep_every_pixel_and_repeat_their_bytes(output_format: str) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    data = encode(pixels, output_format)
    assert np.array_equal(np.asarray(Image.open(BytesIO(data)).convert("RGB")), pixels)
    assert encode(pixels, output_format) == data


def test_resize_to_the_same_side_changes_nothing() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    assert resize(pixels, 64, Image.Resampling.LANCZOS) is pixels
