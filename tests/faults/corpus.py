"""Over a hundred crafted picture files, made by code: what is expected of each stands beside it."""

from dataclasses import dataclass

from PIL import Image

from tests.faults.files import plain_png, png, png_header, saved

Colour = tuple[int, int, int]
Quadrants = tuple[Colour, Colour, Colour, Colour]
"""Colours of a square: top left, top right, bottom left, bottom right."""

RED, GREEN, BLUE, YELLOW = (200, 40, 40), (40, 160, 60), (50, 60, 200), (220, 200, 60)
FOUR: Quadrants = (RED, GREEN, BLUE, YELLOW)
WHITE: Colour = (255, 255, 255)
TRANSPARENT = (0, 0, 0, 0)


@dataclass(frozen=True)
class Entry:
    """One file, and what the service is to say of it.

    Attributes:
        name: what is odd about it.
        data: the file.
        statuses: of the answer; several where a decoder is free to take the file or not.
        square: the colours that come out when it is taken.
        tolerance: of each colour.
    """

    name: str
    data: bytes
    statuses: tuple[int, ...]
    square: Quadrants | None = None
    tolerance: int = 14


def usable(
    name: str, data: bytes, square: Quadrants | Colour | None = FOUR, tolerance: int = 14
) -> Entry:
    """Return a file that has to be taken; one colour means all four quadrants."""
    if square is not None and isinstance(square[0], int):
        square = (square, square, square, square)  # type: ignore[assignment]
    return Entry(name, data, (200,), square, tolerance)  # type: ignore[arg-type]


def refused(name: str, data: bytes) -> Entry:
    """Return a file that has to be refused."""
    return Entry(name, data, (400,))


def either(name: str, data: bytes) -> Entry:
    """Return a file that a decoder may take or refuse; only the service's health is at stake."""
    return Entry(name, data, (200, 400))


def four(side: int = 160, mode: str = "RGB") -> Image.Image:
    """Return a square of four colours."""
    image = Image.new("RGB", (side, side))
    half = side // 2
    for index, colour in enumerate(FOUR):
        left, top = half * (index % 2), half * (index // 2)
        image.paste(colour, (left, top, left + half, top + half))
    return image if mode == "RGB" else image.convert(mode)


def grey_of(colours: Quadrants) -> Quadrants:
    """Return the colours as Pillow's grey (ITU-R BT.601)."""
    levels = [round((299 * r + 587 * g + 114 * b) / 1000) for r, g, b in colours]
    return tuple((level, level, level) for level in levels)  # type: ignore[return-value]


def corpus() -> list[Entry]:
    """Make all files; the same bytes each time."""
    from tests.faults import corpus_jpeg, corpus_others, corpus_png, corpus_webp

    return [
        *corpus_jpeg.entries(),
        *corpus_png.entries(),
        *corpus_webp.entries(),
        *corpus_others.entries(),
        *limits(),
    ]


def limits() -> list[Entry]:
    """Return files just inside and just outside of each limit."""

    def bare(width: int, height: int) -> bytes:
        return plain_png(width, height, 1, 0, b"\xff")

    small = saved(four())
    return [
        usable("the smallest sides", bare(64, 64), WHITE),
        refused("a side too short", bare(64, 63)),
        usable("the most oblong", bare(256, 64), WHITE),
        refused("too oblong", bare(257, 64)),
        usable("the longest side", bare(8192, 2048), WHITE),
        refused("a side too long", bare(8193, 2049)),
        usable("the most pixels", bare(8192, 6103), WHITE),
        refused("too many pixels", bare(8192, 6104)),
        refused("a header of 2^31 pixels a side", png(png_header(2**31 - 1, 2**31 - 1), b"")),
        refused("a header of 4 gigapixels", png(png_header(65535, 65535), b"")),
        usable("the most bytes", small + bytes(20_000_000 - len(small))),
        refused("too many bytes", small + bytes(20_000_001 - len(small))),
        Entry("far too many bytes", bytes(20_100_000), (413,)),
    ]
