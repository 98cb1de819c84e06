"""Picture files put together by hand, part by part, as no encoder would write them."""

import struct
import zlib
from io import BytesIO
from typing import Any

from PIL import Image

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"


def saved(image: Image.Image, file_format: str = "PNG", **options: Any) -> bytes:
    """Return the file that Pillow writes."""
    buffer = BytesIO()
    image.save(buffer, file_format, **options)
    return buffer.getvalue()


def chunk(kind: bytes, body: bytes = b"") -> bytes:
    """Return one chunk of a PNG, its checksum right."""
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(header: bytes, pixels: bytes, *more: bytes) -> bytes:
    """Return a PNG of a header, chunks that stand before the pixels, and the packed pixels."""
    chunks = chunk(b"IHDR", header) + b"".join(more) + chunk(b"IDAT", pixels) + chunk(b"IEND")
    return PNG_SIGNATURE + chunks


def png_header(width: int, height: int, bits: int = 8, colours: int = 2, weave: int = 0) -> bytes:
    """Return what IHDR holds; `colours` is the colour type of the specification."""
    return struct.pack(">IIBBBBB", width, height, bits, colours, 0, 0, weave)


def plain_png(
    width: int, height: int, bits: int, colours: int, pixel: bytes, *more: bytes, weave: int = 0
) -> bytes:
    """Return a PNG of one colour; `pixel` is one pixel, or one byte of several small ones."""
    samples = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[colours]
    row = b"\0" + (pixel * width)[: (width * samples * bits + 7) // 8]
    packer = zlib.compressobj(1)  # row by row: a huge picture takes no memory here
    pixels = b"".join(packer.compress(row) for _ in range(height)) + packer.flush()
    return png(png_header(width, height, bits, colours, weave), pixels, *more)


def after_header(data: bytes, *chunks: bytes) -> bytes:
    """Put chunks behind the header of a PNG."""
    return data[:33] + b"".join(chunks) + data[33:]


def segment(kind: int, body: bytes = b"") -> bytes:
    """Return one segment of a JPEG."""
    return bytes((0xFF, kind)) + struct.pack(">H", len(body) + 2) + body


def after_start(data: bytes, *segments: bytes) -> bytes:
    """Put segments behind the start of a JPEG."""
    return data[:2] + b"".join(segments) + data[2:]


def many_scans(side: int, count: int) -> bytes:
    """Return a progressive JPEG whose last scan, of a few bytes, comes again and again."""
    data = saved(Image.new("L", (side, side), 128), "JPEG", progressive=True)
    last = data.rindex(b"\xff\xda")
    return data[:last] + data[last:-2] * count + data[-2:]


def webp(*chunks: tuple[bytes, bytes]) -> bytes:
    """Return a WebP file of chunks."""
    body = b"WEBP"
    for kind, data in chunks:
        body += kind + struct.pack("<I", len(data)) + data + bytes(len(data) % 2)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def webp_canvas(width: int, height: int, flags: int = 0) -> tuple[bytes, bytes]:
    """Return the VP8X chunk of a WebP: the size of its canvas, less one, in 24 bits."""
    sizes = struct.pack("<I", width - 1)[:3] + struct.pack("<I", height - 1)[:3]
    return b"VP8X", struct.pack("<I", flags) + sizes
