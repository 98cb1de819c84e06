"""The pictures of the demo weights that are looked at: an input and its ten images a row."""

from collections.abc import Sequence
from pathlib import Path

from benchmarks.demo_weights.faces import inputs
from benchmarks.demo_weights.figures import SEEDS
from benchmarks.demo_weights.models import DemoModels
from models.interfaces import RGBPixels
from scripts.report_style import Sheet

FACTORS = tuple(float(factor) for factor in range(1, 11))
PROMPTS = (
    "a portrait of a person, short red hair",
    "a portrait of a person, long blond hair",
    "a portrait of a person, short black hair",
    "a portrait of a person, white hair in a bob",
    "a portrait of a person, wearing round glasses",
    "a portrait of a person, wearing sunglasses",
)
_SIDE, _GAP, _LABEL, _MARGIN = 86, 4, 11, 150


def rows(labels: Sequence[str], pictures: Sequence[Sequence[RGBPixels]]) -> bytes:
    """Draw rows of pictures with a label at the left of each, as a PNG file."""
    columns = max(len(row) for row in pictures)
    sheet = Sheet(_MARGIN + columns * (_SIDE + _GAP), len(pictures) * (_SIDE + _GAP))
    for line, (label, row) in enumerate(zip(labels, pictures, strict=True)):
        top = line * (_SIDE + _GAP)
        sheet.text(label, _MARGIN - 10, top + _SIDE / 2, _LABEL, ha="right")
        for column, pixels in enumerate(row):
            sheet.picture(pixels, _MARGIN + column * (_SIDE + _GAP), top, _SIDE)
    return sheet.png()


def write_all(models: DemoModels, directory: Path) -> list[Path]:
    """Draw and write every picture; returns their paths."""
    directory.mkdir(parents=True, exist_ok=True)
    faces = inputs()
    default = models.diffusion.info.defaults["strength"]
    drawn = {
        f"strength-{strength:g}": rows(
            [f"input, strength {strength:g}"] * len(faces),
            [[face, *models.diffused(face, SEEDS, strength=strength)] for face in faces],
        )
        for strength in (default, 0.9)
    }
    drawn["vae-sweep"] = rows(
        [f"input, factor {factor:g}" for factor in FACTORS],
        [[faces[1], *models.variations(faces[1], SEEDS, diversity_factor=one)] for one in FACTORS],
    )
    drawn["prompts"] = rows(
        [prompt.removeprefix("a portrait of a person, ") for prompt in PROMPTS],
        [
            [faces[0], *models.diffused(faces[0], SEEDS, prompt=one, strength=0.75)]
            for one in PROMPTS
        ],
    )
    paths = []
    for name, file in drawn.items():
        paths.append(directory / f"{name}.png")
        paths[-1].write_bytes(file)
    return paths
