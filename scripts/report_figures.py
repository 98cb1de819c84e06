"""The report's figures: pictures in grids, and the charts of their numbers."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from models.interfaces import RGBPixels
from models.set_metrics import SetMetrics, descriptor
from scripts.report_findings import Findings, ShownSet, Tile, sharpness
from scripts.report_style import DARK, LIGHT, Palette, Sheet, chart, grid, png, title
from scripts.report_words import sharp

DIFFERENCE_SCALE = 4
"""By how much the difference to the input is brightened, so that it is seen."""
_LABEL = 15


@dataclass(frozen=True)
class Drawing:
    """One figure.

    Attributes:
        light: the PNG file.
        dark: the same for a dark page; None where one serves both.
    """

    light: bytes
    dark: bytes | None = None


def draw_all(findings: Findings) -> dict[str, Drawing]:
    """Return every figure by the name of its file."""
    return {
        "input-and-reconstruction": Drawing(input_and_reconstruction(findings)),
        "vae-set": Drawing(set_of_images(findings.vae)),
        "sweep-grid": Drawing(sweep_grid(findings)),
        "sweep-diversity": _both(lambda palette: diversity_chart(findings, palette)),
        "sweep-distance": _both(lambda palette: distance_chart(findings, palette)),
        "diffusion-set": Drawing(set_of_images(findings.diffusion)),
        "sharpness": _both(lambda palette: sharpness_chart(findings, palette)),
        "pairs": Drawing(pairs(findings)),
    }


def _both(draw: Callable[[Palette], bytes]) -> Drawing:
    return Drawing(draw(LIGHT), draw(DARK))


def input_and_reconstruction(findings: Findings) -> bytes:
    """Draw the input, the VAE's reconstruction and how they differ."""
    side, gap, foot = 260, 14, 42
    tile = findings.reconstruction.tiles[0]
    sheet = Sheet(3 * side + 2 * gap, side + foot)
    shown = [
        ("input", findings.face),
        ("reconstruction, factor 0", tile.pixels),
        (f"difference × {DIFFERENCE_SCALE}", _difference(findings.face, tile.pixels)),
    ]
    for index, (words, pixels) in enumerate(shown):
        left = index * (side + gap)
        sheet.picture(pixels, left, 0, side)
        sheet.text(words, left + side / 2, side + foot / 2 - 2, _LABEL + 4)
    return sheet.png()


def _difference(a: RGBPixels, b: RGBPixels | None) -> RGBPixels | None:
    if b is None:
        return None
    difference = np.abs(descriptor(a).astype(np.float32) - descriptor(b)).mean(axis=2)
    brightened = np.minimum(DIFFERENCE_SCALE * difference, 255).astype(np.uint8)
    return np.stack([brightened] * 3, axis=-1)


