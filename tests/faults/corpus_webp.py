"""The WebP files of the corpus."""

from collections.abc import Iterator

import numpy as np
from PIL import Image

from tests.faults.corpus import FOUR, WHITE, Entry, either, four, refused, usable
from tests.faults.corpus_jpeg import turned_away
from tests.faults.files import saved, webp, webp_canvas
from tests.faults.profiles import DISPLAY_P3

_ANIMATED, _ALPHA = 0x02, 0x10


def entries() -> list[Entry]:
    """Return all of them."""
    return [*_kinds(), *_headers(), *_damage()]


def _kinds() -> Iterator[Entry]:
    yield usable("a WebP", saved(four(), "WEBP", quality=95), tolerance=20)
    yield usable("a lossless WebP", saved(four(), "WEBP", lossless=True))
    half = four(mode="RGBA")
    half.paste((0, 0, 0, 0), (80, 0, 160, 160))
    clear = (FOUR[0], WHITE, FOUR[2], WHITE)
    yield usable("a WebP with alpha", saved(half, "WEBP", lossless=True), clear)
    stored, exif = turned_away(four(), 8)
    yield usable("a WebP on its side", saved(stored, "WEBP", lossless=True, exif=exif))
    broken = exif[:10] + b"\xff" * 40
    yield usable(
        "a WebP with a broken EXIF block", saved(four(), "WEBP", lossless=True, exif=broken)
    )
    wide = Image.new("RGB", (80, 80), (200, 100, 50))
    profiled = saved(wide, "WEBP", lossless=True, icc_profile=DISPLAY_P3)
    yield usable("a WebP with a colour profile", profiled, (215, 93, 31))
    noise = saved(four(), "WEBP", lossless=True, icc_profile=bytes(range(200)))
    yield usable("a WebP with a profile of noise", noise)
    for frames in (3, 300):
        more = [Image.new("RGB", (160, 160), (index % 250, 0, 0)) for index in range(frames - 1)]
        moving = saved(four(), "WEBP", lossless=True, save_all=True, append_images=more)
        yield usable(f"a WebP of {frames} frames", moving)


def _headers() -> Iterator[Entry]:
    lossless = saved(four(), "WEBP", lossless=True)
    pixels = (lossless[12:16], lossless[20:])
    frame = bytes(6) + b"\x9f\0\0\x9f\0\0" + bytes(4) + lossless[12:]
    control = (b"ANIM", bytes(6))
    yield refused(
        "an animation on a canvas of 16384x16384",
        webp(webp_canvas(16384, 16384, _ANIMATED), control, (b"ANMF", frame)),
    )
    yield refused(
        "an animation on a canvas of 16 million pixels a side",
        webp(webp_canvas(2**24, 2**24, _ANIMATED), control, (b"ANMF", frame)),
    )
    yield refused("a still picture on another canvas", webp(webp_canvas(8000, 6000), pixels))
    yield refused("an animation without frames", webp(webp_canvas(160, 160, _ANIMATED), control))
    outside = b"\xff\xff\xff\xff\xff\xff" + frame[6:]
    yield refused(
        "a frame outside of its canvas",
        webp(webp_canvas(160, 160, _ANIMATED), control, (b"ANMF", outside)),
    )
    many = [(b"ANMF", frame)] * 5000
    yield usable(
        "an animation of 5000 frames", webp(webp_canvas(160, 160, _ANIMATED), control, *many)
    )
    yield either(
        "an animation on a canvas of 50 megapixels",
        webp(webp_canvas(7000, 7000, _ANIMATED), control, (b"ANMF", frame)),
    )
    yield refused(
        "a lossless WebP of 16384x16384", webp((b"VP8L", b"\x2f\xff\xff\xff\x0f" + bytes(200)))
    )
    yield refused(
        "a lossy WebP of 16383x16383",
        webp((b"VP8 ", b"\x10\0\0\x9d\x01\x2a\xff\x3f\xff\x3f" + bytes(200))),
    )
    yield refused("a WebP of no chunks", webp())
    yield refused("a WebP of an unknown chunk", webp((b"XXXX", bytes(100))))
    yield either("a flag of alpha without any", webp(webp_canvas(160, 160, _ALPHA), pixels))
    yield either(
        "200000 empty chunks", webp(webp_canvas(160, 160), *[(b"XXXX", b"")] * 200_000, pixels)
    )
    yield refused("a sound in a RIFF file", webp((b"fmt ", bytes(16))).replace(b"WEBP", b"WAVE"))
    yield refused("a RIFF file of 4 GB", b"RIFF\xff\xff\xff\xffWEBPVP8L\xff\xff\xff\xff")
    yield either("a RIFF file of no length", lossless[:4] + bytes(4) + lossless[8:])


def _damage() -> Iterator[Entry]:
    noise = np.random.default_rng(9).integers(0, 256, (100, 100, 3), dtype=np.uint8)
    for kind, good in (
        ("lossy", saved(Image.fromarray(noise), "WEBP", quality=80)),
        ("lossless", saved(Image.fromarray(noise), "WEBP", lossless=True)),
    ):
        for share in (1, 10, 50, 90, 99):
            yield refused(f"{share} % of a {kind} WebP", good[: len(good) * share // 100])
        random = np.random.default_rng(10)
        for count in (1, 100):
            broken = bytearray(good)
            for position in random.integers(30, len(good), count):
                broken[position] ^= 0x10
            yield either(f"{count} wrong bits in a {kind} WebP", bytes(broken))
