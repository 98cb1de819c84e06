"""A start with compilation in a process of its own: what was compiled, and whether it is used.

Run as `python -m tests.unit.stable_diffusion.compiled_start DIRECTORY CACHE`; prints JSON.
"""

import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch._dynamo.utils import counters
from torch.profiler import ProfilerActivity, profile

from models.parameters import ImageToImageParameters
from models.stable_diffusion.checkpoint import load_stable_diffusion
from tests.unit.stable_diffusion.conftest import face

GUIDED = ImageToImageParameters("a face", "a hat", 0.8, 3.0, 8)
UNGUIDED = ImageToImageParameters("a face", "", 0.8, 1.0, 8)


def _compared(model: Any, plain: Any, count: int, parameters: ImageToImageParameters) -> list[int]:
    """Return the largest difference of pixels, the UNet's calls and the compiled calls of a set."""
    seeds = range(7, 7 + count)
    with profile(activities=[ProfilerActivity.CPU]) as profiled:
        made = model.generate(face(32), seeds, parameters)
    names = [event.name for event in profiled.events() or ()]
    compiled = sum(name.startswith("Torch-Compiled Region") for name in names)
    expected = plain.generate(face(32), seeds, parameters).pixels.astype(int)
    return [int(np.abs(made.pixels - expected).max()), made.unet_calls, compiled]


def measure(directory: Path, cache: Path) -> dict[str, Any]:
    """Load the model compiled for two images and make sets of that and of other sizes."""
    options: dict[str, Any] = {"device": "cpu", "image_size_px": 32}
    started = time.perf_counter()
    model = load_stable_diffusion(
        str(directory),
        compile="default",
        compiled_images=[2],
        compile_cache=str(cache),
        **options,
    )
    load_s = time.perf_counter() - started
    after_load = counters["stats"]["unique_graphs"]
    plain = load_stable_diffusion(str(directory), channels_last=False, **options)
    facts: dict[str, Any] = {
        "load_s": load_s,
        "compiled_images": model.info.compiled_images,
        "cache_hits": counters["inductor"]["fxgraph_cache_hit"],
        "guided 2": _compared(model, plain, 2, GUIDED),
        "guided 3": _compared(model, plain, 3, GUIDED),
        "guided 1": _compared(model, plain, 1, GUIDED),
        # As many rows for the UNet as two guided images have, and a decoder that is not compiled.
        "unguided 4": _compared(model, plain, 4, UNGUIDED),
    }
    return facts | {"graphs": [after_load, counters["stats"]["unique_graphs"]]}


if __name__ == "__main__":
    torch.set_num_threads(2)
    sys.stdout.write("FACTS " + json.dumps(measure(Path(sys.argv[1]), Path(sys.argv[2]))) + "\n")
