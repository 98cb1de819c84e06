"""Models that cost time instead of a GPU, for rehearsals of scaling (no torch)."""

import hashlib
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
from PIL import Image

from models.interfaces import (
    GeneratedSet,
    ModelInfo,
    RGBPixels,
    Role,
    StepCallback,
    ignore_steps,
)
from models.parameters import ImageToImageParameters, VariationParameters
from models.pixels import resize

SIDE_PX = 64
_NOTE = "simulated: the time is a model's, the pictures are coloured noise over the input"


@dataclass(frozen=True)
class TimeLaw:
    """How long a set takes: `fixed_s + steps * (step_s + image_step_s * images)`.

    Attributes:
        fixed_s: seconds a set.
        step_s: seconds a step.
        image_step_s: seconds an image and step.
    """

    fixed_s: float = 0.05
    step_s: float = 0.0
    image_step_s: float = 0.002

    def __post_init__(self) -> None:
        """Refuse negative times."""
        if min(self.fixed_s, self.step_s, self.image_step_s) < 0:
            raise ValueError(f"{self} has a negative time: give seconds of 0 or more")


class SimulatedModel:
    """Serves either role: sleeps by the law, returns the input tinted by each seed."""

    def __init__(self, info: ModelInfo, law: TimeLaw) -> None:
        """Take what it says of itself and what it costs."""
        self._info = info
        self._law = law

    @property
    def info(self) -> ModelInfo:
        """Describe the simulation."""
        return self._info

    def generate(
        self,
        image: RGBPixels,
        seeds: Sequence[int],
        parameters: VariationParameters | ImageToImageParameters,
        on_step: StepCallback = ignore_steps,
    ) -> GeneratedSet:
        """Make `len(seeds)` (64, 64, 3) uint8 images; `on_step` is called after each step."""
        time.sleep(self._law.fixed_s)
        steps = 1
        if isinstance(parameters, ImageToImageParameters):
            steps = int(parameters.num_inference_steps * parameters.strength)
        for step in range(1, steps + 1):
            time.sleep(self._law.step_s + self._law.image_step_s * len(seeds))
            on_step(step, steps)
        base = resize(image, SIDE_PX, Image.Resampling.BILINEAR)
        images = [_tint(base, seed, parameters) for seed in seeds]
        unet_calls = steps if self._info.role == "stable_diffusion" else 0
        return GeneratedSet(np.stack(images), unet_calls=unet_calls)


def load_simulated_vae(fixed_s: float = 0.05, image_step_s: float = 0.002) -> SimulatedModel:
    """Build a simulated VAE: a model factory."""
    law = TimeLaw(fixed_s=fixed_s, image_step_s=image_step_s)
    return SimulatedModel(_info("vae", asdict(VariationParameters())), law)


def load_simulated_diffusion(
    fixed_s: float = 0.1, step_s: float = 0.005, image_step_s: float = 0.004
) -> SimulatedModel:
    """Build a simulated diffusion model: a model factory."""
    law = TimeLaw(fixed_s=fixed_s, step_s=step_s, image_step_s=image_step_s)
    defaults = asdict(ImageToImageParameters(prompt="a face"))
    return SimulatedModel(_info("stable_diffusion", defaults), law)


def _info(role: Role, defaults: dict[str, float | int | str]) -> ModelInfo:
    return ModelInfo(
        id=f"simulated-{role.replace('_', '-')}",
        role=role,
        revision="none",
        image_size_px=SIDE_PX,
        defaults=defaults,
        device="simulated",
        simulated=True,
        note=_NOTE,
    )


def _tint(
    base: RGBPixels, seed: int, parameters: VariationParameters | ImageToImageParameters
) -> RGBPixels:
    # Like a real model, the image depends on the input, the parameters and the seed alone.
    digest = hashlib.sha256(f"{seed} {parameters}".encode()).digest()
    noise = np.random.default_rng(list(digest)).integers(-48, 49, (SIDE_PX, SIDE_PX, 3))
    mixed = base.astype(np.int64) // 2 + 64 + noise
    return mixed.clip(0, 255).astype(np.uint8)
