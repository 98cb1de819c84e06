"""The contact sheet shows every picture in its place, and text never leaves the page."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import ImageFont

from models.contact_sheet import (
    GLYPHS,
    SheetBlock,
    SheetTile,
    caption_lines,
    compose,
    describe_seeds,
    legible,
)

Pixels = NDArray[np.uint8]
Colour = tuple[int, int, int]

INPUT = (10, 200, 30)
WHITE = 255
MARGIN_PX = 24


def plain(colour: Colour, side_px: int = 40) -> Pixels:
    """Return a picture of one colour, (side_px, side_px, 3) uint8 RGB in [0, 255]."""
    return np.full((side_px, side_px, 3), colour, np.uint8)


def colours(kind: int, count: int) -> list[Colour]:
    """Return colours that differ between sets and between the images of a set."""
    return [(200, 20 + 20 * index, 60 + 90 * kind) for index in range(count)]


def block(kind: int, count: int, first_seed: int = 7) -> SheetBlock:
    """Return a set of plain tiles."""
    tiles = [
        SheetTile(first_seed + index, plain(colour), "succeeded")
        for index, colour in enumerate(colours(kind, count))
    ]
    return SheetBlock(("VAE", "Stable Diffusion")[kind], "demo · strength 0.6 · 20 steps", tiles)


def box(sheet: Pixels, colour: Colour) -> tuple[int, int, int, int]:
    """Return top, left, height and width of the one filled square of this colour."""
    hits = (sheet == colour).all(axis=2)
    rows, columns = np.flatnonzero(hits.any(axis=1)), np.flatnonzero(hits.any(axis=0))
    top, left = int(rows[0]), int(columns[0])
    height, width = int(rows[-1]) - top + 1, int(columns[-1]) - left + 1
    assert hits.sum() == height * width, f"{colour} is covered or lies in several places"
    return top, left, height, width


def has_white_margins(sheet: Pixels, margin_px: int = MARGIN_PX) -> bool:
    """Tell whether nothing is drawn in the outer frame, where cut-off text would show."""
    inside = np.zeros(sheet.shape[:2], bool)
    inside[margin_px:-margin_px, margin_px:-margin_px] = True
    return bool((sheet[~inside] == WHITE).all())


@pytest.mark.parametrize("count", range(1, 11))
def test_every_picture_is_shown_once_whole_and_in_order(count: int) -> None:
    """Each tile has its size and place for every length a set may have."""
    sheet = compose(plain(INPUT), [block(0, count), block(1, count)], ["caption"], tile_px=96)
    first, second = ([box(sheet, c) for c in colours(kind, count)] for kind in (0, 1))
    assert {found[2:] for found in [*first, *second, box(sheet, INPUT)]} == {(96, 96)}
    assert first == sorted(first)
    assert second == sorted(second)
    assert len({found[1] for found in first}) == min(2, count)


def test_pairs_have_the_same_place_in_both_blocks() -> None:
    """The second block is the first one moved to the right, and the input is left of both."""
    sheet = compose(plain(INPUT), [block(0, 10), block(1, 10)], ["caption"])
    pairs = zip(colours(0, 10), colours(1, 10), strict=True)
    shifts = {
        (b[0] - a[0], b[1] - a[1]) for a, b in ((box(sheet, x), box(sheet, y)) for x, y in pairs)
    }
    ((down, right),) = shifts
    assert down == 0
    assert right > 2 * 192
    assert box(sheet, INPUT)[0] == box(sheet, colours(0, 1)[0])[0]
    assert box(sheet, INPUT)[1] + 192 < box(sheet, colours(0, 1)[0])[1]


def test_the_sheet_grows_with_rows_and_sets() -> None:
    """Two more images are one more row; one more set is wider and no taller."""
    heights = [compose(plain(INPUT), [block(0, n)], ["c"]).shape[0] for n in (2, 4, 6, 8, 10)]
    assert len({b - a for a, b in pairwise(heights)}) == 1
    assert heights[1] - heights[0] > 192
    one = compose(plain(INPUT), [block(0, 10)], ["c"])
    two = compose(plain(INPUT), [block(0, 10), block(1, 10)], ["c"])
    assert two.shape[0] == one.shape[0]
    assert two.shape[1] > one.shape[1] + 2 * 192


def test_sets_of_different_length_share_one_sheet() -> None:
    """A short set does not move the long one's tiles or hide any."""
    sheet = compose(plain(INPUT), [block(0, 3), block(1, 10)], ["c"])
    assert box(sheet, colours(0, 1)[0])[0] == box(sheet, colours(1, 1)[0])[0]
    assert len({box(sheet, colour) for colour in colours(1, 10)}) == 10


