"""Where the time of one set goes: the networks, the rest of the GPU's work, and waiting for us."""

import math
import statistics
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from io import BytesIO
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch._C._autograd import DeviceType
from torch.profiler import ProfilerActivity, profile

from benchmarks.gpu_speed.clock import Clock
from benchmarks.gpu_speed.race import sentence_of
from benchmarks.gpu_speed.random_model import RandomModel, face
from benchmarks.gpu_speed.variant import Variant, sample
from models.interfaces import RGBPixels
from models.pixels import encode
from models.stable_diffusion.components import Components
from models.stable_diffusion.image_to_image import ImageToImageSampler

ENCODER_THREADS = 4
"""As many as a replica encodes with."""


class Spans:
    """Sums the time of named parts of a set, by events of the GPU's own where there is one."""

    def __init__(self, clock: Clock) -> None:
        """Begin with nothing."""
        self._clock = clock
        self._events: list[tuple[str, Any, Any]] = []
        self._seconds: dict[str, float] = {}

    @contextmanager
    def span(self, name: str) -> Iterator[None]:
        """Time what is done inside; the GPU does it later, and nobody waits for it here."""
        if not self._clock.is_gpu:
            started = time.perf_counter()
            yield
            self._add(name, time.perf_counter() - started)
            return
        before, after = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        before.record()
        yield
        after.record()
        self._events.append((name, before, after))

    def seconds(self) -> dict[str, float]:
        """Return the sum of each part, once the device is idle."""
        self._clock.synchronize()
        for name, before, after in self._events:
            self._add(name, before.elapsed_time(after) / 1000)
        self._events.clear()
        return self._seconds

    def _add(self, name: str, seconds: float) -> None:
        self._seconds[name] = self._seconds.get(name, 0.0) + seconds


class _Timed:
    """Stands for a network, or for what is called in its place, and times its passes."""

    def __init__(self, network: Any, spans: Spans, name: str = "") -> None:
        self._network = network
        self._spans = spans
        self._name = name

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        with self._spans.span(self._name):
            return self._network(*args, **kwargs)

    def encode(self, *args: Any, **kwargs: Any) -> Any:
        with self._spans.span("encode"):
            return self._network.encode(*args, **kwargs)

    def decode(self, *args: Any, **kwargs: Any) -> Any:
        with self._spans.span("decode"):
            return self._network.decode(*args, **kwargs)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._network, name)


def gaps(variant: Variant, model: RandomModel, clock: Clock) -> dict[str, Any]:
    """Measure one set of ours from the call to ten encoded PNG files.

    `non_gpu_s` is what a caller waits beside the GPU: the set's wall time less the time in which
    the GPU was busy (a profiler's count), and the encoding. `spans_s` are the networks' parts of it
    by CUDA events; a span in which the GPU waited for the next kernel is longer than the kernels.
    """
    spans = Spans(clock)
    parts = variant.parts(model)
    timed = _timed(parts, spans)
    plain = ImageToImageSampler(parts, model.info)
    watched = ImageToImageSampler(timed, model.info)
    seeds = range(variant.images or model.workload.images)
    made = sample(plain, model, seeds)  # warms it up
    wall_s = statistics.median(clock.wall(lambda: sample(plain, model, seeds)) for _ in range(3))
    sample(watched, model, seeds)
    spans_s = spans.seconds()
    facts = {
        "variant": variant.facts(),
        "wall_s": wall_s,
        "spans_s": spans_s,
        "beside_networks_s": wall_s - sum(spans_s.values()),
        **_busy(lambda: sample(plain, model, seeds), clock),
        **_encoding(made.pixels, model),
    }
    waited_s = wall_s - facts.get("busy_s", math.nan)
    non_gpu_s = None if math.isnan(waited_s) else waited_s + facts["png_4_threads_s"]
    return facts | {"non_gpu_s": non_gpu_s}


def _timed(parts: Components, spans: Spans) -> Components:
    """Return the same parts, compiled or not, with a clock before and behind each network."""
    timed = replace(parts, unet=_Timed(parts.unet, spans, "unet"), vae=_Timed(parts.vae, spans))
    if parts.compiled_unet is not None:
        timed = replace(timed, compiled_unet=_Timed(parts.compiled_unet, spans, "unet"))
    if parts.compiled_decode is not None:
        timed = replace(timed, compiled_decode=_Timed(parts.compiled_decode, spans, "decode"))
    return timed


def union_s(intervals: Iterable[tuple[float, float]]) -> float:
    """Return how long at least one of many intervals lasted, in their own unit."""
    total, end = 0.0, float("-inf")
    for start, stop in sorted(intervals):
        total += max(0.0, stop - max(start, end))
        end = max(end, stop)
    return total


def _busy(run: Callable[[], Any], clock: Clock) -> dict[str, Any]:
    """Return in how much of one set a kernel or copy ran, and the kernels that took most."""
    activity = ProfilerActivity.CUDA if clock.is_gpu else ProfilerActivity.CPU
    kind = DeviceType.CUDA if clock.is_gpu else DeviceType.CPU
    try:
        with profile(activities=[activity]) as profiler:
            run()
            clock.synchronize()
        events = [one for one in profiler.events() or () if _is_work(one, kind)]
    except RuntimeError as error:  # some virtual machines have no counters
        return {"profiler_error": sentence_of(error)}
    if not events:
        return {"profiler_error": "the profiler saw no work of the device"}
    busy_us = union_s((one.time_range.start, one.time_range.end) for one in events)
    return {"busy_s": busy_us / 1e6, "kernels": len(events), "longest_s": _longest(events)}


def _is_work(event: Any, kind: DeviceType) -> bool:
    # What somebody named a stretch of the device's time would count its gaps as well.
    return event.device_type == kind and not getattr(event, "is_user_annotation", False)


def _longest(events: Iterable[Any], most: int = 12) -> dict[str, float]:
    sums: dict[str, float] = {}
    for one in events:
        span = one.time_range
        sums[one.name[:80]] = sums.get(one.name[:80], 0.0) + (span.end - span.start) / 1e6
    return dict(sorted(sums.items(), key=lambda item: -item[1])[:most])


def _encoding(noise: RGBPixels, model: RandomModel) -> dict[str, float]:
    """Return what PNG costs: of a face, because noise hardly compresses and takes its time."""
    faces = np.stack([face(model.workload.image_px)] * model.workload.images)
    return {
        "png_4_threads_s": png_threads_s(faces, ENCODER_THREADS),
        "png_4_threads_of_noise_s": png_threads_s(noise, ENCODER_THREADS),
        "png_defaults_1_thread_s": png_defaults_s(faces),
    }


def png_threads_s(pixels: RGBPixels, threads: int) -> float:
    """Return the seconds in which threads encode a set as a replica does."""
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(lambda one: encode(one, "png"), pixels[:threads]))
        started = time.perf_counter()
        list(pool.map(lambda one: encode(one, "png"), pixels))
        return time.perf_counter() - started


def png_defaults_s(pixels: RGBPixels) -> float:
    """Return the seconds in which one thread saves a set as a notebook does."""
    started = time.perf_counter()
    for one in pixels:
        Image.fromarray(one).save(BytesIO(), "PNG")
    return time.perf_counter() - started
