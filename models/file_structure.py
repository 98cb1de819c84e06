"""What a picture file is made of, counted before it is decoded (no Pillow).

A few bytes of a file can cost a decoder as much as a whole picture: a progressive JPEG may go over
all its pixels again in each scan of 75 bytes, and a parser may have to look at millions of empty
parts. Neither shows in the size of the file or of the picture.
"""

import re
import struct

MAX_PARTS = 10_000
"""Segments of a JPEG's header, with what Pillow reads within them, or chunks of a PNG; cameras and
editors write a few dozen."""
MAX_ANCILLARY_CHUNKS = 100
"""Of a PNG, such as texts, besides those of an animation; each one may have to be inflated."""
MAX_SCANS = 100
"""Of a JPEG; encoders write ten or so. At 50 megapixels each one takes some 30 ms."""

_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_JPEG_SIGNATURE = b"\xff\xd8"
# In a scan, FF 00 is a value of 255 and FF D0 to FF D7 are restarts; FF FF is filling everywhere.
_MARKER = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")
_START_OF_SCAN, _END_OF_IMAGE = 0xDA, 0xD9
_STANDALONE = frozenset((0x01, 0xD8, 0xD9))  # markers that no length follows
_QUANTIZATION_TABLES, _TABLE_BYTES = 0xDB, 65
_PHOTOSHOP, _RESOURCE = 0xED, b"8BIM"
_ANIMATION = frozenset((b"acTL", b"fcTL", b"fdAT"))
_ANCILLARY_BIT = 0x20  # of a chunk's first letter: a decoder may leave the chunk out


def is_costly(data: bytes) -> bool:
    """Say whether a JPEG or PNG file has more parts or scans than any honest one has."""
    if data.startswith(_PNG_SIGNATURE):
        return _has_costly_chunks(data)
    return data.startswith(_JPEG_SIGNATURE) and _has_many_segments(data)


def _has_costly_chunks(data: bytes) -> bool:
    """Walk a PNG (specification, section 5.3): length, four letters, the data, a checksum.

    A second colour profile is costly, too: Pillow inflates each one, to a megabyte from one
    kilobyte, and the specification allows one.
    """
    position, chunks, ancillary, profiles = len(_PNG_SIGNATURE), 0, 0, 0
    while position + 8 <= len(data) and (kind := data[position + 4 : position + 8]) != b"IEND":
        (length,) = struct.unpack_from(">I", data, position)
        position += 12 + length
        chunks += 1
        ancillary += bool(kind[0] & _ANCILLARY_BIT) and kind not in _ANIMATION
        profiles += kind == b"iCCP"
        if chunks > MAX_PARTS or ancillary > MAX_ANCILLARY_CHUNKS or profiles > 1:
            return True
    return False


def _has_many_segments(data: bytes) -> bool:
    """Walk a JPEG (ITU T.81, annex B): marker, length, data; what fills the gaps counts, too."""
    position, parts, scans = len(_JPEG_SIGNATURE), 0, 0
    while match := _MARKER.search(data, position):
        kind = data[match.start() + 1]
        if kind == _END_OF_IMAGE and scans:
            break
        # Up to the first scan nothing but markers is meant to stand here.
        parts += 1 if scans else 1 + match.start() - position
        scans += kind == _START_OF_SCAN
        if parts > MAX_PARTS or scans > MAX_SCANS:
            return True
        position = match.end()
        if kind not in _STANDALONE and position + 2 <= len(data):
            length = max(2, struct.unpack_from(">H", data, position)[0])
            parts += _parts_within(data, kind, position, position + length)
            position += length
    return scans == 0 and len(data) - position > MAX_PARTS


def _parts_within(data: bytes, kind: int, start: int, end: int) -> int:
    """Count what Pillow reads one by one inside of a segment, in Python."""
    if kind == _PHOTOSHOP:
        return data.count(_RESOURCE, start, end)
    return (end - start) // _TABLE_BYTES if kind == _QUANTIZATION_TABLES else 0
