"""Files of the corpus that are no JPEG, PNG or WebP, whatever they pretend."""

import gzip
import io
import struct
import zipfile
from collections.abc import Iterator

from PIL import Image

from tests.faults.corpus import Entry, four, refused
from tests.faults.files import saved


def entries() -> list[Entry]:
    """Return all of them."""
    return [*_formats(), *_documents(), *_polyglots(), *_nothing()]


def _formats() -> Iterator[Entry]:
    for name in (
        "GIF",
        "BMP",
        "DIB",
        "TIFF",
        "ICO",
        "PPM",
        "TGA",
        "PCX",
        "SGI",
        "JPEG2000",
        "AVIF",
        "IM",
    ):
        yield refused(f"a {name} file", saved(four(), name))
    yield refused(
        "a GIF of 50 frames",
        saved(
            four(),
            "GIF",
            save_all=True,
            append_images=[Image.new("RGB", (160, 160), (n, 0, 0)) for n in range(50)],
        ),
    )
    yield refused("a TIFF with a JPEG inside", saved(four(), "TIFF", compression="jpeg"))
    yield refused("a HEIC header", b"\0\0\0\x18ftypheic\0\0\0\0heicmif1" + bytes(500))
    yield refused(
        "a Photoshop header",
        b"8BPS\0\1" + bytes(6) + struct.pack(">HIIHH", 3, 100, 100, 8, 3) + bytes(500),
    )
    yield refused("an EPS file", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 100 100\nshowpage\n")
    yield refused("a FITS header", b"SIMPLE  =                    T" + b" " * 2850)
    yield refused("a DDS header", b"DDS \x7c\0\0\0" + bytes(500))
    yield refused("a WMF header", b"\xd7\xcd\xc6\x9a" + bytes(200))
    yield refused("a film", b"\0\0\0\x20ftypisom\0\0\2\0isomiso2avc1mp41" + bytes(500))
    yield refused("an MNG animation", b"\x8aMNG\r\n\x1a\n" + bytes(100))


def _documents() -> Iterator[Entry]:
    svg = b'<svg xmlns="http://www.w3.org/2000/svg"><image href="http://127.0.0.1/x"/></svg>'
    yield refused("an SVG picture", svg)
    yield refused("an XML bomb", b'<!DOCTYPE a [<!ENTITY b "bb"><!ENTITY c "&b;&b;">]><a>&c;</a>')
    yield refused("a web page", b"<!doctype html><html><body onload=alert(1)></body></html>")
    yield refused("a PDF file", b"%PDF-1.7\n1 0 obj<<>>endobj\ntrailer<<>>\n%%EOF")
    yield refused("a script", b"#!/bin/sh\necho hello\n")
    yield refused("a program", b"\x7fELF\2\1\1" + bytes(200))
    yield refused("a pickle", b"\x80\x04\x95\x0b\0\0\0\0\0\0\0\x8c\x07builtin\x94.")
    yield refused("a text", "a face, please — ein Gesicht".encode())
    yield refused("a text in UTF-16", "a face".encode("utf-16"))
    yield refused("base64 of a PNG", b"iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJ")
    yield refused("a packed PNG", gzip.compress(saved(four())))
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("face.png", saved(four()))
    yield refused("a zip file with a PNG", buffer.getvalue())


def _polyglots() -> Iterator[Entry]:
    jpeg, png = saved(four(), "JPEG"), saved(four())
    yield refused("a GIF header before a JPEG", b"GIF89a" + jpeg)
    yield refused("a PDF header before a PNG", b"%PDF-1.7\n" + png)
    yield refused("a bitmap header before a PNG", b"BM" + bytes(20) + png)
    yield refused("a space before a PNG", b" " + png)
    yield refused("a byte order mark before a JPEG", b"\xef\xbb\xbf" + jpeg)
    yield refused("a PNG signature before a JPEG", png[:8] + jpeg)
    yield refused("a JPEG start before a PNG", jpeg[:2] + png)


def _nothing() -> Iterator[Entry]:
    yield refused("an empty file", b"")
    yield refused("one byte", b"\0")
    yield refused("zeros", bytes(10_000))
    yield refused("ones", b"\xff" * 10_000)
    yield refused("every byte", bytes(range(256)) * 50)
    yield refused("a PNG signature", b"\x89PNG\r\n\x1a\n")
    yield refused("a RIFF header", b"RIFF\x10\0\0\0WEBP")
