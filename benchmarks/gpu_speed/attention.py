"""Attention backends side by side at the UNet's head sizes."""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch.nn.attention import sdpa_kernel
from torch.nn.functional import scaled_dot_product_attention

from benchmarks.gpu_speed.clock import Clock
from benchmarks.gpu_speed.race import sentence_of
from benchmarks.gpu_speed.variant import BACKENDS
from benchmarks.gpu_speed.workload import DTYPES, Precision, Workload

HEADS = 8
SHAPES = {
    "head 40, self": (4096, 4096, 40),
    "head 40, text": (4096, 77, 40),
    "head 80, self": (1024, 1024, 80),
    "head 160, self": (256, 256, 160),
}
"""Queries, keys and head size of Stable Diffusion v1.5's attention at 512x512."""
_TIMES = 20


def attention_kernels(workload: Workload, precision: Precision, clock: Clock) -> dict[str, Any]:
    """Return microseconds and TFLOP/s of each backend and shape, at the batch of a guided set."""
    figures: dict[str, Any] = {}
    for shape, (queries, keys, size) in SHAPES.items():
        if workload.name == "tiny":
            queries, keys = max(queries // 64, 1), max(keys // 64, 1)
        batch = 2 * workload.images
        query, key, value = (
            torch.randn(batch, HEADS, length, size, device=clock.device, dtype=DTYPES[precision])
            for length in (queries, keys, keys)
        )
        run = partial(scaled_dot_product_attention, query, key, value)
        operations = 4 * batch * HEADS * queries * keys * size
        for backend in BACKENDS:
            figures[f"{shape}, {backend}"] = _measured(backend, run, operations, clock)
    return figures


@torch.inference_mode()
def _measured(
    backend: str, run: Callable[[], torch.Tensor], operations: int, clock: Clock
) -> dict[str, Any]:
    try:
        with sdpa_kernel(BACKENDS[backend]):
            seconds = clock.each(run, _TIMES)
    except RuntimeError as error:  # a backend that cannot take this size, or runs out of memory
        return {"error": sentence_of(error)}
    return {"microseconds": seconds * 1e6, "tflop_per_s": operations / seconds / 1e12}
