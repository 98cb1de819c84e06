"""Counts the arithmetic of one set, and times its largest operations; importing this loads torch.

Counted by torch's own counter. Attention runs as plain matrix products meanwhile: the counter
knows nothing of the fused kernel that the CPU takes otherwise, which does the same arithmetic.
"""

import time
from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.functional import conv2d, linear
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.comparison.pipeline import load_pipeline
from benchmarks.side_by_side.records import Floor

IMAGES = 10
LARGEST = 3
"""Of each kind, so many shapes of operation are timed: those with the most arithmetic a call."""
_SECONDS = 0.6
"""For each shape."""
_CUBE = 1024

Operation = Callable[[], torch.Tensor]


def floor_of(unet_calls: int) -> Floor:
    """Count a set's arithmetic and time the matrix work of its size, with the arms' threads."""
    pipeline = load_pipeline()
    with torch.inference_mode():
        return Floor(set_flop(pipeline, unet_calls), rates_gflop_s(pipeline))


def set_flop(pipeline: Any, unet_calls: int) -> dict[str, float]:
    """Return the operations of ten images by part, with the least calls that make them."""
    side_px = pipeline.unet.config.sample_size * pipeline.vae_scale_factor
    latents = _latents(pipeline, IMAGES)
    counted = {
        "text encoder": (1, lambda: pipeline.text_encoder(_tokens(pipeline))),
        "image encoder": (1, lambda: pipeline.vae.encode(torch.zeros(1, 3, side_px, side_px))),
        "unet": (unet_calls, lambda: _unet(pipeline)),
        "image decoder": (1, lambda: pipeline.vae.decode(latents)),
    }
    return {part: calls * float(_count(make)) for part, (calls, make) in counted.items()}


def rates_gflop_s(pipeline: Any) -> dict[str, float]:
    """Return the best rate of each timed shape, in 10^9 operations a second."""
    found = {f"matmul {_CUBE}^3": _rate(*_matrix_product())}
    for name, flop, operation in _largest(pipeline):
        found[name] = max(found.get(name, 0.0), _rate(flop, operation))
    return found


def _unet(pipeline: Any) -> Any:
    prompts = torch.zeros(2 * IMAGES, *_tokens(pipeline).shape[1:], _width(pipeline))
    return pipeline.unet(_latents(pipeline, 2 * IMAGES), torch.tensor(500), prompts)


def _latents(pipeline: Any, images: int) -> torch.Tensor:
    config = pipeline.unet.config
    return torch.zeros(images, config.in_channels, config.sample_size, config.sample_size)


def _tokens(pipeline: Any) -> torch.Tensor:
    """Return the tokens of a prompt and of the empty one, (2, L) int64."""
    length = pipeline.text_encoder.config.max_position_embeddings
    return torch.zeros(2, length, dtype=torch.int64)


def _width(pipeline: Any) -> int:
    return int(pipeline.unet.config.cross_attention_dim)


def _count(make: Callable[[], object]) -> int:
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        make()
    return counter.get_total_flops()


def _matrix_product() -> tuple[float, Operation]:
    left, right = torch.randn(_CUBE, _CUBE), torch.randn(_CUBE, _CUBE)
    return 2.0 * _CUBE**3, lambda: left @ right


def _largest(pipeline: Any) -> list[tuple[str, float, Operation]]:
    """Return the UNet's convolutions and linear layers with the most arithmetic, ready to call."""
    seen: dict[str, tuple[str, float, Operation]] = {}

    def note(layer: nn.Module, inputs: tuple[torch.Tensor, ...], output: torch.Tensor) -> None:
        one = _layer(layer, inputs[0], output)
        seen[one[0]] = one

    layers = [one for one in pipeline.unet.modules() if isinstance(one, (nn.Conv2d, nn.Linear))]
    hooks = [layer.register_forward_hook(note) for layer in layers]
    _unet(pipeline)
    for hook in hooks:
        hook.remove()
    by_size = sorted(seen.values(), key=lambda one: -one[1])
    kinds = ("convolution", "linear")
    return [one for kind in kinds for one in [one for one in by_size if kind in one[0]][:LARGEST]]


def _layer(
    layer: nn.Module, given: torch.Tensor, output: torch.Tensor
) -> tuple[str, float, Operation]:
    flop = 2.0 * output.numel()
    if isinstance(layer, nn.Linear):
        rows, weight = given.reshape(-1, layer.in_features).clone(), layer.weight
        name = f"linear {len(rows)}x{layer.in_features}x{layer.out_features}"
        return name, flop * layer.in_features, lambda: linear(rows, weight)
    if not isinstance(layer, nn.Conv2d):
        raise TypeError(f"{type(layer).__name__} is neither Linear nor Conv2d: leave it out")
    return _convolution(layer, given, flop)


def _convolution(
    layer: nn.Conv2d, given: torch.Tensor, flop: float
) -> tuple[str, float, Operation]:
    pictures = given.clone().contiguous(memory_format=torch.channels_last)
    weight = layer.weight.contiguous(memory_format=torch.channels_last)
    shape, kernel = ("x".join(map(str, sizes)) for sizes in (given.shape, layer.kernel_size))
    name = f"convolution {shape} to {layer.out_channels}, {kernel}"
    flop *= float(weight[0].numel())
    stride, padding = layer.stride, layer.padding
    return name, flop, lambda: conv2d(pictures, weight, None, stride, padding)


def _rate(flop: float, operation: Operation) -> float:
    """Return the rate of the quickest of many calls."""
    for _ in range(3):
        operation()
    quickest_s, until_s = float("inf"), time.perf_counter() + _SECONDS
    while time.perf_counter() < until_s:
        started_s = time.perf_counter()
        operation()
        quickest_s = min(quickest_s, time.perf_counter() - started_s)
    return round(flop / quickest_s / 1e9, 1)