@pytest.mark.parametrize("side_px", [1, 128, 192, 512])
def test_pictures_of_any_size_become_one_tile_size(side_px: int) -> None:
    """The models' sizes differ; the tiles do not, and a detail stays where it was."""
    face = plain((250, 250, 0), side_px)
    face[: side_px // 2] = (0, 0, 250)
    sheet = compose(plain(INPUT), [SheetBlock("VAE", "", [SheetTile(1, face, "")])], [])
    top, left, _, _ = box(sheet, INPUT)
    tile = sheet[top : top + 192, left + 228 : left + 420].astype(float)
    np.testing.assert_allclose(tile[150:].mean(axis=(0, 1)), (250, 250, 0), atol=3)
    upper = (0, 0, 250) if side_px > 1 else (250, 250, 0)
    np.testing.assert_allclose(tile[:40].mean(axis=(0, 1)), upper, atol=3)


def test_a_tile_without_a_picture_shows_its_status_in_its_place() -> None:
    """A failed image leaves a grey tile with a word, and the others where they were."""
    whole = block(0, 4)
    tiles = [whole.tiles[0], SheetTile(8, None, "filtered"), *whole.tiles[2:]]
    full = compose(plain(INPUT), [whole], ["c"])
    sheet = compose(plain(INPUT), [SheetBlock(whole.title, whole.subtitle, tiles)], ["c"])
    top, left, height, width = box(full, colours(0, 2)[1])
    differs = (sheet != full).any(axis=2)
    assert differs[top : top + height, left : left + width].all()
    assert differs.sum() == height * width
    tile = sheet[top : top + height, left : left + width]
    assert tile.max() < WHITE
    assert len(np.unique(tile[:20])) == 3, "plain grey above the word"
    assert tile[86:106].min() < 130, "a word in the middle"


def test_the_status_words_can_be_told_apart() -> None:
    """The tile says what happened: other words give other pictures."""
    sheets = {
        compose(plain(INPUT), [SheetBlock("V", "", [SheetTile(1, None, word)])], []).tobytes()
        for word in ("failed", "filtered", "cancelled")
    }
    assert len(sheets) == 3


def test_each_seed_stands_under_its_own_tile() -> None:
    """Changing one seed changes pixels just below its tile and nowhere else."""
    before = block(0, 4)
    other = SheetTile(4_294_967_295, before.tiles[2].pixels, "succeeded")
    after = SheetBlock(before.title, before.subtitle, [*before.tiles[:2], other, before.tiles[3]])
    sheets = [compose(plain(INPUT), [b], ["c"], tile_px=96) for b in (before, after)]
    rows, columns = np.nonzero((sheets[0] != sheets[1]).any(axis=2))
    top, left, height, width = box(sheets[0], colours(0, 3)[2])
    assert top + height <= rows.min() <= rows.max() < top + height + 20
    assert left <= columns.min() <= columns.max() < left + width


@pytest.mark.parametrize("count", [1, 10])
@pytest.mark.parametrize(
    "prompt",
    [
        "a portrait in the style of an old photograph, " * 40,
        "x" * 5000,
        "高解像度の顔写真" * 100,
        "صورة وجه \u202e عالية الدقة 🙂 \ud800 \x00 \u0301",
    ],
)
def test_a_long_or_foreign_prompt_stays_within_the_page(prompt: str, count: int) -> None:
    """The sheet is as wide as for a short prompt, at most a few lines taller, and not cut off."""
    blocks = [block(0, count), block(1, count)]
    short = compose(plain(INPUT), blocks, ["a face"])
    long = compose(plain(INPUT), blocks, [prompt])
    assert long.shape[1] == short.shape[1]
    assert 0 <= long.shape[0] - short.shape[0] <= 3 * 20
    assert has_white_margins(long)


def test_a_prompt_of_two_lines_is_not_shortened() -> None:
    """Words wrap: the last word of a prompt that needs two lines is still drawn."""
    blocks = [block(0, 2)]
    words = ["portrait"] * 14
    sheets = [compose(plain(INPUT), blocks, [" ".join([*words, end])]) for end in ("man", "mum")]
    assert sheets[0].shape == sheets[1].shape
    assert sheets[0].shape[0] > compose(plain(INPUT), blocks, ["portrait"]).shape[0]
    assert (sheets[0] != sheets[1]).any()


def test_long_headings_wrap_above_the_tiles() -> None:
    """A block of one tile is narrow: its heading pushes all tiles down and covers nothing."""
    title = "Stable Diffusion v1.5 image-to-image"
    subtitle = "stable-diffusion-v1-5/stable-diffusion-v1-5 · strength 0.6 · 50 steps"
    tall = SheetBlock(title, subtitle, block(1, 1).tiles)
    short, sheet = (compose(plain(INPUT), [block(0, 1), b], ["c"]) for b in (block(1, 1), tall))
    tops = {box(sheet, colour)[0] for colour in (INPUT, colours(0, 1)[0], colours(1, 1)[0])}
    assert len(tops) == 1
    assert tops.pop() >= box(short, INPUT)[0] + 2 * 20
    assert has_white_margins(sheet)


def test_each_heading_stands_above_its_own_block() -> None:
    """Ink lies over every column of the sheet and in no gap between two of them."""
    sheet = compose(plain(INPUT), [block(0, 1), block(1, 1)], ["c"])
    top, *_ = box(sheet, INPUT)
    for colour in (INPUT, colours(0, 1)[0], colours(1, 1)[0]):
        left = box(sheet, colour)[1]
        assert sheet[:top, left : left + 192].min() < 130
        assert (sheet[:top, left - 30 : left - 2] == WHITE).all()


def test_note_and_caption_are_drawn() -> None:
    """Each text adds height and ink below the tiles."""
    bare = compose(plain(INPUT), [block(0, 1)], [])
    captioned = compose(plain(INPUT), [block(0, 1)], ["caption"])
    noted = compose(plain(INPUT), [block(0, 1)], ["caption"], note="demo weights")
    assert bare.shape[0] < captioned.shape[0] < noted.shape[0]
    assert captioned[bare.shape[0] - 32 : -32].min() < 130
    assert noted[captioned.shape[0] - 32 : -32].min() < 130


def test_the_caption_says_how_to_repeat_the_sheet() -> None:
    """Prompt, parameters, seeds and the digest's first digits are there, in this order."""
    prompt, facts = caption_lines(
        "a face", {"strength": 0.6, "guidance_scale": 2.0}, range(7, 17), "0123456789abcdef"
    )
    assert prompt == "Prompt: “a face”"
    assert (
        facts == "strength 0.6 · guidance_scale 2.0 · seeds 7 ... 16 · input sha256 0123456789ab…"
    )
    assert len(caption_lines("", {}, [7], "0" * 64)) == 1


@pytest.mark.parametrize(
    ("seeds", "text"),
    [
        ([7], "seed 7"),
        ([7, 8], "seeds 7, 8"),
        ([7, 8, 9], "seeds 7 ... 9"),
        ([4_294_967_295, 0, 1], "seeds 4294967295 ... 1"),
        ([7, 9, 8], "seeds 7, 9, 8"),
        ([7, 7, 7], "seeds 7, 7, 7"),
    ],
)
def test_only_seeds_that_count_up_are_shortened(seeds: Sequence[int], text: str) -> None:
    """A shortened list can be written out again without a doubt."""
    assert describe_seeds(seeds) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a  face\n\tof “Zoë”", "a face of “Zoe”"),
        ("Łódź – naïve café", "Lodz - naive cafe"),
        ("a 漢字 face, Привет мир!", "a […] face, […]!"),
        ("a\u200b\x00\ud800b", "ab"),
        ("", ""),
    ],
)
def test_text_becomes_what_the_font_can_draw(text: str, shown: str) -> None:
    """Letters lose accents, and what cannot be drawn leaves one mark."""
    assert legible(text) == shown


