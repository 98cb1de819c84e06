"""Times real models and fits the law that simulated ones take: `models.time_law`.

    python -m benchmarks.time_law                      the demo's models, on the CPU
    python -m benchmarks.time_law --config serve_config.yaml --name my-card   those of a config
    python -m benchmarks.time_law --computed h100      arithmetic for a card, nothing is timed

Model calls alone, in this process: no server, no encoding of files. The cells of the grid are
interleaved and repeated, so that a slow minute of the machine hurts all alike. The result is
`benchmarks/results/time_law_<name>.json`, which `law: <name>` in a simulated config reads.
"""

import argparse
import json
import random
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from PIL import Image
from tqdm import tqdm

from benchmarks.circumstances import circumstances
from benchmarks.law_fit import VAE_TERMS, Timed, fit, residuals
from benchmarks.law_of_card import PEAK_TFLOPS, computed
from benchmarks.paths import ROOT, SAMPLE_FACE
from deployments.settings import ModelSettings
from models.interfaces import RGBPixels
from models.parameters import ImageToImageParameters, VariationParameters
from models.roles import DIFFUSION, ROLES, VAE, Role
from models.time_law import TimeLaw, law_path

IMAGES = (1, 2, 5, 10)
STEPS = (2, 5, 10)
ROUNDS = 8


def main() -> int:
    """Parse the command line, time or compute, write the file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--config", type=Path, default=ROOT / "configs" / "demo.yaml")
    parser.add_argument("--name", help="of the result; the device's by default")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--computed", choices=sorted(PEAK_TFLOPS))
    arguments = parser.parse_args()
    if arguments.computed:
        name, document = f"{arguments.computed}_computed", computed(arguments.computed)
    else:
        document = measured(arguments.config, arguments.rounds)
        name = arguments.name or str(document["device"]).replace(":", "-")
    path = law_path(name)
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(document, indent=1) + "\n")
    print(_table(document))
    print(f"written to {path.relative_to(ROOT)}")
    return 0


def measured(config: Path, rounds: int) -> dict[str, Any]:
    """Time the two models of a Serve config; return the document of a law file."""
    arguments = yaml.safe_load(config.read_text())["applications"][0]["args"]
    models = {role: ModelSettings(**arguments[role]).build() for role in ROLES}
    sets = _time_grid(models, rounds)
    laws = {role: fit(sets[role], VAE_TERMS) if role == VAE else fit(sets[role]) for role in ROLES}
    device = models[DIFFUSION].info.device
    return {
        "kind": "measured",
        "device": device,
        "models": {role: models[role].info.id for role in ROLES},
        "laws": {role: vars(laws[role]) for role in ROLES},
        "grid": {role: _cells(laws[role], sets[role]) for role in ROLES},
        "rounds": rounds,
        **circumstances(),
    }


def _time_grid(models: Mapping[Role, Any], rounds: int) -> dict[Role, list[Timed]]:
    cells: list[tuple[Role, int, int]] = [(VAE, images, 1) for images in IMAGES]
    cells += [(DIFFUSION, images, steps) for images in IMAGES for steps in STEPS]
    face: RGBPixels = np.asarray(Image.open(SAMPLE_FACE).convert("RGB"))
    for role in ROLES:  # the first call of a model pays for what later ones have
        _time_set(models[role], role, face, images=1, steps=STEPS[0])
    sets: dict[Role, list[Timed]] = {role: [] for role in ROLES}
    dice = random.Random(0)
    for _ in tqdm(range(rounds), desc="rounds", disable=None):
        dice.shuffle(cells)
        for role, images, steps in cells:
            sets[role].append(_time_set(models[role], role, face, images, steps))
    return sets


def _time_set(model: Any, role: Role, face: RGBPixels, images: int, steps: int) -> Timed:
    parameters: VariationParameters | ImageToImageParameters = VariationParameters()
    if role == DIFFUSION:
        parameters = ImageToImageParameters("a face", strength=1.0, num_inference_steps=steps)
    started = time.perf_counter()
    # The pixels arrive as an array of this process's: the device has finished.
    model.generate(face, list(range(images)), parameters)
    return Timed(images, steps, time.perf_counter() - started)


def _cells(law: TimeLaw, sets: Sequence[Timed]) -> list[dict[str, Any]]:
    """Return, for each cell of the grid, its times and how far off the law is."""
    keys = sorted({(one.images, one.steps) for one in sets})
    return [_cell(law, [one for one in sets if (one.images, one.steps) == key]) for key in keys]


def _cell(law: TimeLaw, sets: Sequence[Timed]) -> dict[str, Any]:
    return {
        "images": sets[0].images,
        "steps": sets[0].steps,
        "seconds": [round(one.seconds, 5) for one in sets],
        "law_s": round(law.seconds(sets[0].images, sets[0].steps), 5),
        "mean_log_residual": round(float(residuals(law, sets).mean()), 4),
    }


def _table(document: Mapping[str, Any]) -> str:
    lines = [f"{document['kind']}, {document['device']}"]
    for role, numbers in document["laws"].items():
        law = TimeLaw(**numbers)
        parts = ", ".join(f"{name} {value:.5f}" for name, value in numbers.items())
        steps = 30 if role == DIFFUSION else 1
        lines.append(f"{role}: {parts}; a set of ten {law.seconds(10, steps):.3f} s")
    for role, cells in document.get("grid", {}).items():
        for cell in cells:
            off = 100 * float(np.expm1(cell["mean_log_residual"]))
            lines.append(
                f"  {role:17} {cell['images']:3} images {cell['steps']:3} steps: "
                f"{np.median(cell['seconds']):8.3f} s, law {cell['law_s']:8.3f} s ({off:+.1f} %)"
            )
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
