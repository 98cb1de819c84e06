"""Model factories that hang or fail, as users' models do; configs of tests name them."""

import contextlib
import logging
import os
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from models.interfaces import StepCallback, ignore_steps
from models.simulated import (
    SimulatedModel,
    TimeLaw,
    load_simulated_diffusion,
    load_simulated_vae,
)

STALLING_SEED = 666
FAILING_SEED = 667
_FOR_EVER_S = 600.0


class _Stalling(SimulatedModel):
    """Hangs in its third step, once in the life of a file, for a set that has a certain seed."""

    def __init__(self, seen: Path, law: TimeLaw) -> None:
        super().__init__(load_simulated_diffusion().info, law)
        self._seen = seen

    def generate(
        self, image: Any, seeds: Any, parameters: Any, on_step: StepCallback = ignore_steps
    ) -> Any:
        def on_stalling_step(step: int, total: int) -> None:
            on_step(step, total)
            if step == 3 and STALLING_SEED in seeds and not self._seen.exists():
                self._seen.touch()
                time.sleep(_FOR_EVER_S)

        return super().generate(image, seeds, parameters, on_stalling_step)


def load_stalling_diffusion(seen: str) -> SimulatedModel:
    """Build a simulated diffusion model that hangs once."""
    return _Stalling(Path(seen), TimeLaw(fixed_s=0, step_s=0.02, image_step_s=0))


class _OnADyingCard(SimulatedModel):
    """Fails at once for ever, as torch does on a dead card, in the process that a file names."""

    def __init__(self, dead: Path, law: TimeLaw) -> None:
        super().__init__(load_simulated_diffusion().info, law)
        self._dead = dead

    def generate(
        self, image: Any, seeds: Any, parameters: Any, on_step: StepCallback = ignore_steps
    ) -> Any:
        if self._dead.exists() and self._dead.read_text() == str(os.getpid()):
            import torch  # heavy, so that only the replica that fails takes it

            raise torch.AcceleratorError("CUDA error: an illegal memory access was encountered")
        return super().generate(image, seeds, parameters, on_step)


def load_diffusion_on_a_dying_card(dead: str, **law: float) -> SimulatedModel:
    """Build a simulated diffusion model whose card dies once the file names its process."""
    return _OnADyingCard(Path(dead), TimeLaw(**law))


class _OnACard(SimulatedModel):
    """Says of its device and its sets that they are on a certain card."""

    def __init__(self, card: str, law: TimeLaw) -> None:
        plain = load_simulated_diffusion().info
        super().__init__(replace(plain, device="cuda:0"), law)
        self.card = card

    def generate(
        self, image: Any, seeds: Any, parameters: Any, on_step: StepCallback = ignore_steps
    ) -> Any:
        made = super().generate(image, seeds, parameters, on_step)
        return replace(made, notes=(f"made on {self.card}",))


def load_diffusion_on_cards(folder: str, cards: str, **law: float) -> SimulatedModel:
    """Build a simulated diffusion model on the next one of the cards; empty: it does not know."""
    for number, card in enumerate(cards.split(",")):
        with contextlib.suppress(FileExistsError):
            (Path(folder) / str(number)).touch(exist_ok=False)
            return _OnACard(card, TimeLaw(**law))
    raise RuntimeError("there are no more cards")


class _Choosy(SimulatedModel):
    """Raises for a batch that has a certain seed."""

    def generate(
        self, image: Any, seeds: Any, parameters: Any, on_step: StepCallback = ignore_steps
    ) -> Any:
        if FAILING_SEED in seeds:
            raise RuntimeError("this seed, never")
        return super().generate(image, seeds, parameters, on_step)


def load_choosy_diffusion(**law: float) -> SimulatedModel:
    """Build a simulated diffusion model that fails for one seed."""
    return _Choosy(load_simulated_diffusion().info, TimeLaw(**law))


RAISING_STEPS = 7
TALKING_STEPS = 9


class _Talking(SimulatedModel):
    """Raises its prompt for seven steps; logs and prints it for nine, as no model should."""

    def generate(
        self, image: Any, seeds: Any, parameters: Any, on_step: StepCallback = ignore_steps
    ) -> Any:
        if parameters.num_inference_steps == RAISING_STEPS:
            raise RuntimeError(f"cannot make {parameters.prompt} of {image.tobytes()!r}")
        if parameters.num_inference_steps == TALKING_STEPS:
            logging.getLogger("ray.serve").warning("the prompt is %s", parameters.prompt)
            sys.stdout.write(f"{image.tobytes()!r}\n")
        return super().generate(image, seeds, parameters, on_step)


def load_talking_diffusion() -> SimulatedModel:
    """Build a simulated diffusion model that gives its prompt away when it is asked to."""
    law = TimeLaw(fixed_s=0, step_s=0.02, image_step_s=0)
    return _Talking(load_simulated_diffusion().info, law)


def load_slow_vae(loads_s: float, **options: float) -> SimulatedModel:
    """Build a simulated VAE that takes its time to load, as real weights do."""
    time.sleep(loads_s)
    return load_simulated_vae(**options)


def load_slow_diffusion(loads_s: float, **options: float) -> SimulatedModel:
    """Build a simulated diffusion model that takes its time to load."""
    time.sleep(loads_s)
    return load_simulated_diffusion(**options)


class _Noisy(SimulatedModel):
    """Answers with noise, which no codec makes smaller: a set of ten is 10 MB in JSON."""

    def generate(
        self, image: Any, seeds: Any, parameters: Any, on_step: StepCallback = ignore_steps
    ) -> Any:
        made = super().generate(image, seeds, parameters, on_step)
        side_px = self.info.image_size_px
        shape = (len(seeds), side_px, side_px, 3)
        return replace(
            made, pixels=np.random.default_rng(seeds[0]).integers(256, size=shape, dtype=np.uint8)
        )


def load_noisy_vae() -> SimulatedModel:
    """Build a simulated VAE whose images are as large as a real one's, and noise."""
    info = replace(load_simulated_vae().info, image_size_px=496)
    return _Noisy(info, TimeLaw(fixed_s=0, step_s=0, image_step_s=0))
