"""The pictures of the demo weights that are looked at: an input and its ten images a row."""

from collections.abc import Sequence
from io import BytesIO
from pathlib import Path

from PIL import Image

from benchmarks.demo_weights.faces import inputs
from benchmarks.demo_weights.figures import SEEDS
from benchmarks.demo_weights.models import DemoModels
from models.interfaces import RGBPixels
from scripts.report_style import Sheet

FACTORS = tuple(float(factor) for factor in range(1, 11))
PROMPTS = (
    (1, "short red hair"),
    (1, "short blond hair"),
    (0, "short black hair"),
    (2, "short white hair"),
    (1, "wearing round glasses"),
    (2, "wearing square glasses"),
    (3, "wearing sunglasses"),
)
"""Which input is given, and what the prompt adds that the input has not."""
PROMPT_STRENGTH = 0.75
_SIDE, _GAP, _LABEL, _MARGIN = 86, 4, 11, 150


def rows(labels: Sequence[str], pictures: Sequence[Sequence[RGBPixels]]) -> bytes:
    """Draw rows of pictures with a label at the left of each, as a JPEG file.

    A quarter of the PNG's bytes in the repository, and no difference that can be seen.
    """
    columns = max(len(row) for row in pictures)
    sheet = Sheet(_MARGIN + columns * (_SIDE + _GAP), len(pictures) * (_SIDE + _GAP))
    for line, (label, row) in enumerate(zip(labels, pictures, strict=True)):
        top = line * (_SIDE + _GAP)
        sheet.text(label, _MARGIN - 10, top + _SIDE / 2, _LABEL, ha="right")
        for column, pixels in enumerate(row):
            sheet.picture(pixels, _MARGIN + column * (_SIDE + _GAP), top, _SIDE)
    file = BytesIO()
    drawn = Image.open(BytesIO(sheet.png())).convert("RGB")
    drawn.save(file, "JPEG", quality=92, subsampling=0)
    return file.getvalue()


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
        [words for _, words in PROMPTS],
        [
            [
                faces[index],
                *models.diffused(
                    faces[index],
                    SEEDS,
                    prompt=f"a portrait of a person, {words}",
                    strength=PROMPT_STRENGTH,
                ),
            ]
            for index, words in PROMPTS
        ],
    )
    paths = []
    for name, file in drawn.items():
        paths.append(directory / f"{name}.jpg")
        paths[-1].write_bytes(file)
    return paths
