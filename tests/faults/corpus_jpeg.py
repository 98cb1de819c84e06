"""The JPEG files of the corpus."""

import struct
from collections.abc import Iterator
from io import BytesIO

import numpy as np
from PIL import Image

from tests.faults.corpus import FOUR, Entry, either, four, grey_of, refused, usable
from tests.faults.files import after_start, many_scans, saved, segment
from tests.faults.profiles import DISPLAY_P3

# Which transposition undoes the turn that each EXIF orientation asks for.
_STORED = {
    1: None,
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


def turned_away(image: Image.Image, orientation: int) -> tuple[Image.Image, bytes]:
    """Return a picture as a turned camera stores it, and the EXIF block that says so."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    method = _STORED.get(orientation)
    return (image if method is None else image.transpose(method)), exif.tobytes()


def entries() -> list[Entry]:
    """Return all of them."""
    return [*_kinds(), *_exif(), *_metadata(), *_structure(), *_headers(), *_damage()]


def _jpeg(image: Image.Image | None = None, **options: object) -> bytes:
    return saved(image or four(), "JPEG", **{"quality": 92, "subsampling": 0, **options})


def _kinds() -> Iterator[Entry]:
    yield usable("a JPEG", _jpeg())
    yield usable("a JPEG with halved colours", _jpeg(subsampling=2))
    yield usable("a progressive JPEG", _jpeg(progressive=True))
    yield usable("an optimized JPEG with restarts", _jpeg(optimize=True, restart_marker_blocks=1))
    yield usable("a JPEG of the lowest quality", _jpeg(quality=1), tolerance=60)
    yield usable("a grey JPEG", _jpeg(four(mode="L")), grey_of(FOUR))
    yield usable("a CMYK JPEG, inverted as Photoshop does", _jpeg(four(mode="CMYK")))
    turned, exif = turned_away(four(mode="CMYK"), 6)
    yield usable("a CMYK JPEG on its side", _jpeg(turned, exif=exif))
    yield usable("a JPEG stored as RGB", _jpeg(keep_rgb=True))
    yield usable("an oblong JPEG", _jpeg(four(300).crop((20, 0, 280, 300))), None)
    buffer = BytesIO()
    four().save(buffer, "MPO", save_all=True, append_images=[Image.new("RGB", (80, 80))])
    yield usable("an MPO of two pictures", buffer.getvalue(), tolerance=30)


def _exif() -> Iterator[Entry]:
    for orientation in _STORED:
        stored, exif = turned_away(four(), orientation)
        yield usable(f"orientation {orientation}", _jpeg(stored, exif=exif))
    for orientation in (0, 9, 65535):
        yield usable(f"orientation {orientation}", _jpeg(exif=turned_away(four(), orientation)[1]))
    upright = _jpeg()

    def with_exif(block: bytes) -> bytes:
        return after_start(upright, segment(0xE1, b"Exif\0\0" + block))

    head = b"MM\0*\0\0\0\x08"
    entry = struct.pack(">HHII", 0x010E, 2, 20, 8)
    yield usable(
        "an orientation in words", with_exif(head + b"\0\x01" + b"\x01\x12\0\x02\0\0\0\x04")
    )
    yield usable("an EXIF block of nothing", with_exif(b""))
    yield usable("an EXIF block of noise", with_exif(bytes(range(256)) * 20))
    yield usable("an EXIF block that ends early", with_exif(head + b"\xff\xff" + entry))
    loop = head + b"\0\x01" + entry + b"\0\0\0\x08"
    yield usable("an EXIF directory that follows itself", with_exif(loop))
    inner = head + b"\0\x01" + struct.pack(">HHII", 0x8769, 4, 1, 8) + bytes(4)
    yield usable("an EXIF directory inside itself", with_exif(inner))
    far = head + b"\0\x01" + struct.pack(">HHII", 0x0112, 3, 2**32 - 1, 2**32 - 1) + bytes(4)
    yield usable("an EXIF value of 8 GB", with_exif(far))
    every = b"".join(struct.pack(">HHII", 0x9000 + i, 1, 60_000, 8) for i in range(5000))
    yield usable(
        "an EXIF block whose 5000 values share their bytes",
        with_exif((head + b"\x13\x88" + every)[:65_000]),
    )
    halves = [segment(0xE1, b"Exif\0\0" + head + bytes(65_000)) for _ in range(16)]
    yield usable("an EXIF block of a megabyte", after_start(upright, *halves))


def _metadata() -> Iterator[Entry]:
    good = _jpeg()
    yield usable("a JPEG with a colour profile", _jpeg(icc_profile=DISPLAY_P3), None)
    yield usable("a JPEG with half a colour profile", _jpeg(icc_profile=DISPLAY_P3[:250]))
    yield usable("a JPEG with a profile of zeros", _jpeg(icc_profile=bytes(100_000)))
    lost = segment(0xE2, b"ICC_PROFILE\0\x07\x09" + DISPLAY_P3)
    yield usable("a profile whose other parts are lost", after_start(good, lost))
    index = segment(0xE2, b"MPF\0" + bytes(range(200)))
    yield either("a broken index of further pictures", after_start(good, index))
    page = b"<html><script>alert(1)</script></html>"
    yield usable("a JPEG with a web page as comment", after_start(good, segment(0xFE, page)))
    yield usable("a JPEG that says it is a PDF", after_start(good, segment(0xFE, b"%PDF-1.7")))
    yield either("a JPEG with a broken JFIF part", after_start(good, segment(0xE0, b"JFIF\0")))
    yield either("a short Adobe part", after_start(good, segment(0xEE, b"Adobe")))
    yield usable("a Photoshop part of noise", after_start(good, segment(0xED, bytes(range(250)))))


def _structure() -> Iterator[Entry]:
    good = _jpeg()
    yield usable("a zip file behind a JPEG", good + b"PK\3\4" + bytes(100_000))
    yield usable("a second JPEG behind the first", good + _jpeg(Image.new("RGB", (160, 160))))
    yield usable("3000 empty segments", after_start(good, segment(0xE5) * 3000))
    yield refused("a million empty segments", after_start(good, segment(0xE5) * 1_000_000))
    yield refused("ten megabytes of filling", after_start(good, b"\xff" * 10_000_000))
    yield usable("50 scans", many_scans(640, 50), (128, 128, 128))
    yield refused("5000 scans of the whole picture", many_scans(3000, 5_000))
    yield refused("two starts", b"\xff\xd8\xff\xd8" + good[2:])
    yield refused("a start and an end", b"\xff\xd8\xff\xd9")
    yield refused("a start alone", b"\xff\xd8")
    yield refused("an end before the picture", good[:2] + b"\xff\xd9")


def _headers() -> Iterator[Entry]:
    good = _jpeg()
    frame = good.index(b"\xff\xc0")

    def changed(offset: int, value: bytes) -> bytes:
        return good[: frame + offset] + value + good[frame + offset + len(value) :]

    yield refused("a JPEG of 65535x65535 pixels", changed(5, b"\xff\xff\xff\xff"))
    yield refused("a JPEG of 8000x8000 pixels", changed(5, struct.pack(">HH", 8000, 8000)))
    yield refused("a JPEG without height", changed(5, b"\0\0"))
    yield refused("a JPEG without width", changed(7, b"\0\0"))
    yield either("a JPEG that says it is larger than it is", changed(5, b"\x01\x90"))
    yield refused("a JPEG of 12 bits", changed(4, b"\x0c"))
    yield refused("a JPEG of two components", changed(9, b"\x02"))
    yield refused("a JPEG of 255 components", changed(9, b"\xff"))
    yield refused("a component sampled 15 times", changed(11, b"\xff"))
    for kind in (0xC3, 0xC9, 0xCA, 0xCB, 0xCF, 0xF7):
        yield either(f"another process of coding, {kind:x}", changed(1, bytes([kind])))
    yield refused("a quantization table that is not there", changed(12, b"\x03"))
    table = good.index(b"\xff\xdb")
    wide = segment(
        0xDB, b"\x10" + b"".join(bytes((0, one)) for one in good[table + 5 : table + 69])
    )
    yield usable("a quantization table of 16 bits", after_start(good, wide))
    yield refused("no quantization table", good.replace(b"\xff\xdb", b"\xff\xe5"))
    yield either("no Huffman table", good.replace(b"\xff\xc4", b"\xff\xe5"))
    yield refused("no frame", good[:frame] + good[good.index(b"\xff\xda") :])
    yield either("a segment without length", after_start(good, b"\xff\xe5\0\0\0\0"))
    yield refused("a segment longer than the file", after_start(good, b"\xff\xe5\xff\xff"))


def _damage() -> Iterator[Entry]:
    noise = np.random.default_rng(5).integers(0, 256, (200, 200, 3), dtype=np.uint8)
    good = _jpeg(Image.fromarray(noise))
    for share in (1, 5, 10, 25, 50, 75, 95):
        yield refused(f"{share} % of a JPEG", good[: len(good) * share // 100])
    yield refused("a JPEG without its end", good[:-2])
    scan = good.index(b"\xff\xda") + 14
    random = np.random.default_rng(6)
    for count in (1, 10, 1000):
        broken = bytearray(good)
        for position in random.integers(scan, len(good) - 2, count):
            broken[position] ^= 1 << int(random.integers(0, 8))
        yield either(f"{count} wrong bits in the pixels of a JPEG", bytes(broken))
    for position in range(2, scan, 45):
        broken = bytearray(good)
        broken[position] ^= 0x55
        yield either(f"a wrong byte at {position} of a JPEG", bytes(broken))
    yield either("a JPEG whose pixels are zeros", good[:scan] + bytes(len(good) - scan))
    yield either("a JPEG with line ends changed", good.replace(b"\n", b"\r\n"))
