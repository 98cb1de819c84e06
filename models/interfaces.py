"""What a deployment needs of a model: small protocols, with the shapes in their docstrings."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from models.parameters import ImageToImageParameters, VariationParameters
from models.roles import Role

RGBPixels = NDArray[np.uint8]
"""(H, W, 3) or (N, H, W, 3) uint8 in [0, 255], sRGB, C-contiguous."""

StepCallback = Callable[[int, int], None]
"""Called as `on_step(step, total)` after each step, 1-based; it may raise to abort the set."""


def ignore_steps(step: int, total: int) -> None:
    """Do nothing: the step callback of a caller who neither watches nor aborts."""


class DeviceMemoryError(RuntimeError):
    """A model ran out of its device's memory; it has let go of what it held and lives on."""


class DeviceLostError(RuntimeError):
    """A model's device is of no use to this process any more: every further call would fail."""


@dataclass(frozen=True)
class ModelInfo:
    """What a model says of itself; everything here may be shown to callers.

    Attributes:
        id: the true id of the weights, such as "demo-vae".
        role: which of the two sets it makes.
        revision: what tells these weights from others: a commit, or "sha256:..." of the files.
        image_size_px: side of the square images it makes.
        defaults: the parameters it is served with when a caller names none.
        licence: of the weights, with its restrictions in short.
        device: where it runs, as torch names it, or "simulated".
        precision: "float32", "float16" or "bfloat16".
        scheduler: class of diffusers' that leads the steps; empty where there are none.
        safety_checker: its images are judged, and those that are flagged withheld.
        gpu_memory_limit_gib: what a replica may take of its card; None without one or a share.
        gpu_memory_peak_gib: what it took at its largest request, when it warmed up.
        compiled_images: sizes of sets that run compiled; empty where nothing is compiled.
        demo: made for trying Twinset out, not for good pictures.
        simulated: costs time, shows nothing.
        note: one sentence that a caller should read, or an empty string.
    """

    id: str
    role: Role
    revision: str
    image_size_px: int
    defaults: Mapping[str, float | int | str]
    licence: str = ""
    device: str = "cpu"
    precision: str = "float32"
    scheduler: str = ""
    safety_checker: bool = False
    gpu_memory_limit_gib: float | None = None
    gpu_memory_peak_gib: float | None = None
    compiled_images: tuple[int, ...] = ()
    demo: bool = False
    simulated: bool = False
    note: str = ""


@dataclass(frozen=True)
class GeneratedSet:
    """One set, image k made from seed k.

    Attributes:
        pixels: (N, S, S, 3) uint8 in [0, 255].
        encoder_calls: forward passes of the model's image encoder, counted.
        unet_calls: forward passes of the UNet, counted, each over the whole batch.
        notes: sentences a caller should know of, such as a prompt that was cut.
        filtered: indices of images that a safety checker withholds, in order. They keep their
            place in `pixels` and are all black (0) there, never what was flagged.
    """

    pixels: RGBPixels
    encoder_calls: int = 1
    unet_calls: int = 0
    notes: Sequence[str] = field(default_factory=tuple)
    filtered: Sequence[int] = ()


def joined(parts: Sequence[GeneratedSet], note: str) -> GeneratedSet:
    """Return one set of all images of `parts`, in order; passes are summed, `note` comes last."""
    starts = np.cumsum([0, *(len(part.pixels) for part in parts)])
    notes = dict.fromkeys(one for part in parts for one in part.notes)
    return GeneratedSet(
        pixels=np.concatenate([part.pixels for part in parts]),
        encoder_calls=sum(part.encoder_calls for part in parts),
        unet_calls=sum(part.unet_calls for part in parts),
        notes=(*notes, note),
        filtered=[
            int(start) + index
            for start, part in zip(starts, parts, strict=False)
            for index in part.filtered
        ],
    )


class VariationModel(Protocol):
    """Makes a set by varying a face in its own latent space: the VAE's role."""

    @property
    def info(self) -> ModelInfo:
        """Describe the loaded weights."""
        ...

    def generate(
        self,
        image: RGBPixels,
        seeds: Sequence[int],
        parameters: VariationParameters,
        on_step: StepCallback = ignore_steps,
    ) -> GeneratedSet:
        """Make `len(seeds)` images of `image`, (S, S, 3) uint8; image k depends on seeds[k] alone.

        Not thread-safe: one thread owns the model.
        """
        ...


class ImageToImageModel(Protocol):
    """Makes a set by noising a face and denoising it towards a prompt: Stable Diffusion's role."""

    @property
    def info(self) -> ModelInfo:
        """Describe the loaded weights."""
        ...

    def generate(
        self,
        image: RGBPixels,
        seeds: Sequence[int],
        parameters: ImageToImageParameters,
        on_step: StepCallback = ignore_steps,
    ) -> GeneratedSet:
        """Make `len(seeds)` images of `image`, (S, S, 3) uint8; image k depends on seeds[k] alone.

        Not thread-safe: one thread owns the model.
        """
        ...
