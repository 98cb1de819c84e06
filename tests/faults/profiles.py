"""Colour profiles made by hand (ICC.1:2022), with the numbers that their standards name."""

import struct

_D50 = (0.9642, 1.0, 0.8249)
_P3 = ((0.51512, 0.24120, -0.00105), (0.29198, 0.69225, 0.04189), (0.15710, 0.06657, 0.78407))
_ADOBE = ((0.60974, 0.31111, 0.01947), (0.20528, 0.62567, 0.06087), (0.14919, 0.06322, 0.74457))
_SRGB = ((0.43607, 0.22249, 0.01392), (0.38515, 0.71687, 0.09708), (0.14307, 0.06061, 0.71410))


def _fixed(value: float) -> bytes:
    return struct.pack(">i", round(value * 65536))


def _xyz(values: tuple[float, float, float]) -> bytes:
    return b"XYZ \0\0\0\0" + b"".join(_fixed(value) for value in values)


def _gamma(value: float) -> bytes:
    return b"curv\0\0\0\0" + struct.pack(">IH", 1, round(value * 256)) + b"\0\0"


def _srgb_curve() -> bytes:
    values = (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)
    return b"para\0\0\0\0" + struct.pack(">HH", 3, 0) + b"".join(_fixed(one) for one in values)


def _text(words: bytes) -> bytes:
    return b"desc\0\0\0\0" + struct.pack(">I", len(words) + 1) + words + bytes(79 + 1)


def profile(space: bytes, tags: dict[bytes, bytes], kind: bytes = b"mntr") -> bytes:
    """Put a profile together: header, table of tags, tags."""
    offset = 132 + 12 * len(tags)
    table, body = b"", b""
    for name, data in tags.items():
        padded = data + bytes(-len(data) % 4)
        table += name + struct.pack(">II", offset + len(body), len(data))
        body += padded
    size = offset + len(body)
    header = struct.pack(">I4sI4s4s4s", size, b"none", 0x02400000, kind, space, b"XYZ ")
    header += bytes(12) + b"acsp" + bytes(28)
    header += b"".join(_fixed(value) for value in _D50)
    return header + bytes(128 - len(header)) + struct.pack(">I", len(tags)) + table + body


def _rgb(
    primaries: tuple[tuple[float, float, float], ...],
    curve: bytes,
    more: dict[bytes, bytes] | None = None,
) -> bytes:
    tags = {b"desc": _text(b"by hand"), b"wtpt": _xyz(_D50), **(more or {})}
    for letter, primary in zip(b"rgb", primaries, strict=True):
        tags[bytes([letter]) + b"XYZ"] = _xyz(primary)
        tags[bytes([letter]) + b"TRC"] = curve
    return profile(b"RGB ", tags)


DISPLAY_P3 = _rgb(_P3, _srgb_curve())
ADOBE_RGB = _rgb(_ADOBE, _gamma(2.19921875))
SRGB_BY_HAND = _rgb(_SRGB, _srgb_curve())
LINEAR_GREY = profile(
    b"GRAY", {b"desc": _text(b"linear"), b"wtpt": _xyz(_D50), b"kTRC": _gamma(1.0)}
)


def red_cyan_press() -> bytes:
    """Return a CMYK profile of a press whose cyan ink is red: nobody takes it for another one."""
    straight = bytes(range(256))
    white, red, black = bytes((255, 128, 128)), bytes((138, 209, 198)), bytes((0, 128, 128))
    # The last ink, black, varies fastest: CIELAB in 8 bits.
    grid = b"".join((red if cyan else white) + black for cyan in (0, 1) for _ in range(4))
    identity = b"".join(_fixed(one) for one in (1, 0, 0, 0, 1, 0, 0, 0, 1))
    lut = b"mft1\0\0\0\0" + bytes((4, 3, 2, 0)) + identity + straight * 4 + grid + straight * 3
    tags = {b"desc": _text(b"red for cyan"), b"wtpt": _xyz(_D50), b"A2B0": lut}
    made = bytearray(profile(b"CMYK", tags, kind=b"prtr"))
    made[20:24] = b"Lab "
    return bytes(made)


def chain() -> bytes:
    """Return Display P3 with a chain of elements beside its matrix, as long as anybody likes."""
    matrix = b"matf\0\0\0\0" + struct.pack(">HH12f", 3, 3, 0.2, 0.2, 0.2, *[0.0] * 9)
    elements = struct.pack(">HHIII", 3, 3, 1, 24, len(matrix)) + matrix
    return _rgb(_P3, _srgb_curve(), {b"D2B0": b"mpet\0\0\0\0" + elements})
