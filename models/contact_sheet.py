"""One picture of a whole answer: the input and its sets, laid out like a figure in a report.

The input stands at the left, each set is a block beside it, and image *i* has the same place in
every block, so a pair is found by looking across. The only font is the one inside Pillow: ASCII
and a little punctuation. `legible` says what becomes of all other characters.
"""

import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from models.interfaces import RGBPixels

Colour = tuple[int, int, int]
Font = ImageFont.FreeTypeFont | ImageFont.ImageFont

WHITE, INK, SOFT_INK = (255, 255, 255), (28, 30, 34), (96, 100, 106)
RULE, EMPTY_TILE = (206, 209, 213), (236, 238, 240)

GLYPHS = frozenset(map(chr, range(32, 127))) | frozenset("«»‹›‘’“”…·°±©™⁄")
SPELLED_OUT = dict.fromkeys("‐‑‒–—―−", "-") | {"×": "x", "→": "->"}
SPELLED_OUT |= {"ß": "ss", "æ": "ae", "Æ": "AE", "œ": "oe", "Œ": "OE", "ø": "o", "Ø": "O", "ı": "i"}
SPELLED_OUT |= {"ł": "l", "Ł": "L", "đ": "d", "Đ": "D"}


@dataclass(frozen=True, eq=False)
class SheetTile:
    """One image of a set, or the reason why there is none.

    Attributes:
        seed: the image's own seed, printed below it.
        pixels: (S, S, 3) uint8 RGB in [0, 255], of any side; None if there is no picture.
        status: the word a tile without a picture shows: "failed", "filtered", "cancelled".
    """

    seed: int
    pixels: RGBPixels | None
    status: str

    def __post_init__(self) -> None:
        """Refuse pixels that are no square RGB picture."""
        if self.pixels is not None:
            _check_pixels(self.pixels, f"the tile of seed {self.seed}")


@dataclass(frozen=True, eq=False)
class SheetBlock:
    """One model's set: a heading and its tiles, in the order of the request.

    Attributes:
        title: the model, in a word or two.
        subtitle: the weights' id and the parameters that made the set.
        tiles: one or more tiles; index i is paired with index i of every other block.
    """

    title: str
    subtitle: str
    tiles: Sequence[SheetTile]

    def __post_init__(self) -> None:
        """Refuse an empty block: a set that was not asked for is left out of the sheet."""
        if not self.tiles:
            raise ValueError(f"block {self.title!r} has no tiles: leave the block out instead")


def caption_lines(
    prompt: str, parameters: Mapping[str, object], seeds: Sequence[int], input_sha256: str
) -> tuple[str, ...]:
    """Return the caption's paragraphs: the prompt, unless it is empty, and what made the images.

    Parameters are printed in the mapping's order; of the digest (hexadecimal) 12 digits are shown.
    """
    facts = [f"{name} {value}" for name, value in parameters.items()]
    facts += [describe_seeds(seeds), f"input sha256 {input_sha256[:12]}…"]
    return (*([f"Prompt: “{prompt}”"] if prompt else []), " · ".join(facts))


def describe_seeds(seeds: Sequence[int]) -> str:
    """Return "seeds 7 ... 16" for seeds that count up (modulo 2**32), else a plain list."""
    counts_up = all(seed == (seeds[0] + step) % 2**32 for step, seed in enumerate(seeds))
    if counts_up and len(seeds) > 2:
        return f"seeds {seeds[0]} ... {seeds[-1]}"
    return ("seed " if len(seeds) == 1 else "seeds ") + ", ".join(map(str, seeds))


