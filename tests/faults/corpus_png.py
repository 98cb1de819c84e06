"""The PNG files of the corpus."""

import struct
import zlib
from collections.abc import Iterator
from functools import partial

import numpy as np
from PIL import Image, PngImagePlugin

from tests.faults.corpus import FOUR, WHITE, Entry, either, four, grey_of, refused, usable
from tests.faults.corpus_jpeg import turned_away
from tests.faults.files import (
    PNG_SIGNATURE,
    after_header,
    chunk,
    plain_png,
    png,
    png_header,
    saved,
)
from tests.faults.profiles import DISPLAY_P3, LINEAR_GREY

_PASSES = (
    (0, 0, 8, 8),
    (4, 0, 8, 8),
    (0, 4, 4, 8),
    (2, 0, 4, 4),
    (0, 2, 2, 4),
    (1, 0, 2, 2),
    (0, 1, 1, 2),
)
_GREY = (100, 100, 100)


def entries() -> list[Entry]:
    """Return all of them."""
    return [*_kinds(), *_transparent(), *_metadata(), *_bombs(), *_structure(), *_damage()]


def _bomb(size: int = 200_000_000) -> bytes:
    packer = zlib.compressobj(9)
    return (
        b"".join(packer.compress(bytes(1_000_000)) for _ in range(size // 1_000_000))
        + packer.flush()
    )


def _interlaced() -> bytes:
    """Weave four colours as Adam7 does (specification, section 8.2)."""
    pixels = np.asarray(four())
    rows = []
    for left, top, right, down in _PASSES:
        rows += [b"\0" + row.tobytes() for row in pixels[top::down, left::right]]
    return png(png_header(160, 160, weave=1), zlib.compress(b"".join(rows)))


def _kinds() -> Iterator[Entry]:
    plain = partial(plain_png, 80, 80)
    yield usable("a PNG", saved(four()))
    yield usable("an interlaced PNG", _interlaced())
    yield usable("a grey PNG", saved(four(mode="L")), grey_of(FOUR))
    yield usable("a palette", saved(four().quantize(4)), tolerance=20)
    yield usable("one bit a pixel, white", plain(1, 0, b"\xff"), WHITE)
    yield usable("one bit a pixel, black", plain(1, 0, b"\0"), (0, 0, 0))
    yield usable("two bits a pixel", plain(2, 0, b"\xaa"), (170, 170, 170))
    yield usable("four bits a pixel", plain(4, 0, b"\x66"), (102, 102, 102))
    yield usable("grey of 16 bits", plain(16, 0, b"\x66\x00"), (102, 102, 102))
    yield usable("colours of 16 bits", plain(16, 2, b"\xc8\0\x28\0\x28\0"), (200, 40, 40))
    yield usable("grey of 16 bits with alpha", plain(16, 4, b"\x66\0\xff\xff"), (102, 102, 102))
    yield usable("colours of 16 bits with alpha", plain(16, 6, b"\0\0\0\0\0\0\x80\0"), (127,) * 3)
    yield usable("an APNG of 40 frames", _animation(40))
    stored, exif = turned_away(four(), 6)
    yield usable("a PNG on its side", saved(stored, exif=exif))
    behind = saved(stored)[:-12] + chunk(b"eXIf", exif.removeprefix(b"Exif\0\0")) + chunk(b"IEND")
    yield usable("a PNG whose turn stands at its end", behind)
    words = PngImagePlugin.PngInfo()
    words.add_text("Raw profile type exif", f"\nexif\n{len(exif)}\n{exif.hex()}\n")
    yield usable("a PNG on its side, in ImageMagick's words", saved(stored, pnginfo=words))


def _animation(frames: int) -> bytes:
    more = [Image.new("RGB", (160, 160), (index, 0, 0)) for index in range(frames - 1)]
    return saved(four(), save_all=True, append_images=more)


def _transparent() -> Iterator[Entry]:
    half = four(mode="RGBA")
    half.paste((0, 0, 0, 0), (80, 0, 160, 160))
    yield usable("half transparent", saved(half), (FOUR[0], WHITE, FOUR[2], WHITE))
    veil = four(mode="RGBA")
    veil.putalpha(128)
    veiled = tuple(tuple((one * 128 + 255 * 127) // 255 for one in colour) for colour in FOUR)
    yield usable("a veil", saved(veil), veiled)  # type: ignore[arg-type]
    yield usable("transparent black", saved(Image.new("RGBA", (80, 80))), WHITE)
    yield usable("grey with alpha", saved(Image.new("LA", (80, 80), (100, 255))), _GREY)
    yield usable("grey with no alpha left", saved(Image.new("LA", (80, 80), (100, 0))), WHITE)
    palette = Image.new("P", (80, 80), 3)
    palette.putpalette([10, 20, 30] * 256)
    yield usable("a palette of one transparent colour", saved(palette, transparency=3), WHITE)
    alphas = bytes(range(256))
    yield usable("a palette with alphas", saved(palette, transparency=alphas), (252, 252, 252))
    plain = partial(plain_png, 80, 80)
    key = chunk(b"tRNS", b"\0\x64")
    yield usable("a transparent grey", plain(8, 0, b"\x64", key), WHITE)
    yield usable(
        "a transparent colour", plain(8, 2, b"\1\2\3", chunk(b"tRNS", b"\0\1\0\2\0\3")), WHITE
    )
    yield usable(
        "a transparent grey of 16 bits", plain(16, 0, b"\x64\1", chunk(b"tRNS", b"\x64\1")), WHITE
    )
    yield usable("a transparent bit", plain(1, 0, b"\0", chunk(b"tRNS", b"\0\0")), WHITE)
    yield either(
        "a short list of transparent colours", plain(8, 2, b"\1\2\3", chunk(b"tRNS", b"\0"))
    )


def _metadata() -> Iterator[Entry]:
    good = saved(four())
    linear = (55, 55, 55)
    yield usable(
        "a grey profile", saved(Image.new("L", (80, 80), 55), icc_profile=LINEAR_GREY), (128,) * 3
    )
    yield usable(
        "a grey profile on colours",
        saved(Image.new("RGB", (80, 80), linear), icc_profile=LINEAR_GREY),
        linear,
    )
    yield usable(
        "a wide profile",
        saved(Image.new("RGB", (80, 80), (200, 100, 50)), icc_profile=DISPLAY_P3),
        (215, 93, 31),
    )
    yield usable("a profile of noise", saved(four(), icc_profile=bytes(range(256)) * 9))
    yield either(
        "a profile that cannot be unpacked", after_header(good, chunk(b"iCCP", b"a\0\0noise"))
    )
    yield either("a profile without a name", after_header(good, chunk(b"iCCP", b"")))
    yield usable("an unknown part", after_header(good, chunk(b"prVt", bytes(5000))))
    yield usable("a long text", after_header(good, chunk(b"tEXt", b"Comment\0" + b"x" * 500_000)))
    yield usable("a turn of noise", after_header(good, chunk(b"eXIf", bytes(range(256)))))
    yield either("a gamma of nothing", after_header(good, chunk(b"gAMA", bytes(4))))
    yield either("a gamma cut short", after_header(good, chunk(b"gAMA", b"\0")))
    yield either("a resolution cut short", after_header(good, chunk(b"pHYs", b"\0")))
    yield either("primaries cut short", after_header(good, chunk(b"cHRM", b"\0" * 5)))
    yield either("a text without an end", after_header(good, chunk(b"iTXt", b"a\0\1")))
    yield either("an animation of no frames", after_header(good, chunk(b"acTL", bytes(8))))
    yield either(
        "an animation of 2^31 frames", after_header(good, chunk(b"acTL", b"\x7f\xff\xff\xff" * 2))
    )


def _bombs() -> Iterator[Entry]:
    good, bomb = saved(four()), _bomb()
    yield refused("a zTXt bomb", after_header(good, chunk(b"zTXt", b"a\0\0" + bomb)))
    yield either("an iTXt bomb", after_header(good, chunk(b"iTXt", b"a\0\1\0\0\0" + bomb)))
    yield refused("an iCCP bomb", after_header(good, chunk(b"iCCP", b"a\0\0" + bomb)))
    yield usable(
        "a bomb behind the last row", png(png_header(64, 64), _bomb(50_000_000)), (0, 0, 0)
    )
    yield refused(
        "a hundred texts that fill the memory",
        after_header(good, *[chunk(b"zTXt", b"a\0\0" + _bomb(1_000_000))] * 100),
    )
    yield refused("a million empty parts", after_header(good, chunk(b"prVt") * 1_000_000))


def _structure() -> Iterator[Entry]:
    good = saved(four())
    rows = zlib.compress((b"\0" + bytes((1, 2, 3)) * 80) * 80)
    header = png_header(80, 80)
    yield usable("a zip file behind a PNG", good + b"PK\3\4" + bytes(100_000))
    yield usable("no end", good[:-12])
    yield refused("no pixels", PNG_SIGNATURE + chunk(b"IHDR", header) + chunk(b"IEND"))
    yield either("no palette", png(png_header(80, 80, 8, 3), zlib.compress(bytes(81 * 80))))
    yield either(
        "colours beyond the palette",
        png(
            png_header(80, 80, 8, 3),
            zlib.compress(b"\0" + b"\xff" * 80) * 1,
            chunk(b"PLTE", b"\1\2\3"),
        ),
    )
    yield refused("no width", png(png_header(0, 80), rows))
    yield refused("no height", png(png_header(80, 0), rows))
    yield refused("a header cut short", PNG_SIGNATURE + chunk(b"IHDR", header[:5]))
    yield refused(
        "a header that is not the first",
        PNG_SIGNATURE + chunk(b"tEXt", b"a\0b") + chunk(b"IDAT", rows),
    )
    yield either("two headers", after_header(good, chunk(b"IHDR", png_header(9000, 9000))))
    yield refused("three bits a pixel", png(png_header(80, 80, bits=3), rows))
    yield refused("a kind of colour that is none", png(png_header(80, 80, colours=5), rows))
    yield either("another packing", png(header[:-3] + b"\1\0\0", rows))
    yield either("a filter that is none", png(header, zlib.compress((b"\x09" + bytes(240)) * 80)))
    yield either("too few rows", png(header, zlib.compress(bytes(241 * 40))))
    yield refused("pixels that are not packed", png(header, bytes(5000)))
    yield either("a wrong checksum of the pixels", png(header, rows[:-1] + b"\0"))
    single = [chunk(b"IDAT", rows[i : i + 1]) for i in range(len(rows))]
    yield usable(
        "pixels in parts of one byte",
        PNG_SIGNATURE + chunk(b"IHDR", header) + b"".join(single) + chunk(b"IEND"),
        (1, 2, 3),
    )
    yield either("an unknown part that must be known", after_header(good, chunk(b"PRVT", b"x")))
    yield refused("a part of 4 GB", after_header(good, b"\xff\xff\xff\xfftEXt"))
    yield either("a name that is none", after_header(good, chunk(b"\0\1\2\3", b"x")))


def _damage() -> Iterator[Entry]:
    noise = np.random.default_rng(7).integers(0, 256, (100, 100, 3), dtype=np.uint8)
    good = saved(Image.fromarray(noise))
    for share in (1, 10, 50, 90):
        yield refused(f"{share} % of a PNG", good[: len(good) * share // 100])
    for name in (b"IHDR", b"IDAT", b"IEND"):
        end = good.rindex(name) + 4 + struct.unpack_from(">I", good, good.rindex(name) - 4)[0]
        broken = good[:end] + b"\0\0\0\0" + good[end + 4 :]
        wrong = f"a wrong checksum of {name.decode()}"
        yield refused(wrong, broken) if name == b"IHDR" else either(wrong, broken)
    yield refused("a PNG with line ends changed", good.replace(b"\r\n", b"\n"))
    random = np.random.default_rng(8)
    for count in (1, 100):
        broken_bits = bytearray(good)
        for position in random.integers(50, len(good) - 20, count):
            broken_bits[position] ^= 0x10
        yield refused(f"{count} wrong bits in the pixels of a PNG", bytes(broken_bits))
    for position in range(8, 41, 4):
        broken_bits = bytearray(good)
        broken_bits[position] ^= 0x55
        yield either(f"a wrong byte at {position} of a PNG", bytes(broken_bits))