def set_of_images(shown: ShownSet) -> bytes:
    """Draw a set in rows of five."""
    side, gap, foot, columns = 184, 10, 36, 5
    rows = -(-len(shown.tiles) // columns)
    sheet = Sheet(columns * (side + gap) - gap, rows * (side + foot))
    for index, row, column in grid(len(shown.tiles), columns):
        tile = shown.tiles[index]
        left, top = column * (side + gap), row * (side + foot)
        _place(sheet, tile, left, top, side)
        sheet.text(f"seed {tile.seed}", left + side / 2, top + side + foot / 2 - 3, _LABEL + 2)
    return sheet.png()


def pairs(findings: Findings) -> bytes:
    """Draw image i beside image i, two pairs a row: the VAE's at the left of each."""
    side, gap, head, foot = 224, 40, 40, 40
    columns = 2
    width = columns * 2 * side + (columns - 1) * gap
    count = len(findings.vae.tiles)
    sheet = Sheet(width, head + -(-count // columns) * (side + foot))
    for index, row, column in grid(count, columns):
        left, top = column * (2 * side + gap), head + row * (side + foot)
        if row == 0:
            sheet.text("VAE", left + side / 2, head / 2, _LABEL + 4)
            sheet.text("Stable Diffusion", left + 1.5 * side, head / 2, _LABEL + 4)
        one, other = findings.vae.tiles[index], findings.diffusion.tiles[index]
        _place(sheet, one, left, top, side)
        _place(sheet, other, left + side, top, side)
        sheet.text(f"seed {one.seed}", left + side, top + side + foot / 2 - 2, _LABEL + 3)
    return sheet.png()


def sweep_grid(findings: Findings) -> bytes:
    """Draw the sweep: a row for each factor, a column for each seed."""
    side, gap, left, head = 90, 3, 62, 54
    seeds = [tile.seed for tile in findings.vae.tiles]
    width = left + len(seeds) * (side + gap) - gap
    sheet = Sheet(width, head + len(findings.sweep) * (side + gap) - gap)
    sheet.text("factor", 2, 39, _LABEL, ha="left")
    common, labels = _column_labels(seeds)
    sheet.text(common, left + (width - left) / 2, 13, _LABEL)
    for column, label in enumerate(labels):
        sheet.text(label, left + column * (side + gap) + side / 2, 39, _LABEL + 1)
    for row, (factor, shown) in enumerate(findings.sweep.items()):
        top = head + row * (side + gap)
        weight = "bold" if factor == findings.numbers.chosen_factor else "normal"
        marker = "▸ " if weight == "bold" else ""
        words = f"{marker}{factor:g}"
        sheet.text(words, left - 16, top + side / 2, _LABEL + 7, weight=weight, ha="right")
        for column, tile in enumerate(shown.tiles):
            _place(sheet, tile, left + column * (side + gap), top, side)
    return sheet.png()


def _column_labels(seeds: Sequence[int]) -> tuple[str, list[str]]:
    """Return the columns' heading and labels: long seeds as what they have beyond the first."""
    if max(seeds) < 100_000:
        return "seed", [str(seed) for seed in seeds]
    return f"seed: {seeds[0]} +", [str((seed - seeds[0]) % 2**32) for seed in seeds]


def _place(sheet: Sheet, tile: Tile, left: int, top: int, side: int) -> None:
    sheet.picture(tile.pixels, left, top, side)
    if tile.pixels is None:
        sheet.text(tile.status, left + side / 2, top + side / 2, side / 8, color="#1a1a19")


def diversity_chart(findings: Findings, palette: Palette) -> bytes:
    """Draw how far the images of a set are from each other, over the factor."""
    return _sweep_chart(
        findings,
        palette,
        ("Diversity", "RMSE between the images of a set (pairwise_rmse)"),
        lambda metrics: metrics.pairwise_rmse,
    )


def distance_chart(findings: Findings, palette: Palette) -> bytes:
    """Draw how far the images of a set are from the input, over the factor."""
    return _sweep_chart(
        findings,
        palette,
        ("Distance to the input", "RMSE to the input, inverse of coherence (input_rmse)"),
        lambda metrics: metrics.input_rmse,
    )


def _sweep_chart(
    findings: Findings,
    palette: Palette,
    words: tuple[str, str],
    value: Callable[[SetMetrics], float],
) -> bytes:
    numbers, factor = findings.numbers, findings.numbers.chosen_factor
    chosen, level = value(numbers.vae), value(numbers.diffusion)
    points = {0.0: value(numbers.reconstruction)}
    points |= {step: value(one) for step, one in numbers.sweep.items()}
    figure, axes = chart(palette, 480, 350, (42, 54, 84, 46))
    title(figure, palette, *words)
    axes.grid(axis="y", color=palette.rule, linewidth=1)
    axes.plot(
        *zip(*points.items(), strict=True), "-o", color=palette.vae, lw=2.2, ms=5, label="VAE"
    )
    dotted: dict[str, Any] = {
        "color": palette.diffusion,
        "linewidth": 2,
        "linestyle": (0, (1, 1.5)),
    }
    axes.axhline(level, label="Stable Diffusion", **dotted)
    axes.plot([factor, factor], [0, chosen], color=palette.vae, linewidth=1)
    served: dict[str, Any] = {"mfc": palette.ground, "mec": palette.vae, "mew": 2.4, "ms": 10}
    name = f"served default, {factor:g}"
    axes.plot([factor], [chosen], "o", label=name, clip_on=False, **served)
    axes.set(xlim=(-0.3, max(points) + 0.3), ylim=(0, _ceiling(findings)), xticks=list(points))
    axes.yaxis.set_major_locator(MaxNLocator(5))
    axes.set_xlabel("diversity factor", color=palette.soft, fontsize=12, labelpad=6)
    near: dict[str, Any] = {"textcoords": "offset points", "fontsize": 12.5, "va": "center"}
    axes.annotate(
        f"{chosen:.3f}", (factor, chosen), (-10, 11), ha="right", color=palette.vae, **near
    )
    end = (max(points) + 0.3, level)
    axes.annotate(f"{level:.3f}", end, (6, 0), color=palette.diffusion, **near)
    _legend(figure, axes, palette)
    return png(figure)


def _legend(figure: Figure, axes: Axes, palette: Palette) -> None:
    """Write the legend in one line between the title and the axes."""
    axes.legend(
        loc="lower left",
        bbox_to_anchor=(4 / 480, 1 - 78 / 350),
        bbox_transform=figure.transFigure,
        ncols=3,
        frameon=False,
        borderpad=0,
        borderaxespad=0,
        handlelength=1.8,
        columnspacing=1.6,
        labelcolor=palette.ink,
        fontsize=12,
    )


def _ceiling(findings: Findings) -> float:
    """Return the upper end of both charts' axes: one scale, so that they can be compared."""
    numbers = findings.numbers
    shown = [numbers.reconstruction, numbers.vae, numbers.diffusion, *numbers.sweep.values()]
    return 1.1 * max(max(one.pairwise_rmse, one.input_rmse) for one in shown) or 1.0


def sharpness_chart(findings: Findings, palette: Palette) -> bytes:
    """Draw the sharpness of each image as a dot, and of each set as a line and a number."""
    numbers, factor = findings.numbers, findings.numbers.chosen_factor
    plain = [("input", [numbers.input_sharpness], numbers.input_sharpness, palette.ink)]
    sets = [
        ("VAE, reconstruction", findings.reconstruction, palette.vae),
        (f"VAE, factor {factor:g}", findings.vae, palette.vae),
        ("Stable Diffusion", findings.diffusion, palette.diffusion),
    ]
    rows = plain + [
        (name, _sharpnesses(shown), shown.metrics.laplacian_variance, colour)
        for name, shown, colour in sets
    ]
    figure, axes = chart(palette, 760, 270, (166, 84, 58, 34))
    title(figure, palette, "Sharpness", "Laplacian variance on 128 px: each image, and the mean")
    for row, (_, values, mean, colour) in enumerate(rows):
        axes.plot(
            [0, 1], [row, row], color=palette.rule, lw=1, transform=axes.get_yaxis_transform()
        )
        axes.plot(values, [row] * len(values), "o", color=colour, ms=8, alpha=0.45, mew=0)
        axes.plot([mean, mean], [row - 0.3, row + 0.3], color=colour, linewidth=3)
        place: dict[str, Any] = {
            "xycoords": axes.get_yaxis_transform(),
            "textcoords": "offset points",
        }
        number: dict[str, Any] = {"va": "center", "fontsize": 13.5, "color": colour}
        axes.annotate(sharp(mean), (1, row), (10, 0), **place, **number)
    axes.set(ylim=(len(rows) - 0.5, -0.6), yticks=range(len(rows)))
    axes.set_xlim(0, 1.06 * max(max([mean, *values]) for _, values, mean, _ in rows) or 1.0)
    axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.set_yticklabels([name for name, *_ in rows], color=palette.ink, fontsize=13, ha="left")
    axes.tick_params(axis="y", pad=162)
    return png(figure)


def _sharpnesses(shown: ShownSet) -> list[float]:
    return [sharpness(tile.pixels) for tile in shown.tiles if tile.pixels is not None]