def compose(
    input_pixels: RGBPixels,
    blocks: Sequence[SheetBlock],
    caption: Sequence[str],
    tile_px: int = 192,
    note: str = "",
) -> RGBPixels:
    """Return the contact sheet, (H, W, 3) uint8 RGB in [0, 255].

    Args:
        input_pixels: the prepared input, (S, S, 3) uint8 RGB in [0, 255].
        blocks: the sets, from left to right; their lengths may differ.
        caption: paragraphs below the tiles, each wrapped to the sheet's width.
        tile_px: side to which every picture is scaled (Lanczos); type and margins follow it.
        note: one more paragraph in small type, such as where demo weights come from.
    """
    _check_pixels(input_pixels, "the input")
    if not blocks:
        raise ValueError("the sheet has no blocks: give at least one set")
    measures = _Measures(tile_px)
    panels = _panels(input_pixels, blocks, measures)
    right = panels[-1].left_px + _width(panels[-1].tiles, measures)
    footer = _footer(caption, note, right - measures.margin, measures)
    headings = [sum(line.height_px for line in panel.heading) for panel in panels]
    tiles_top = measures.margin + max(headings) + measures.gap
    rows = max(-(-len(block.tiles) // _columns(block.tiles)) for block in blocks)
    rule = tiles_top + rows * measures.row + measures.gap
    footer_top = rule + measures.margin // 2
    bottom = footer_top + sum(line.height_px for line in footer)
    sheet = Image.new("RGB", (right + measures.margin, bottom + measures.margin), WHITE)
    for panel in panels:
        _draw_panel(sheet, panel, tiles_top, measures)
    ImageDraw.Draw(sheet).line((measures.margin, rule, right - 1, rule), RULE)
    _draw_lines(sheet, footer, measures.margin, footer_top)
    return np.array(sheet)


def legible(text: str) -> str:
    """Return the text in characters that the built-in font can draw.

    White space becomes one space, accents fall off their letters, dashes become hyphens, control
    characters disappear, and each run of anything else (other scripts, emoji) becomes "[…]".
    """
    shown = "".join(map(_legible_character, " ".join(text.split())))
    return re.sub(r"\0( ?\0)*", "[…]", " ".join(shown.split()))


def _legible_character(character: str) -> str:
    if character in GLYPHS:
        return character
    if character in SPELLED_OUT:
        return SPELLED_OUT[character]
    if unicodedata.category(character)[0] in "CM":
        return ""
    parts = unicodedata.normalize("NFKD", character)
    letters = "".join(part for part in parts if not unicodedata.combining(part))
    return letters if letters and GLYPHS.issuperset(letters) else "\0"


def _check_pixels(pixels: RGBPixels, name: str) -> None:
    height, width, channels = pixels.shape if pixels.ndim == 3 else (0, 0, 0)
    if pixels.dtype != np.uint8 or channels != 3 or not height == width > 0:
        raise ValueError(f"{name} is {pixels.shape} {pixels.dtype}: give (S, S, 3) uint8 RGB")


def _wrap(text: str, font: Font, width_px: float, max_lines: int) -> list[str]:
    """Return at most `max_lines` lines no wider than `width_px`; a cut text ends in an ellipsis."""
    lines = list(islice(_lines(legible(text), font, width_px), max_lines + 1))
    if len(lines) <= max_lines:
        return lines
    last = lines[max_lines - 1]
    while last and font.getlength(last + "…") > width_px:
        last = last[:-1]
    return [*lines[: max_lines - 1], last.rstrip(" ,.;:·") + "…"]


def _lines(text: str, font: Font, width_px: float) -> Iterator[str]:
    line = ""
    for piece in _pieces(text, font, width_px):
        longer = f"{line} {piece}" if line else piece
        if line and font.getlength(longer) > width_px:
            yield line.removesuffix(" ·")
            longer = piece
        line = longer
    if line:
        yield line


def _pieces(text: str, font: Font, width_px: float) -> Iterator[str]:
    """Yield what no line break divides: items between dots, else words, else parts of words."""
    for item in text.replace(" · ", " ·\n").splitlines():
        if font.getlength(item) <= width_px:
            yield item
        else:
            for word in item.split():
                yield from _cut(word, font, width_px)


def _cut(word: str, font: Font, width_px: float) -> Iterator[str]:
    start = 0
    for end in range(2, len(word) + 1):
        if font.getlength(word[start:end]) > width_px:
            hyphen = max(word.rfind(mark, start, end - 1) for mark in "-/_") + 1
            yield word[start : hyphen or end - 1]
            start = hyphen or end - 1
    yield word[start:]


class _Measures:
    """Lengths and type sizes in pixels, in proportion to the tile; type stays large enough."""

    def __init__(self, tile_px: int) -> None:
        if not 96 <= tile_px <= 1024:
            raise ValueError(f"tile_px is {tile_px}: give 96 to 1024")
        unit = tile_px / 192
        self.tile = tile_px
        self.margin, self.block_gap = round(32 * unit), round(36 * unit)
        self.gap = round(10 * unit)
        self.title, self.text = max(15, round(20 * unit)), max(12, round(14 * unit))
        self.small = max(11, round(12 * unit))
        self.row = self.tile + round(1.7 * self.small) + self.gap


class _Line(NamedTuple):
    text: str
    size_px: int
    colour: Colour

    @property
    def height_px(self) -> int:
        return round(1.4 * self.size_px)


@dataclass(frozen=True, eq=False)
class _Panel:
    """A heading above one or two columns of labelled tiles; the input is a panel of one tile."""

    left_px: int
    heading: Sequence[_Line]
    tiles: Sequence[SheetTile]
    labels: Sequence[str]


def _paragraph(text: str, width_px: int, most: int, size_px: int, colour: Colour) -> list[_Line]:
    lines = _wrap(text, ImageFont.load_default(size_px), width_px, most)
    return [_Line(line, size_px, colour) for line in lines]


def _draw_lines(sheet: Image.Image, lines: Sequence[_Line], left_px: int, top_px: int) -> None:
    draw = ImageDraw.Draw(sheet)
    for line in lines:
        font = ImageFont.load_default(line.size_px)
        draw.text((left_px, top_px), line.text, line.colour, font)
        top_px += line.height_px


def _columns(tiles: Sequence[SheetTile]) -> int:
    return min(2, len(tiles))


def _width(tiles: Sequence[SheetTile], measures: _Measures) -> int:
    return _columns(tiles) * (measures.tile + measures.gap) - measures.gap


def _panels(face: RGBPixels, blocks: Sequence[SheetBlock], measures: _Measures) -> list[_Panel]:
    left = measures.margin
    panels: list[_Panel] = []
    for block in (SheetBlock("Input", "", [SheetTile(0, face, "")]), *blocks):
        width = _width(block.tiles, measures)
        heading = _paragraph(block.title, width, 2, measures.title, INK)
        heading += _paragraph(block.subtitle, width, 4, measures.text, SOFT_INK)
        labels = [f"seed {tile.seed}" for tile in block.tiles] if panels else [""]
        panels.append(_Panel(left, heading, block.tiles, labels))
        left += width + measures.block_gap
    return panels


def _footer(caption: Sequence[str], note: str, width_px: int, measures: _Measures) -> list[_Line]:
    lines: list[_Line] = []
    for text in caption:
        lines += _paragraph(text, width_px, 4, measures.text, INK)
        lines.append(_Line("", measures.gap // 3, INK))
    return lines + _paragraph(note, width_px, 3, measures.small, SOFT_INK)


def _draw_panel(sheet: Image.Image, panel: _Panel, tiles_top_px: int, measures: _Measures) -> None:
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(measures.small)
    _draw_lines(sheet, panel.heading, panel.left_px, measures.margin)
    for index, (tile, label) in enumerate(zip(panel.tiles, panel.labels, strict=True)):
        row, column = divmod(index, _columns(panel.tiles))
        left = panel.left_px + column * (measures.tile + measures.gap)
        top = tiles_top_px + row * measures.row
        _draw_tile(sheet, tile, left, top, measures)
        middle = (left + measures.tile // 2, top + measures.tile + measures.small // 3)
        draw.text(middle, label, SOFT_INK, font, anchor="ma")


def _draw_tile(sheet: Image.Image, tile: SheetTile, left: int, top: int, m: _Measures) -> None:
    if tile.pixels is not None:
        picture = Image.fromarray(tile.pixels).resize((m.tile, m.tile), Image.Resampling.LANCZOS)
        sheet.paste(picture, (left, top))
        return
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(m.text)
    draw.rectangle((left, top, left + m.tile - 1, top + m.tile - 1), EMPTY_TILE)
    word = "".join(_wrap(tile.status, font, 0.9 * m.tile, 1))
    draw.text((left + m.tile // 2, top + m.tile // 2), word, SOFT_INK, font, anchor="mm")
