"""Colours and sizes of the report's figures, and the way from a figure to a PNG file."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from io import BytesIO

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

from models.interfaces import RGBPixels
from models.pixels import resize

POINTS_PER_INCH = 72
"""Lengths below are in CSS pixels of the page; at 72 to the inch a point is one of them."""
CHART_SCALE = 2
"""Pixels of a chart's file for one of the page: sharp on dense displays and in print."""
SHEET_SCALE = 1.5
"""The same of a sheet of pictures: about the pictures' own pixels, and a page that can be sent."""
TILE_EMPTY = "#b9b8b3"
NEUTRAL = "#7b7a75"
"""Ink of the picture grids: they have no ground of their own, and it reads on light and dark."""


@dataclass(frozen=True)
class Palette:
    """Colours of a chart; blue and orange stay apart for every kind of colour vision.

    Attributes:
        ground: behind everything.
        ink: of titles and values.
        soft: of axes and labels.
        rule: of grid lines.
        vae: of everything that is the VAE's.
        diffusion: of everything that is the diffusion model's.
    """

    ground: str
    ink: str
    soft: str
    rule: str
    vae: str
    diffusion: str


LIGHT = Palette("#fcfcfb", "#1a1a19", "#5c5c58", "#e2e1dd", "#2f5d86", "#b8501f")
DARK = Palette("#1b1b1a", "#eceae6", "#a4a29c", "#343432", "#8fbce6", "#f0a068")


class Sheet:
    """A figure on which pictures keep their pixels: placed, never resampled by the plot."""

    def __init__(self, width: int, height: int) -> None:
        """Take the size in CSS pixels."""
        self._width, self._height = width, height
        self._width_px, self._height_px = int(width * SHEET_SCALE), int(height * SHEET_SCALE)
        dpi = POINTS_PER_INCH * SHEET_SCALE
        self._figure = Figure(figsize=(self._width_px / dpi, self._height_px / dpi), dpi=dpi)

    def picture(self, pixels: RGBPixels | None, left: int, top: int, side: int) -> None:
        """Place (S, S, 3) uint8 scaled to `side`; without a picture, an empty tile."""
        side_px = round(side * SHEET_SCALE)
        if pixels is None:
            ground = tuple(int(TILE_EMPTY[i : i + 2], 16) for i in (1, 3, 5))
            shown = np.full((side_px, side_px, 3), ground, dtype=np.uint8)
        else:
            shown = resize(pixels, side_px, Image.Resampling.LANCZOS)
        left_px, top_px = int(left * SHEET_SCALE), int(top * SHEET_SCALE)
        below_px = self._height_px - top_px - side_px
        self._figure.figimage(shown, left_px, below_px, origin="upper")

    def text(self, words: str, x: float, y: float, size: float, **style: str) -> None:
        """Write at x, y from the top left; `words` are never read as formulas."""
        self._figure.text(
            x / self._width,
            1 - y / self._height,
            words,
            fontsize=size,
            parse_math=False,
            **{"color": NEUTRAL, "ha": "center", "va": "center", **style},  # type: ignore[arg-type]
        )

    def png(self) -> bytes:
        """Return the file, transparent between the pictures."""
        return png(self._figure, transparent=True)


def chart(
    palette: Palette, width: int, height: int, margins: Sequence[float]
) -> tuple[Figure, Axes]:
    """Return a figure with axes; margins are left, right, top and bottom in CSS pixels."""
    figure = Figure(
        figsize=(width / POINTS_PER_INCH, height / POINTS_PER_INCH),
        dpi=POINTS_PER_INCH * CHART_SCALE,
        facecolor=palette.ground,
    )
    left, right, top, bottom = margins
    place = (left / width, bottom / height, 1 - (left + right) / width, 1 - (top + bottom) / height)
    axes = figure.add_axes(place, facecolor=palette.ground)
    for name, spine in axes.spines.items():
        spine.set_visible(name == "bottom")
        spine.set_color(palette.soft)
    axes.tick_params(colors=palette.soft, labelcolor=palette.soft, labelsize=12, length=0, pad=6)
    axes.set_axisbelow(True)
    return figure, axes


def title(figure: Figure, palette: Palette, words: str, below: str) -> None:
    """Write a title and the line below it at the upper left."""
    width, height = figure.get_size_inches() * POINTS_PER_INCH
    for line, y, size, colour in ((words, 18, 14.5, palette.ink), (below, 38, 12, palette.soft)):
        place = (4 / width, 1 - y / height)
        figure.text(*place, line, fontsize=size, color=colour, va="center", parse_math=False)


def png(figure: Figure, transparent: bool = False) -> bytes:
    """Return a figure as a PNG file; equal figures give equal bytes."""
    buffer = BytesIO()
    figure.savefig(
        buffer,
        format="png",
        transparent=transparent,
        metadata={"Software": None},
        pil_kwargs={"compress_level": 6},
    )
    return buffer.getvalue()


def grid(count: int, columns: int) -> Iterator[tuple[int, int, int]]:
    """Yield index, row and column of each of `count` places."""
    for index in range(count):
        yield (index, *divmod(index, columns))
