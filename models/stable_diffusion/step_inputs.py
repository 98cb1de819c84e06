"""What a scheduler's steps take from the CPU, made before the first one and moved once.

Schedulers of diffusers draw noise in their steps on the CPU and copy it to the device; UniPC copies
numbers of its tables there and solves for coefficients. Each time a GPU is waited for. What is
drawn and solved follows from the timesteps alone, so a rehearsal on the CPU with latents of one
pixel tells all of it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode


@dataclass(frozen=True)
class StepNeeds:
    """What the steps of one schedule take.

    Attributes:
        draws: how often noise is drawn for each image.
        solutions: what `torch.linalg.solve` returned, in order, on the device.
    """

    draws: int = 0
    solutions: Sequence[Tensor] = field(default_factory=tuple)


def rehearsed(
    scheduler: Any,
    timesteps: Tensor,
    dtype: torch.dtype,
    device: torch.device,
    extra: Callable[[list[torch.Generator]], dict[str, Any]],
) -> StepNeeds:
    """Run a schedule on the CPU with latents of one pixel and note what its steps take.

    Args:
        scheduler: of its own, with its timesteps set; it is used up.
        timesteps: (T,) of the steps.
        dtype: of the latents.
        device: where the real steps run.
        extra: further arguments of `scheduler.step` for a list of generators.
    """
    notes = _Rehearsal()
    latents = torch.zeros(1, 4, 1, 1, dtype=dtype)
    arguments = extra([torch.Generator("cpu")])
    with notes:
        for timestep in timesteps:
            scheduler.scale_model_input(latents, timestep)
            predicted = torch.zeros_like(latents)
            made = scheduler.step(predicted, timestep, latents, **arguments, return_dict=False)
            latents = made[0]
    return StepNeeds(notes.draws, [one.to(device) for one in notes.solutions])


class _Rehearsal(TorchFunctionMode):
    def __init__(self) -> None:
        super().__init__()
        self.draws = 0
        self.solutions: list[Tensor] = []

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        named = kwargs or {}
        if _is_draw(func, named):
            self.draws += 1
            return torch.zeros(*args, dtype=named.get("dtype"))
        result = func(*args, **named)
        if func is torch.linalg.solve:
            self.solutions.append(result)
        return result


class StepInputs(TorchFunctionMode):
    """Answers a scheduler's calls in its steps with what was made before: a context manager.

    Enter it around `scheduler.step` alone; the steps must be those that were rehearsed.
    """

    def __init__(
        self,
        needs: StepNeeds,
        scheduler: Any,
        generators: Sequence[torch.Generator],
        shape: torch.Size,
        device: torch.device,
    ) -> None:
        """Draw the noise of all steps, and copy the scheduler's tables.

        Args:
            needs: of the schedule.
            scheduler: whose steps these are, its tables on the CPU.
            generators: one an image; each draws its own noise, as diffusers would in the steps.
            shape: of the latents of one image, (C, h, w).
            device: where the steps run.
        """
        super().__init__()
        # In float32 whatever the precision: the same seed is the same noise in every torch.
        drawn = [
            torch.stack([torch.randn((1, *shape), generator=one) for one in generators])
            for _ in range(needs.draws)
        ]
        rows: Sequence[Tensor] = list(torch.stack(drawn).to(device)) if drawn else []
        self._noise = {
            id(one): iter([row[image] for row in rows]) for image, one in enumerate(generators)
        }
        self._solutions = iter(needs.solutions)
        tables = [one for one in vars(scheduler).values() if isinstance(one, Tensor) and one.ndim]
        self._tables = [(one, one.to(device)) for one in tables] if device.type != "cpu" else []

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Answer one call of torch."""
        named = kwargs or {}
        if _is_draw(func, named):
            noise: Tensor = next(self._noise[id(named["generator"])])
            return noise.to(named.get("dtype") or torch.float32)
        if func is torch.linalg.solve:
            return next(self._solutions)
        if func is torch.Tensor.to and (copied := self._copied(*args)) is not None:
            return func(copied, *args[1:], **named)
        return func(*args, **named)

    def _copied(self, number: Tensor, *_: object) -> Tensor | None:
        """Return a number of one of the scheduler's tables as it stands on the device."""
        if number.ndim or number.device.type != "cpu":
            return None
        for table, copy in self._tables:
            if number.untyped_storage().data_ptr() == table.untyped_storage().data_ptr():
                index = number.storage_offset() - table.storage_offset()
                return copy[index] if 0 <= index < len(table) else None
        return None


def _is_draw(func: Any, named: dict[str, Any]) -> bool:
    return func is torch.randn and named.get("generator") is not None
