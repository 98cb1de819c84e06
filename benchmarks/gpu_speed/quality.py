"""What a precision costs in the picture, and what our loop costs beside diffusers' own."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from benchmarks.gpu_speed.race import likeness
from benchmarks.gpu_speed.random_model import RandomModel
from benchmarks.gpu_speed.variant import Kind, Variant
from benchmarks.gpu_speed.workload import Precision
from models.interfaces import RGBPixels

HALVES: tuple[Precision, ...] = ("float16", "bfloat16")


def quality(model: RandomModel) -> dict[str, Any]:
    """Compare sets of the same seeds: ours with diffusers' batched call, each with float32."""
    with _full_float32():
        exact = _pixels("ours", "float32", model)
    figures: dict[str, Any] = {}
    for precision in HALVES:
        ours = _pixels("ours", precision, model)
        theirs = _pixels("diffusers", precision, model)
        figures[f"ours against diffusers, {precision}"] = likeness(ours, theirs)
        figures[f"ours against float32, {precision}"] = likeness(ours, exact)
        figures[f"diffusers against float32, {precision}"] = likeness(theirs, exact)
    return figures


def _pixels(kind: Kind, precision: Precision, model: RandomModel) -> RGBPixels:
    return Variant(kind, precision).maker(model)().pixels


@contextmanager
def _full_float32() -> Iterator[None]:
    """Keep convolutions from computing in TF32, which has the mantissa of float16."""
    cudnn: Any = torch.backends.cudnn
    before = cudnn.allow_tf32
    cudnn.allow_tf32 = False
    try:
        yield
    finally:
        cudnn.allow_tf32 = before
