"""What crosses a deployment handle: the job of one set, and its result."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from deployments.errors import TwinsetError
from models.interfaces import ModelInfo
from models.parameters import Parameters
from models.pixels import OutputFormat, SquarePicture
from models.set_metrics import METRIC_SIDE_PX

NO_DESCRIPTORS = np.empty((0, METRIC_SIDE_PX, METRIC_SIDE_PX, 3), dtype=np.uint8)


@dataclass(frozen=True)
class SetJob:
    """One set to make, or a chunk of one.

    Attributes:
        picture: the input, decoded once for both models.
        seeds: one an image, in the order of the answer.
        parameters: of the model that gets the job.
        output_format: of the encoded images.
        budget_s: seconds after which the result is of no use to anybody.
        set_seeds: of the whole set, which each image carries; a chunk has some of them.
    """

    picture: SquarePicture
    seeds: Sequence[int]
    parameters: Parameters
    output_format: OutputFormat
    budget_s: float
    set_seeds: Sequence[int]


@dataclass(frozen=True)
class StepDone:
    """One step of a set is done.

    Attributes:
        step: which one, from 1.
        total: steps of the set.
    """

    step: int
    total: int


@dataclass(frozen=True)
class SetResult:
    """One set, made.

    Attributes:
        model: what made it.
        images: encoded files, one a seed, in order; None where there is none to show.
        descriptors: (M, 128, 128, 3) uint8 of the images that are shown: what the metrics are
            computed from.
        encoder_calls: forward passes of the image encoder.
        unet_calls: forward passes of the UNet.
        notes: sentences for the caller.
        replicas: which replicas made it, in order of its images.
        timings_ms: milliseconds by part: `wait`, `model`, `encode`.
        failed: by index, why there is no image; the others without one are withheld by a safety
            checker.
    """

    model: ModelInfo
    images: Sequence[bytes | None]
    descriptors: NDArray[np.uint8]
    encoder_calls: int
    unet_calls: int
    notes: Sequence[str]
    replicas: Sequence[str]
    timings_ms: Mapping[str, float]
    failed: Mapping[int, TwinsetError] = field(default_factory=dict)

    def status(self, index: int) -> Literal["ok", "failed", "filtered"]:
        """Return what became of one image."""
        if index in self.failed:
            return "failed"
        return "filtered" if self.images[index] is None else "ok"
