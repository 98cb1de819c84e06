"""What crosses layers: jobs, what was made of them, and who makes them. Nothing here knows Ray."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Literal, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from deployments.errors import DeadlineExceededError, TwinsetError
from models.interfaces import ModelInfo
from models.parameters import ImageToImageParameters, Parameters
from models.pixels import OutputFormat, SquarePicture
from models.roles import Role
from models.set_metrics import METRIC_SIDE_PX, SetMetrics

ANSWER_S = 0.5
"""Seconds after the deadline in which what is there by then is put together."""
NO_DESCRIPTORS = np.empty((0, METRIC_SIDE_PX, METRIC_SIDE_PX, 3), dtype=np.uint8)


@dataclass(frozen=True)
class SetJob:
    """One set to make, or a chunk of one.

    Attributes:
        picture: the input, decoded once for both models.
        seeds: one an image, in the order of the answer.
        parameters: of the model that gets the job.
        output_format: of the encoded images.
        set_seeds: of the whole set, which each image carries; a chunk has some of them.
        budget_s: seconds after which the result is of no use to anybody; set when it is sent.
        caller: whose it is, so that callers get their turns; empty where they are not told apart.
    """

    picture: SquarePicture
    seeds: Sequence[int]
    parameters: Parameters
    output_format: OutputFormat
    set_seeds: Sequence[int]
    budget_s: float = 0.0
    caller: str = ""


def work_of(parameters: Parameters, images: int) -> int:
    """Return the work of a set: images times denoising steps; a VAE's set has one step."""
    if isinstance(parameters, ImageToImageParameters):
        return images * max(1, int(parameters.num_inference_steps * parameters.strength))
    return images


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


@dataclass(frozen=True)
class Deadline:
    """The one time budget of a request, from its admission on.

    Attributes:
        started: on the clock of `time.monotonic()`, seconds.
        at: when its sets are of no use any more, on the same clock.
    """

    started: float
    at: float

    @classmethod
    def within(cls, seconds: float) -> Self:
        """Return a deadline so many seconds from now."""
        now = time.monotonic()
        return cls(now, now + seconds)

    def left_s(self) -> float:
        """Return the seconds that are left, at least 0."""
        return max(0.0, self.at - time.monotonic())

    @asynccontextmanager
    async def kept(self) -> AsyncIterator[None]:
        """End what runs inside a little after the deadline: what is there by then is answered.

        Raises:
            DeadlineExceededError: it did not end by itself.
        """
        try:
            async with asyncio.timeout(max(0.0, self.at + ANSWER_S - time.monotonic())):
                yield
        except TimeoutError:
            raise DeadlineExceededError(
                f"the sets were not ready after {self.at - self.started:.1f} s: ask for fewer "
                "images or steps, or allow more time"
            ) from None


@dataclass(frozen=True)
class PairJob:
    """One paired request, resolved.

    Attributes:
        picture: the input, decoded once.
        seeds: one a pair.
        models: by role, what makes the set; a role that is absent is not asked for, or away.
        parameters: by role, of the same roles.
        output_format: of the encoded images.
        deadline: for all of it.
        allow_partial: a failed set is reported beside the other instead of failing both.
        caller: whose it is; None where callers are not told apart.
        away: the failures of the models that were asked for and do not answer.
    """

    picture: SquarePicture
    seeds: Sequence[int]
    models: Mapping[Role, ModelInfo]
    parameters: Mapping[Role, Parameters]
    output_format: OutputFormat
    deadline: Deadline
    allow_partial: bool = False
    caller: str | None = None
    away: Mapping[Role, TwinsetError] = field(default_factory=dict)


@dataclass(frozen=True)
class MadeSet:
    """A set with what made it and its metrics."""

    parameters: Parameters
    result: SetResult
    metrics: SetMetrics | None  # None when every image was withheld


Outcome = MadeSet | TwinsetError
SetEvent = StepDone | Outcome
"""What may be told of a set while a request is under way: a step, or its end."""

Watcher = Callable[[Role, SetEvent], None]


class PairMaker(Protocol):
    """The two models, as those who speak HTTP know them."""

    async def describe(self, role: Role) -> ModelInfo:
        """Return what a model says of itself; raises TwinsetError when it has never answered."""
        ...

    async def describe_all(
        self, roles: Sequence[Role], allow_partial: bool
    ) -> tuple[dict[Role, ModelInfo], dict[Role, TwinsetError]]:
        """Return what models say of themselves, and the failures of those that are away.

        Raises:
            TwinsetError: a model is away and `allow_partial` is off, or all are away.
        """
        ...

    async def make(self, job: PairJob, watch: Watcher | None = None) -> dict[Role, Outcome]:
        """Make the sets of a job at the same time; `watch` is told of each step and each set.

        Raises:
            TwinsetError: a set failed and `allow_partial` is off, or all failed.
        """
        ...

    async def make_set(self, role: Role, job: PairJob, parameters: Parameters) -> MadeSet:
        """Make one set of a job with parameters of its own; raises TwinsetError."""
        ...


class ReplicaCounter(Protocol):
    """Knows how many replicas each model has."""

    async def of(self, role: Role) -> dict[str, int]:
        """Return counts by state, such as {"running": 2, "starting": 1, "target": 3}."""
        ...