def test_the_font_has_every_character_that_is_passed_to_it() -> None:
    """A glyph that Pillow's font lacks is drawn as the same box as an unassigned character."""
    font = ImageFont.load_default(40)
    missing = font.getmask("\uffff")
    boxes = [c for c in GLYPHS - {" "} if bytes(font.getmask(c)) == bytes(missing)]
    assert boxes == []


def test_type_and_margins_follow_the_tile_size() -> None:
    """A sheet for print has the proportions of a sheet for the screen."""
    shapes = [compose(plain(INPUT), [block(0, 4)], ["c"], tile_px=px).shape for px in (192, 768)]
    assert shapes[1][1] == pytest.approx(4 * shapes[0][1], rel=0.02)
    assert shapes[1][0] == pytest.approx(4 * shapes[0][0], rel=0.02)


def test_the_same_input_gives_the_same_pixels() -> None:
    """The sheet holds no time and no random choice, and it is the caller's to change."""
    sheets = [compose(plain(INPUT), [block(0, 3)], ["caption"]) for _ in range(2)]
    np.testing.assert_array_equal(sheets[0], sheets[1])
    assert sheets[0].dtype == np.uint8
    assert sheets[0].flags.writeable


def test_impossible_sheets_are_refused_by_name() -> None:
    """The message names what is wrong and what to give instead."""
    with pytest.raises(ValueError, match="no blocks"):
        compose(plain(INPUT), [], ["c"])
    with pytest.raises(ValueError, match="tile_px is 20"):
        compose(plain(INPUT), [block(0, 1)], ["c"], tile_px=20)
    with pytest.raises(ValueError, match="'VAE' has no tiles"):
        SheetBlock("VAE", "", [])
    with pytest.raises(ValueError, match=r"seed 7 is \(40, 30, 3\)"):
        SheetTile(7, plain(INPUT)[:, :30], "succeeded")
    with pytest.raises(ValueError, match=r"the input is .* float64"):
        compose(np.zeros((8, 8, 3)), [block(0, 1)], ["c"])  # type: ignore[arg-type]
