"""A card that is shared: a model keeps to its share, and shows that it fits before it serves.

Fractions of a GPU only place replicas; nothing stops one of them from taking the whole card. Here
each process bounds its own allocator (`torch.cuda.set_per_process_memory_fraction`), makes the
largest set that it accepts once, and refuses to start with a sentence if that does not fit.
"""

import logging
import math
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol, TypeVar

import numpy as np
import torch

from models.cuda_context import GIB, context_bytes
from models.devices import with_index
from models.gpu_errors import is_device_lost, is_out_of_memory
from models.interfaces import (
    DeviceLostError,
    DeviceMemoryError,
    GeneratedSet,
    ModelInfo,
    RGBPixels,
    StepCallback,
    ignore_steps,
)
from models.parameters import Parameters
from models.roles import FACTS
from models.seeds import MAX_IMAGES

KERNEL_BYTES = int(0.25 * GIB)
"""Kernels and workspaces that cuBLAS and cuDNN load later, outside of torch's allocator."""
_OTHER_SIZES = (1, MAX_IMAGES // 2)
"""Sets that are asked for most beside the largest: one image, and half of a set that is cut in two;
the first one of a size may wait for its kernels."""
_LOGGER = logging.getLogger(__name__)


class _Model(Protocol):
    """Either role; `parameters` are those of its own."""

    @property
    def info(self) -> ModelInfo: ...

    def generate(
        self,
        image: RGBPixels,
        seeds: Sequence[int],
        parameters: Any,
        on_step: StepCallback = ignore_steps,
    ) -> GeneratedSet: ...


ModelT = TypeVar("ModelT", bound=_Model)


@dataclass(frozen=True)
class MemoryShare:
    """What one process may take of a card.

    Attributes:
        share: of the card, in (0, 1].
        total_bytes: of the card.
        outside_bytes: what the process takes outside of torch's allocator: context and kernels.
        device: the card; the current one when None.
        card: the uuid of the card, empty where torch does not say it.
    """

    share: float
    total_bytes: int
    outside_bytes: int
    device: torch.device | None = None
    card: str = ""

    def __post_init__(self) -> None:
        """Refuse shares that leave nothing."""
        if not 0 < self.share <= 1:
            raise ValueError(f"the share of a GPU is {self.share}: set num_gpus between 0 and 1")
        if self.limit_bytes <= 0:
            raise ValueError(
                f"a share of {self.share:g} of this card is {self.share_bytes / GIB:.2f} GiB, less "
                f"than the {self.outside_bytes / GIB:.2f} GiB that CUDA itself takes: set num_gpus "
                f"to at least {self.share_for(0):g}"
            )

    @property
    def share_bytes(self) -> int:
        """The process's share of the card."""
        return int(self.share * self.total_bytes)

    @property
    def limit_bytes(self) -> int:
        """What torch's allocator may take: the share less what lies outside of it."""
        return self.share_bytes - self.outside_bytes

    def share_for(self, allocated_bytes: int) -> float:
        """Return the share that holds so much in torch's allocator, rounded up to hundredths."""
        return math.ceil(100 * (allocated_bytes + self.outside_bytes) / self.total_bytes) / 100

    @property
    def allowance(self) -> str:
        """What may be allocated, in words."""
        return f"its share of {self.share:g} allows {self.limit_bytes / GIB:.2f} GiB"

    def advice(self, allocated_bytes: int) -> str:
        """Return what to set so that so much fits, in words."""
        share = self.share_for(allocated_bytes)
        return f"set num_gpus to at least {share:g}" if share <= 1 else "take a larger card"


def claim(device: torch.device, share: float | None) -> MemoryShare | None:
    """Bound this process's memory to its share of a card; None on other devices.

    Args:
        device: where the model will live; call this before anything is loaded there.
        share: of the card; the whole card when None.

    Raises:
        ValueError: the share is no share, or leaves nothing beside the CUDA context.
    """
    if device.type != "cuda":
        return None
    device = with_index(device)  # torch bounds no memory of a device without one
    properties = torch.cuda.get_device_properties(device)
    card = str(getattr(properties, "uuid", ""))
    context = context_bytes(device, card)
    outside_bytes = context + KERNEL_BYTES
    memory = MemoryShare(share or 1.0, properties.total_memory, outside_bytes, device, card)
    torch.cuda.set_per_process_memory_fraction(memory.limit_bytes / memory.total_bytes, device)
    _LOGGER.info(
        "GPU memory: share %.2f of %.1f GiB, context %.2f GiB, limit %.2f GiB",
        memory.share,
        memory.total_bytes / GIB,
        context / GIB,
        memory.limit_bytes / GIB,
    )
    return memory


def place(
    networks: Iterable[torch.nn.Module],
    device: torch.device,
    memory: MemoryShare | None,
    model_id: str,
) -> None:
    """Move a model's networks from the CPU to its device.

    Args:
        networks: loaded on the CPU.
        device: where they will live.
        memory: the process's share of a card, as `claim` returns it.
        model_id: for the sentence.

    Raises:
        DeviceMemoryError: they do not fit; the sentence says what they need and what to set.
    """
    moved = list(networks)
    needed = sum(_weight_bytes(one) for one in moved)
    try:
        for network in moved:
            network.to(device)
        return
    except RuntimeError as error:
        if memory is None or not is_out_of_memory(error):
            raise
    torch.cuda.empty_cache()
    raise DeviceMemoryError(
        f"the weights of {model_id} alone need {needed / GIB:.2f} GiB, {memory.allowance}: "
        f"{memory.advice(needed)}, or a lower precision; docs/gpu.md has what a set needs beside"
    )


def _weight_bytes(network: torch.nn.Module) -> int:
    tensors = [*network.parameters(), *network.buffers()]
    return sum(one.numel() * one.element_size() for one in tensors)


def fitted(model: ModelT, memory: MemoryShare | None) -> "ModelT | SharedGPUModel":
    """Make the largest set once and return the model with its peak known; as it is without a GPU.

    Raises:
        DeviceMemoryError: it does not fit; the sentence says what it needs and what to set.
    """
    if memory is None:
        return model
    started = time.monotonic()
    peak_bytes = _warm_up(model, memory)
    _LOGGER.info("warmed up in %.1f s, peak %.2f GiB", time.monotonic() - started, peak_bytes / GIB)
    for images in _OTHER_SIZES:
        started = time.monotonic()
        _peak_bytes(model, images, memory.device)
        _LOGGER.info("warmed up for %d images in %.1f s", images, time.monotonic() - started)
    info = replace(
        model.info,
        gpu_memory_limit_gib=round(memory.share_bytes / GIB, 2),
        gpu_memory_peak_gib=round((peak_bytes + memory.outside_bytes) / GIB, 2),
    )
    return SharedGPUModel(model, info, memory.card)


class SharedGPUModel:
    """A model on a GPU that lives on when a set did not fit into memory.

    Other errors of the device are told from errors of the model: after an illegal access, an
    uncorrectable memory error or a card that fell off its bus, the CUDA context of a process stays
    dead, and every further call fails within milliseconds.
    """

    def __init__(self, model: _Model, info: ModelInfo, card: str = "") -> None:
        """Take a model, what it is known to take, and the uuid of the card that it is on."""
        self._model = model
        self._info = info
        self.card = card

    @property
    def info(self) -> ModelInfo:
        """Describe the loaded weights and their memory."""
        return self._info

    def generate(
        self,
        image: RGBPixels,
        seeds: Sequence[int],
        parameters: Parameters,
        on_step: StepCallback = ignore_steps,
    ) -> GeneratedSet:
        """Make a set as the model does.

        Raises:
            DeviceMemoryError: it did not fit; the memory is given back.
            DeviceLostError: the CUDA context is dead; only a new process can go on.
        """
        try:
            return self._model.generate(image, seeds, parameters, on_step)
        except RuntimeError as error:
            if not is_out_of_memory(error):
                if is_device_lost(error):
                    reason = str(error).partition("\n")[0]
                    raise DeviceLostError(f"the GPU failed: {reason}") from error
                raise
        # Here the frames of the failed set are gone, and with them the tensors that they held.
        torch.cuda.empty_cache()
        raise DeviceMemoryError(f"{len(seeds)} images do not fit into the GPU's memory")


def _warm_up(model: _Model, memory: MemoryShare) -> int:
    peak_bytes = _peak_bytes(model, MAX_IMAGES, memory.device)
    if peak_bytes is not None:
        return peak_bytes
    small, larger = (_peak_bytes(model, images, memory.device) for images in (1, 2))
    if small is None or larger is None:
        raise DeviceMemoryError(
            f"{model.info.id} does not fit into the GPU's memory even for one image: "
            f"{memory.allowance}; raise num_gpus, or set a lower precision"
        )
    needed = needed_bytes(small, larger, MAX_IMAGES)
    raise DeviceMemoryError(
        f"{model.info.id} needs about {needed / GIB:.1f} GiB for {MAX_IMAGES} images, "
        f"{memory.allowance}: {memory.advice(needed)}, or a lower precision"
    )


def needed_bytes(one_image: int, two_images: int, images: int) -> int:
    """Extrapolate the peak of a batch from those of one and two images; it grows by the image."""
    return one_image + (images - 1) * max(0, two_images - one_image)


def _peak_bytes(model: _Model, images: int, device: torch.device | None) -> int | None:
    """Make a set of so many images and return the peak of torch's allocator; None if too much."""
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats(device)
    grey = np.full((64, 64, 3), 128, dtype=np.uint8)
    try:
        if prepare := getattr(model, "prepare", None):
            prepare()
        model.generate(grey, range(images), FACTS[model.info.role].largest(model.info.defaults))
        return torch.cuda.max_memory_reserved(device)
    except RuntimeError as error:
        if not is_out_of_memory(error):
            raise
    torch.cuda.empty_cache()
    return None
