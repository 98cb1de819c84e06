"""Model factories that fail in ways that users' models fail; named by import path in tests."""

from dataclasses import replace
from typing import Any

from models.interfaces import GeneratedSet, ModelInfo
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
