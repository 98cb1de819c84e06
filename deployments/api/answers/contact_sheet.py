"""Made sets to one picture: the contact sheet, the two sets side by side."""

from collections.abc import Mapping
from io import BytesIO

import numpy as np
from PIL import Image

from deployments.api.answers.json import resolved
from deployments.errors import TwinsetError
from deployments.jobs import MadeSet, Outcome, PairJob
from models.contact_sheet import SheetBlock, SheetTile, caption_lines, compose
from models.interfaces import RGBPixels
from models.provenance import Provenance, encode_with_provenance
from models.roles import FACTS, Role


def contact_sheet(job: PairJob, outcomes: Mapping[Role, Outcome]) -> bytes:
    """Return the contact sheet as a PNG file, which says what made it as every image does."""
    prompt = str(resolved(job).get("prompt", ""))
    pixels = compose(
        job.picture.pixels,
        [_block(job, role, outcome) for role, outcome in outcomes.items()],
        caption_lines(prompt, {}, job.seeds, job.picture.sha256),
        note="; ".join(sorted(_notes(outcomes))),
    )
    return encode_with_provenance(pixels, "png", _provenance(job, outcomes))


def _provenance(job: PairJob, outcomes: Mapping[Role, Outcome]) -> Provenance:
    made = [outcome.result for outcome in outcomes.values() if isinstance(outcome, MadeSet)]
    return Provenance(
        model=" + ".join(result.model.id for result in made),
        revision=" + ".join(result.model.revision for result in made),
        seed=job.seeds[0],
        parameters=resolved(job),
        input=job.picture.facts(),
        precision=" + ".join(dict.fromkeys(result.model.precision for result in made)),
        unet_calls=sum(result.unet_calls for result in made),
        scheduler="".join(result.model.scheduler for result in made),
    )


def _block(job: PairJob, role: Role, outcome: Outcome) -> SheetBlock:
    tiles = [_tile(seed, outcome, index) for index, seed in enumerate(job.seeds)]
    if isinstance(outcome, TwinsetError):
        return SheetBlock(FACTS[role].title, outcome.code.replace("_", " "), tiles)
    parameters = vars(outcome.parameters)
    facts = [f"{name} {parameters[name]:g}" for name in FACTS[role].shown]
    return SheetBlock(FACTS[role].title, " · ".join([outcome.result.model.id, *facts]), tiles)


def _tile(seed: int, outcome: Outcome, index: int) -> SheetTile:
    if isinstance(outcome, TwinsetError):
        return SheetTile(seed, None, "failed")
    file = outcome.result.images[index]
    if file is None:
        return SheetTile(seed, None, outcome.result.status(index))
    return SheetTile(seed, _pixels(file), "")


def _pixels(file: bytes) -> RGBPixels:
    with Image.open(BytesIO(file)) as image:
        return np.asarray(image.convert("RGB"), dtype=np.uint8)


def _notes(outcomes: Mapping[Role, Outcome]) -> set[str]:
    notes: set[str] = set()
    for outcome in outcomes.values():
        if isinstance(outcome, MadeSet):
            notes.update([*outcome.result.notes, outcome.result.model.note])
    return notes - {""}
