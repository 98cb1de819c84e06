"""The loop all stages share: a budget, a progress bar, checkpoints to go on from."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

import torch
from torch import Tensor, nn
from tqdm import tqdm

SAVE_EVERY_S = 60.0
Network = TypeVar("Network", bound=nn.Module)


class Stage(Protocol):
    """One network in training."""

    name: str

    def state(self) -> dict[str, Any]:
        """All that must be kept to go on, as tensors and plain values."""

    def restore(self, state: dict[str, Any]) -> None:
        """Take over what `state` gave."""

    def train_step(self, step: int, progress: float) -> float:
        """Do one step; progress in [0, 1) places it in the budget. Returns the loss."""


class NetworkStage(Generic[Network]):
    """What a stage with one network and one optimizer keeps between its runs."""

    network: Network
    optimizer: torch.optim.Optimizer

    def state(self) -> dict[str, Any]:
        """Weights and optimizer."""
        return {"network": self.network.state_dict(), "optimizer": self.optimizer.state_dict()}

    def restore(self, state: dict[str, Any]) -> None:
        """Take over weights and optimizer."""
        self.network.load_state_dict(state["network"])
        self.optimizer.load_state_dict(state["optimizer"])


@dataclass(frozen=True)
class Budget:
    """When a stage ends: after some steps, or after some minutes of training, over all its runs.

    Steps make the same weights again on the same machine; minutes end at a known time.
    """

    steps: int | None = None
    minutes: float | None = None

    def __post_init__(self) -> None:
        """Refuse a budget of both or neither."""
        if (self.steps is None) == (self.minutes is None):
            raise ValueError(f"budget {self}: give either steps or minutes")

    def progress(self, step: int, trained_s: float) -> float:
        """The part of the budget that is used up, 0 at the start, 1 at the end."""
        if self.steps is not None:
            return step / self.steps
        return trained_s / (60.0 * (self.minutes or 0.0))


@dataclass(frozen=True)
class Standing:
    """How far a stage has come: steps done, seconds trained, the smoothed loss."""

    step: int = 0
    trained_s: float = 0.0
    loss: float = math.nan


def generator_of(seed: int, step: int) -> torch.Generator:
    """The random numbers of one step: the same after a resume as without one."""
    return torch.Generator().manual_seed(seed * 10_000_019 + step)


def learning_rate(peak: float, step: int, progress: float, warm_up: int) -> float:
    """Linear warm-up, then a cosine from the peak to a fiftieth of it."""
    cosine = 0.5 * (1.0 + math.cos(math.pi * min(progress, 1.0)))
    return peak * min(1.0, (step + 1) / warm_up) * (0.02 + 0.98 * cosine)


def descend(
    optimizer: torch.optim.Optimizer, loss: Tensor, rate: float, parameters: Iterable[Tensor]
) -> float:
    """One step down the gradient of a loss, clipped to norm 1; returns the loss."""
    for group in optimizer.param_groups:
        group["lr"] = rate
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    nn.utils.clip_grad_norm_(parameters, 1.0)
    optimizer.step()
    return float(loss.detach())


def save_checkpoint(path: Path, stage: Stage, standing: Standing) -> None:
    """Write a checkpoint so that a crash leaves the old one or the new one, never half."""
    draft = path.with_suffix(".part")
    torch.save(
        {
            "step": standing.step,
            "trained_s": standing.trained_s,
            "loss": standing.loss,
            "stage": stage.state(),
        },
        draft,
    )
    os.replace(draft, path)


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Read a checkpoint: tensors and plain values only, never code."""
    found: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    return found


def resume(path: Path, stage: Stage) -> Standing:
    """Put a stage where its checkpoint left it; at the start when there is none."""
    if not path.exists():
        return Standing()
    found = load_checkpoint(path)
    stage.restore(found["stage"])
    return Standing(found["step"], found["trained_s"], found["loss"])


def advance(stage: Stage, standing: Standing, progress: float) -> Standing:
    """Do one step and count it."""
    began = time.monotonic()
    loss = stage.train_step(standing.step, progress)
    if not math.isfinite(loss):
        raise FloatingPointError(f"{stage.name}: the loss is {loss} at step {standing.step}")
    smooth = loss if math.isnan(standing.loss) else standing.loss + 0.02 * (loss - standing.loss)
    return Standing(standing.step + 1, standing.trained_s + time.monotonic() - began, smooth)


def run_stage(stage: Stage, budget: Budget, directory: Path) -> Standing:
    """Train a stage to the end of its budget, from its last checkpoint on."""
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / f"{stage.name}.pt"
    standing = resume(path, stage)
    saved_at = time.monotonic()
    with tqdm(
        desc=stage.name, initial=standing.step, total=budget.steps, unit="step", mininterval=5.0
    ) as bar:
        while (progress := budget.progress(standing.step, standing.trained_s)) < 1.0:
            standing = advance(stage, standing, progress)
            bar.update()
            bar.set_postfix(loss=f"{standing.loss:.4f}", done=f"{progress:.0%}", refresh=False)
            if time.monotonic() - saved_at > SAVE_EVERY_S:
                save_checkpoint(path, stage, standing)
                saved_at = time.monotonic()
    save_checkpoint(path, stage, standing)
    return standing
