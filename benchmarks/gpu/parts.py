"""The parts of the check, in the order in which they run: what is needed most comes first."""

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from benchmarks.gpu.workload import Workload

Tell = Callable[..., None]
"""Called with figures as they come (`tell(seconds=1.0)`), and with what is being done, which is
shown beside the bar (`tell("loads weights")`)."""


@dataclass(frozen=True)
class CheckSetting:
    """What all parts get.

    Attributes:
        workload: full size or tiny.
        device: where the models are.
        out: directory of this check: weights, compiled code, files of the parts.
    """

    workload: Workload
    device: torch.device
    out: Path

    @property
    def is_gpu(self) -> bool:
        """Whether this is a check of a GPU; figures of a trial on the CPU mean nothing."""
        return self.device.type == "cuda"


@dataclass(frozen=True)
class CheckPart:
    """One part.

    Attributes:
        name: in the JSON file and on the command line; its function `run` is in the module of
            this name.
        limit_s: after which it is broken off; estimates for an H100, unmeasured.
        title: what it is about.
    """

    name: str
    limit_s: float
    title: str

    def run(self, setting: CheckSetting, tell: Tell) -> None:
        """Measure, and tell what is found."""
        run: Any = importlib.import_module(f"benchmarks.gpu.{self.name}").run
        run(setting, tell)


PARTS = (
    CheckPart("card", 40, "card, driver, compiler, and the floor of a set"),
    CheckPart("weights", 90, "the weights that the parts load: prepared ones, or random ones"),
    CheckPart("shares", 120, "a VAE and two diffusion processes on one card, within their shares"),
    CheckPart("too_small", 60, "a share that is too small is refused with a sentence"),
    CheckPart("speed", 120, "a set of ten: notebook loop, diffusers in one call, and ours"),
    CheckPart("pixels", 90, "our pixels beside those of diffusers' pipeline"),
    CheckPart("steps", 45, "no step waits for the GPU"),
    CheckPart("start", 260, "seconds of a replica's start that compiles, cache cold and warm"),
    CheckPart("compiled", 120, "a set of ten, eager and compiled"),
)
