"""Model factories that fail in ways that users' models fail; named by import path in tests."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from models.interfaces import (
    DeviceMemoryError,
    GeneratedSet,
    ModelInfo,
    StepCallback,
    ignore_steps,
)
from models.simulated import SimulatedModel, TimeLaw, load_simulated_diffusion


class _Raising(SimulatedModel):
    def generate(self, image: Any, seeds: Any, parameters: Any, on_step: Any = None) -> Any:
        raise SecretError(f"cannot handle {parameters.prompt}")


class SecretError(Exception):
    """An exception of a library that the ingress does not have."""


def load_raising_diffusion() -> SimulatedModel:
    """Build a diffusion model that raises its prompt."""
    info: ModelInfo = load_simulated_diffusion().info
    return _Raising(replace(info, id="raising"), TimeLaw())


def load_nothing() -> GeneratedSet:
    """Fail to load, with a sentence for `serve status`."""
    raise FileNotFoundError("the weights of this model are not here: prepare them first")


class _Filtering(SimulatedModel):
    """Withholds the image of one seed, as a safety checker does."""

    def generate(self, image: Any, seeds: Any, parameters: Any, on_step: Any = None) -> Any:
        made = super().generate(image, seeds, parameters, on_step or ignore_steps)
        filtered = [index for index, seed in enumerate(seeds) if seed == FILTERED_SEED]
        made.pixels[filtered] = 0
        return replace(made, filtered=filtered)


FILTERED_SEED = 13


def load_filtering_diffusion() -> SimulatedModel:
    """Build a simulated diffusion model whose seed 13 is withheld."""
    return _Filtering(load_simulated_diffusion().info, TimeLaw(fixed_s=0, image_step_s=0))


class _Exhausted(SimulatedModel):
    """Runs out of GPU memory for more than two images."""

    def generate(self, image: Any, seeds: Any, parameters: Any, on_step: Any = None) -> Any:
        if len(seeds) > 2:
            raise DeviceMemoryError("no room")
        return super().generate(image, seeds, parameters, on_step or ignore_steps)


def load_exhausted_diffusion() -> SimulatedModel:
    """Build a simulated diffusion model that has no memory for three images."""
    return _Exhausted(load_simulated_diffusion().info, TimeLaw(fixed_s=0, image_step_s=0))


class _Logging:
    """A model that writes each step it has done into a file, a line each."""

    def __init__(self, model: Any, log: Path) -> None:
        self._model, self._log = model, log
        self.info = model.info

    def generate(
        self, image: Any, seeds: Any, parameters: Any, on_step: StepCallback = ignore_steps
    ) -> GeneratedSet:
        def on_logged_step(step: int, total: int) -> None:
            with self._log.open("a") as log:
                log.write(f"{step}\n")
            on_step(step, total)

        made: GeneratedSet = self._model.generate(image, seeds, parameters, on_logged_step)
        return made


def load_logging_diffusion(log: str, step_s: float = 0.3) -> _Logging:
    """Build a simulated diffusion model that logs its steps."""
    return _Logging(load_simulated_diffusion(fixed_s=0, step_s=step_s, image_step_s=0), Path(log))


def load_logging_demo_diffusion(log: str) -> _Logging:
    """Build the demo's diffusion model, logging its steps."""
    from models.demo.factory import load_demo_diffusion

    return _Logging(load_demo_diffusion(torch_threads=2), Path(log))
