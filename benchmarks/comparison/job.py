"""The one job that all arms of the comparison do: a picture, its parameters, and seeds."""

import json
from dataclasses import dataclass

from benchmarks.paths import ROOT, SAMPLE_FACE

WEIGHTS = ROOT / "models" / "demo" / "weights" / "stable_diffusion"
SIDE_PX = 128
"""Side of the demo's images."""
TORCH_THREADS = 2
"""CPU threads for one operation, in every arm."""


@dataclass(frozen=True)
class DiffusionJob:
    """One set of images to make.

    Attributes:
        picture: the input, an encoded file.
        prompt: what the images should show.
        strength: share of the noise schedule applied.
        guidance_scale: classifier-free guidance.
        num_inference_steps: steps of the full schedule.
        seeds: one an image, in order.
    """

    picture: bytes
    prompt: str
    strength: float
    guidance_scale: float
    num_inference_steps: int
    seeds: tuple[int, ...]

    def __post_init__(self) -> None:
        """Refuse a job without images."""
        if not self.seeds:
            raise ValueError("seeds is (): give one seed an image")


def demo_job(seeds: tuple[int, ...]) -> DiffusionJob:
    """Return the sample face with the demo's own defaults."""
    defaults = json.loads((WEIGHTS / "defaults.json").read_text())
    return DiffusionJob(
        picture=SAMPLE_FACE.read_bytes(),
        prompt=defaults["prompt"],
        strength=defaults["strength"],
        guidance_scale=defaults["guidance_scale"],
        num_inference_steps=defaults["num_inference_steps"],
        seeds=seeds,
    )
