"""What crosses a deployment handle: the job of one set, and its result."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.interfaces import ModelInfo
from models.parameters import Parameters
from models.pixels import OutputFormat, SquarePicture


@dataclass(frozen=True)
class SetJob:
    """One set to make.

    Attributes:
        picture: the input, decoded once for both models.
        seeds: one an image, in the order of the answer.
        parameters: of the model that gets the job.
        output_format: of the encoded images.
        budget_s: seconds after which the result is of no use to anybody.
    """

    picture: SquarePicture
    seeds: Sequence[int]
    parameters: Parameters
    output_format: OutputFormat
    budget_s: float


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
        images: encoded files, one a seed, in order; None where a safety checker withholds one.
        descriptors: (M, 128, 128, 3) uint8 of the images that are shown: what the metrics are
            computed from.
        encoder_calls: forward passes of the image encoder.
        unet_calls: forward passes of the UNet.
        notes: sentences for the caller.
        replica: which replica made it.
        timings_ms: milliseconds by part: `wait`, `model`, `encode`.
    """

    model: ModelInfo
    images: Sequence[bytes | None]
    descriptors: NDArray[np.uint8]
    encoder_calls: int
    unet_calls: int
    notes: Sequence[str]
    replica: str
    timings_ms: Mapping[str, float]
