"""What both model deployments are: a model in one thread, encoders in others."""

import asyncio
import logging
import os
import time
import traceback
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import ClassVar

import numpy as np
import ray
from ray import serve
from ray.serve.exceptions import RayServeException

from deployments.cards import CARD, card_of
from deployments.errors import DeadlineExceededError, ModelFailedError, OutOfMemoryError
from deployments.jobs import NO_DESCRIPTORS, SetJob, SetResult, StepDone, work_of
from deployments.metrics import ReplicaMetrics
from deployments.replica.model_thread import ModelThread, SetAbortedError, TimedSet
from deployments.replica.stall import StallDetector
from deployments.settings import ModelSettings
from models.interfaces import (
    DeviceLostError,
    DeviceMemoryError,
    GeneratedSet,
    ModelInfo,
    RGBPixels,
    StepCallback,
    ignore_steps,
    joined,
)
from models.provenance import Provenance, encode_with_provenance
from models.roles import Role
from models.set_metrics import descriptor

ENCODER_THREADS = 4
_RETRY_AFTER_S = 5
_IN_HALVES = "memory was short: the set was made in two halves"
_LOGGER = logging.getLogger("ray.serve")


class ModelReplica:
    """Makes sets with the model of one factory; subclasses say which role it must have.

    A plain class: `VAEDeployment(ModelSettings(factory="..."))` works without Serve.
    """

    role: ClassVar[Role]

    def __init__(self, settings: ModelSettings) -> None:
        """Load the model; a constructor that fails shows its sentence in `serve status`."""
        self._worker = ModelThread(StallDetector(settings.stalled_after_s))
        gpu_share = _gpu_share()
        self._model = self._worker.load(lambda: settings.build(gpu_share=gpu_share))
        if self._model.info.role != self.role:
            raise ValueError(
                f"{settings.factory} makes a {self._model.info.role} model, but this deployment "
                f"serves the role {self.role}: set another factory"
            )
        self._encoders = ThreadPoolExecutor(ENCODER_THREADS, thread_name_prefix="encode")
        self._metrics = ReplicaMetrics()
        self._usual_s = 0.0
        if self._model.info.gpu_memory_peak_gib is not None:
            self._metrics.gpu_memory_peak_gib.set(self._model.info.gpu_memory_peak_gib)
        if self._model.info.gpu_memory_limit_gib is not None:
            self._metrics.gpu_memory_limit_gib.set(self._model.info.gpu_memory_limit_gib)

    async def describe(self) -> ModelInfo:
        """Say what is served."""
        return self._model.info

    async def record_replica_metadata(self) -> dict[str, str]:
        """Tell Serve on which card this replica computes; Serve asks once."""
        return {CARD: card_of(self._model)}

    async def check_health(self) -> None:
        """End this process when a step of the model has stalled, so that Serve replaces it.

        Asynchronous, so that it cannot starve behind requests. Not an error for Serve to count:
        that would wait for the requests that hang, as long as a graceful shutdown may take. This
        way their callers' ingress learns at once, and makes their sets on another replica.
        """
        stalled_s = self._worker.heartbeat.stalled_s()
        if stalled_s is not None:
            _end_process(f"a step has taken {stalled_s:.1f} s")

    async def generate(self, job: SetJob, on_step: StepCallback = ignore_steps) -> SetResult:
        """Make one set; cancelling the call ends the model's work within one step.

        `on_step` is called in the model's thread.
        """
        timed = await self._run_model(job, on_step)
        self._usual_s = timed.model_s
        started = time.monotonic()
        encoded = await self._encode(job, timed)
        shown = [image for image in encoded if image is not None]
        encode_ms = (time.monotonic() - started) * 1000
        self._count(timed, encode_ms)
        return SetResult(
            model=self._model.info,
            images=[None if image is None else image[0] for image in encoded],
            descriptors=np.stack([small for _, small in shown]) if shown else NO_DESCRIPTORS,
            encoder_calls=timed.generated.encoder_calls,
            unet_calls=timed.generated.unet_calls,
            notes=timed.generated.notes,
            replicas=[_replica_name()],
            timings_ms={
                "wait": timed.wait_s * 1000,
                "model": timed.model_s * 1000,
                "encode": encode_ms,
            },
        )

    async def generate_watched(self, job: SetJob) -> AsyncIterator[StepDone | SetResult]:
        """Make one set: yields each step as soon as it is done, and the result last."""
        loop = asyncio.get_running_loop()
        steps: asyncio.Queue[StepDone | None] = asyncio.Queue()

        def on_step(step: int, total: int) -> None:
            loop.call_soon_threadsafe(steps.put_nowait, StepDone(step, total))

        making = asyncio.create_task(self.generate(job, on_step))
        making.add_done_callback(lambda _: steps.put_nowait(None))
        try:
            while (step := await steps.get()) is not None:
                yield step
            yield await making
        finally:
            making.cancel()

    async def _run_model(self, job: SetJob, watch: StepCallback) -> TimedSet:
        """Run the model; what it raises stays here.

        An exception of torch's would make the ingress import torch to unpickle it, and a message
        may hold the prompt: only its type and the places it passed reach the log.
        """
        started = time.monotonic()
        try:
            return await self._worker.run(
                lambda on_step: self._generate(job, on_step),
                job.budget_s,
                watch,
                job.caller,
                work_of(job.parameters, len(job.seeds)),
            )
        except asyncio.CancelledError:
            self._metrics.failures.inc(tags={"reason": "cancelled"})
            raise
        except SetAbortedError:
            self._metrics.failures.inc(tags={"reason": "deadline"})
            message = f"the {self.role} set was not ready in time"
            raise DeadlineExceededError(message) from None
        except DeviceMemoryError:
            self._metrics.failures.inc(tags={"reason": "out_of_memory"})
            _LOGGER.error("the model ran out of memory for %d images", len(job.seeds))
            message = f"the {self.role} model ran out of GPU memory: ask for fewer images, or again"
            raise OutOfMemoryError(message, retry_after_s=_RETRY_AFTER_S) from None
        except Exception as error:
            if _is_device_lost(error):
                _end_process(f"the device of the model is lost ({type(error).__qualname__})")
            self._metrics.failures.inc(tags={"reason": "error"})
            frames = "".join(traceback.format_tb(error.__traceback__))
            _LOGGER.error("the model raised %s at\n%s", type(error).__qualname__, frames)
            # A replica that fails at once would look idle, and draw the calls of those that work.
            await asyncio.sleep(max(0.0, self._usual_s - (time.monotonic() - started)))
            message = f"the {self.role} model failed; its log tells the operator where"
            raise ModelFailedError(message) from None

    def _generate(self, job: SetJob, on_step: StepCallback) -> GeneratedSet:
        """Make a set; when memory runs out, once more in two halves. In the model's thread."""

        def part(seeds: Sequence[int]) -> GeneratedSet:
            made: GeneratedSet = self._model.generate(
                job.picture.pixels, seeds, job.parameters, on_step
            )
            return made

        try:
            return part(job.seeds)
        except DeviceMemoryError:
            if len(job.seeds) < 2:
                raise
        # After the except block, so that nothing of the failed set is held by its traceback.
        _LOGGER.warning("out of memory for %d images: trying two halves", len(job.seeds))
        half = (len(job.seeds) + 1) // 2
        made = joined([part(job.seeds[:half]), part(job.seeds[half:])], _IN_HALVES)
        self._metrics.halved.inc()
        return made

    async def _encode(self, job: SetJob, timed: TimedSet) -> list[tuple[bytes, RGBPixels] | None]:
        # Pillow releases the GIL while it compresses, so threads really help.
        loop = asyncio.get_running_loop()
        tasks = [
            loop.run_in_executor(self._encoders, self._encode_one, job, timed, index)
            for index in range(len(job.seeds))
        ]
        return list(await asyncio.gather(*tasks))

    def _encode_one(
        self, job: SetJob, timed: TimedSet, index: int
    ) -> tuple[bytes, RGBPixels] | None:
        if index in timed.generated.filtered:
            return None
        info, pixels = self._model.info, timed.generated.pixels[index]
        provenance = Provenance(
            model=info.id,
            revision=info.revision,
            seed=job.seeds[index],
            # All seeds: floating point rounds a little differently in a batch of another size.
            parameters={**vars(job.parameters), "seeds": list(job.set_seeds)},
            input=job.picture.facts(),
            precision=info.precision,
            unet_calls=timed.generated.unet_calls,
            scheduler=info.scheduler,
        )
        file = encode_with_provenance(pixels, job.output_format, provenance)
        return file, descriptor(pixels)

    def _count(self, timed: TimedSet, encode_ms: float) -> None:
        model_ms, images = timed.model_s * 1000, len(timed.generated.pixels)
        self._metrics.images.inc(images)
        if timed.generated.filtered:
            self._metrics.filtered.inc(len(timed.generated.filtered))
        if timed.generated.unet_calls:
            self._metrics.unet_calls.inc(timed.generated.unet_calls)
            self._metrics.image_step_ms.observe(model_ms / timed.generated.unet_calls / images)
        self._metrics.model_ms.observe(model_ms)
        self._metrics.wait_ms.observe(timed.wait_s * 1000)
        self._metrics.encode_ms.observe(encode_ms)


def _is_device_lost(error: Exception) -> bool:
    """Say whether only a new process can go on; torch's own error is known by its name alone."""
    names = {base.__name__ for base in type(error).__mro__}
    return isinstance(error, DeviceLostError) or "AcceleratorError" in names


def _end_process(reason: str) -> None:
    """End this process at once, so that Serve replaces it and callers' sets are made elsewhere.

    Not in an orderly way: a thread that hangs would keep that waiting.
    """
    _LOGGER.critical("%s: this replica ends itself", reason)
    logging.shutdown()
    os._exit(1)


def _replica_name() -> str:
    """Return what tells this replica from others; without Serve there is but one."""
    try:
        return serve.get_replica_context().replica_id.unique_id
    except RayServeException:
        return "local"


def _gpu_share() -> float | None:
    """Return the fraction of a card that Ray has given to this process; None without Ray or GPU."""
    if not ray.is_initialized():
        return None
    return ray.get_runtime_context().get_assigned_resources().get("GPU")
