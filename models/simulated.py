"""Models that cost time instead of a GPU, for rehearsals of scaling (no torch)."""

import hashlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace

import numpy as np
from PIL import Image

from models.interfaces import GeneratedSet, ModelInfo, RGBPixels, StepCallback, ignore_steps
from models.parameters import ImageToImageParameters, VariationParameters
from models.pixels import resize
from models.roles import DIFFUSION, VAE, Role
from models.time_law import TimeLaw, read_law

SIDE_PX = 64
_NOTE = "simulated: the time is a model's, the pictures are coloured noise over the input"


class SimulatedModel:
    """Serves either role: sleeps by the law, returns the input tinted by each seed."""

    def __init__(self, info: ModelInfo, law: TimeLaw) -> None:
        """Take what it says of itself and what it costs."""
        self._info = info
        self._law = law
        # Entropy of this process: replicas differ, and no image depends on it.
        self._dice = np.random.default_rng()

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
        spread = self._dice.lognormal(0.0, self._law.jitter)
        time.sleep(spread * self._law.once_s(len(seeds)))
        steps = 1
        if isinstance(parameters, ImageToImageParameters):
            steps = int(parameters.num_inference_steps * parameters.strength)
        for step in range(1, steps + 1):
            time.sleep(spread * self._law.each_step_s(len(seeds)))
            on_step(step, steps)
        base = resize(image, SIDE_PX, Image.Resampling.BILINEAR)
        images = [_tint(base, seed, parameters) for seed in seeds]
        unet_calls = steps if self._info.role == DIFFUSION else 0
        return GeneratedSet(np.stack(images), unet_calls=unet_calls)


def load_simulated_vae(
    fixed_s: float | None = None,
    image_step_s: float | None = None,
    jitter: float | None = None,
    law: str | None = None,
    slowdown: float = 1.0,
) -> SimulatedModel:
    """Build a simulated VAE: a model factory; arguments as of `load_simulated_diffusion`."""
    numbers = {"fixed_s": fixed_s, "image_step_s": image_step_s, "jitter": jitter}
    chosen = _law(VAE, law, numbers, TimeLaw(fixed_s=0.05, image_step_s=0.002))
    return SimulatedModel(_info(VAE, asdict(VariationParameters())), chosen.slowed(slowdown))


def load_simulated_diffusion(
    fixed_s: float | None = None,
    step_s: float | None = None,
    image_step_s: float | None = None,
    jitter: float | None = None,
    law: str | None = None,
    slowdown: float = 1.0,
) -> SimulatedModel:
    """Build a simulated diffusion model: a model factory.

    Args:
        fixed_s: seconds a set; this and the next three as in `TimeLaw`.
        step_s: seconds a step.
        image_step_s: seconds an image and step.
        jitter: relative spread of a set's time.
        law: a file of laws, or its name, in place of the numbers: see `models.time_law.read_law`.
        slowdown: factor of all times, such as 2 where two busy replicas share a card.
    """
    numbers = {
        "fixed_s": fixed_s,
        "step_s": step_s,
        "image_step_s": image_step_s,
        "jitter": jitter,
    }
    default = TimeLaw(fixed_s=0.1, step_s=0.005, image_step_s=0.004)
    chosen = _law(DIFFUSION, law, numbers, default)
    defaults = asdict(ImageToImageParameters(prompt="a face"))
    return SimulatedModel(_info(DIFFUSION, defaults), chosen.slowed(slowdown))


def _law(
    role: Role, law: str | None, numbers: Mapping[str, float | None], default: TimeLaw
) -> TimeLaw:
    given = {name: value for name, value in numbers.items() if value is not None}
    if law is None:
        return replace(default, **given)
    if given:
        raise ValueError(f"law {law!r} says what a set costs: leave out {', '.join(given)}")
    return read_law(law, role)


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
