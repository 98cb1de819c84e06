"""A small file that would cost a decoder minutes is refused before it is decoded."""

import time
import zlib

import numpy as np
import pytest
from PIL import Image

from models.pixels import PictureLimits, UnusablePictureError, has_picture_header, read_square
from tests.faults.files import after_header, after_start, chunk, many_scans, saved, segment

LIMITS = PictureLimits()
PLAIN = Image.new("RGB", (200, 200), (200, 30, 30))


def _segments(count: int, filling: bytes = segment(0xE5)) -> bytes:
    data = saved(PLAIN, "JPEG")
    return after_start(data, filling * count)


def _chunks(count: int, filling: bytes = chunk(b"prVt")) -> bytes:
    return after_header(saved(PLAIN), filling * count)


_INFLATED = zlib.compress(bytes(1_000_000), 9)  # a kilobyte that becomes a megabyte
_PROFILE = chunk(b"iCCP", b"a\0\0" + _INFLATED)
_TEXT = chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(600_000), 9))
_RESOURCES = segment(0xED, b"Photoshop 3.0\0" + (b"8BIM\x04\x04" + bytes(6)) * 5000)
_TABLES = segment(0xDB, bytes(65) * 1000)


@pytest.mark.parametrize(
    "data",
    [
        many_scans(3000, 2_000),
        _segments(1_000_000),
        _segments(5_000_000, b"\xff"),
        _segments(1_000_000, b"\xff\xd0"),
        _chunks(1_000_000),
        _chunks(700, _PROFILE),
        _chunks(2, _PROFILE),
        _chunks(101, _TEXT),
        saved(PLAIN)[:-12] + _TEXT * 101 + chunk(b"IEND"),
        _segments(300, _RESOURCES),
        _segments(300, _TABLES),
    ],
    ids=[
        *("scans", "segments", "filling", "restarts", "chunks", "profiles", "two profiles"),
        *("texts", "texts behind the pixels", "Photoshop resources", "quantization tables"),
    ],
)
def test_a_file_of_countless_parts_is_refused_at_once(data: bytes) -> None:
    started = time.process_time()
    with pytest.raises(UnusablePictureError, match="too many parts"):
        read_square(data, LIMITS)
    assert not has_picture_header(data)
    assert time.process_time() - started < 0.5  # decoding takes 5 to 500 s


@pytest.mark.parametrize(
    "data",
    [
        many_scans(3000, 50),
        _segments(3000),
        _segments(1, _RESOURCES),
        _segments(2, _TABLES),
        _chunks(100),
        _chunks(5000, chunk(b"IDAT")),
        _chunks(1, _PROFILE),
        saved(PLAIN, save_all=True, append_images=[Image.new("RGB", (200, 200))] * 200),
    ],
)
def test_a_file_of_many_parts_is_taken(data: bytes) -> None:
    assert read_square(data, LIMITS).pixels.shape[2] == 3
    assert has_picture_header(data)


@pytest.mark.parametrize(
    "data",
    [
        saved(PLAIN, "JPEG") + segment(0xDA) * 20_000,
        saved(PLAIN) + chunk(b"prVt") * 20_000,
        saved(PLAIN, "JPEG") + np.random.default_rng(0).bytes(3_000_000),  # such as a film
    ],
)
def test_what_stands_behind_a_picture_does_not_count(data: bytes) -> None:
    assert read_square(data, LIMITS).pixels.shape == (200, 200, 3)
