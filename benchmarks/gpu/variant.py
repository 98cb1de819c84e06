"""The ways to make a set that are compared: diffusers' two, and ours with what it may turn."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

import numpy as np
import torch
from diffusers.models.autoencoders import vae
from diffusers.pipelines.stable_diffusion import pipeline_stable_diffusion_img2img
from diffusers.utils.torch_utils import randn_tensor
from PIL import Image
from torch.nn.attention import SDPBackend, sdpa_kernel

from benchmarks.gpu.model_copies import ModelCopies, face
from benchmarks.gpu.workload import Precision
from models.interfaces import RGBPixels, StepCallback, ignore_steps
from models.stable_diffusion.components import Components
from models.stable_diffusion.image_to_image import ImageToImageSampler
from models.stable_diffusion.tuning import CompileMode, Tuning, tuned

Kind = Literal["notebook", "diffusers", "ours"]
_OTHERS = [SDPBackend.FLASH_ATTENTION, SDPBackend.EFFICIENT_ATTENTION, SDPBackend.MATH]
PRIORITIES = {
    "cudnn first": [SDPBackend.CUDNN_ATTENTION, *_OTHERS],
    "without cudnn": _OTHERS,
}
"""Which attention may compute, the preferred one first; torch's own order depends on the card and
on cuDNN's version (from 9.15 on it prefers cuDNN on Hopper)."""


@dataclass(frozen=True)
class MadeImages:
    """One set, and what it took.

    Attributes:
        pixels: (N, S, S, 3) uint8 in [0, 255].
        unet_calls: forward passes of the UNet, counted.
        encoder_calls: forward passes of the VAE's encoder, counted.
    """

    pixels: RGBPixels
    unet_calls: int
    encoder_calls: int


Maker = Callable[[], MadeImages]


@dataclass(frozen=True)
class Variant:
    """One way to make a set.

    Attributes:
        kind: "notebook" is a call of diffusers' pipeline an image, "diffusers" one for all, "ours"
            the sampler that a replica runs.
        precision: of weights and computation.
        images: of a set; the workload's when absent.
        channels_last: ours only: convolutions see channels last in memory.
        compile: ours only: mode of torch.compile.
        attention: ours only: one of PRIORITIES for the UNet; torch's own choice when absent.
        repetitions: timed sets, where fewer will do than the workload says.
    """

    kind: Kind
    precision: Precision = "float16"
    images: int | None = None
    channels_last: bool = False
    compile: CompileMode | None = None
    attention: str | None = None
    repetitions: int | None = None

    def __post_init__(self) -> None:
        """Refuse what would be ignored in silence."""
        turned = self.channels_last or self.compile or self.attention
        if turned and self.kind != "ours":
            raise ValueError(f"kind is {self.kind!r}, as it is written: only 'ours' is tuned")
        if self.attention not in (None, *PRIORITIES):
            raise ValueError(f"attention is {self.attention!r}: use one of {', '.join(PRIORITIES)}")

    def resized(self, images: int) -> "Variant":
        """Return the same way to make a set of another size."""
        return replace(self, images=images)

    def facts(self) -> dict[str, Any]:
        """Return what JSON holds, and what `Variant(**facts)` takes."""
        return asdict(self)

    def maker(self, model: ModelCopies) -> Maker:
        """Build what makes a set; nothing is compiled before the first set."""
        seeds = range(self.images or model.workload.images)
        if self.kind == "ours":
            sampler = self.sampler(model)
            return lambda: sample(sampler, model, seeds)
        pipeline = model.pipeline(self.precision)
        return _notebook(pipeline, model, seeds) if self.kind == "notebook" else _batched(
            pipeline, model, seeds
        )  # fmt: skip

    def sampler(self, model: ModelCopies) -> ImageToImageSampler:
        """Build our sampler, tuned as this variant says."""
        return ImageToImageSampler(self.parts(model), model.info)

    def parts(self, model: ModelCopies) -> Components:
        """Build what our sampler is made of, tuned as this variant says."""
        images = self.images or model.workload.images
        tuning = Tuning(
            channels_last=self.channels_last, compile=self.compile, compiled_images=(images,)
        )
        parts = tuned(model.components(self.precision), tuning)
        if self.attention is not None:
            parts = replace(parts, unet=_WithAttention(parts.unet, PRIORITIES[self.attention]))
        return parts


class _WithAttention:
    """Stands for a UNet whose attention chooses by a priority list.

    The UNet's only: the VAE's one attention has heads of 512, which few backends take.
    """

    def __init__(self, unet: Any, priorities: Sequence[SDPBackend]) -> None:
        self._unet = unet
        self._priorities = list(priorities)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        with sdpa_kernel(self._priorities, set_priority=True):
            return self._unet(*args, **kwargs)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._unet, name)


class _Counted:
    """Counts forward passes of a pipeline's UNet and encoder."""

    def __init__(self, pipeline: Any) -> None:
        self.unet = self.encoder = 0
        pipeline.unet.register_forward_hook(self._count_unet)
        pipeline.vae.encoder.register_forward_hook(self._count_encoder)

    def _count_unet(self, *_: Any) -> None:
        self.unet += 1

    def _count_encoder(self, *_: Any) -> None:
        self.encoder += 1

    def made(self, images: Sequence[Image.Image]) -> MadeImages:
        """Return a set with what was counted, and count anew."""
        pixels = np.stack([np.asarray(one, dtype=np.uint8) for one in images])
        made = MadeImages(pixels, self.unet, self.encoder)
        self.unet = self.encoder = 0
        return made


def sample(
    sampler: ImageToImageSampler,
    model: ModelCopies,
    seeds: Sequence[int],
    on_step: StepCallback = ignore_steps,
) -> MadeImages:
    """Make a set of the sample face with our sampler."""
    workload = model.workload
    made = sampler.generate(face(workload.image_px), seeds, workload.parameters, on_step)
    return MadeImages(made.pixels, made.unet_calls, made.encoder_calls)


@contextmanager
def _noise_in_float32() -> Iterator[None]:
    """Let diffusers draw its noise as we do: in float32, rounded to the model's precision.

    In half precision torch before 2.14 draws another stream from the same seed, and pictures of
    other noise cannot be compared.
    """

    def draw(shape: Any, dtype: Any = None, **options: Any) -> torch.Tensor:
        noise: torch.Tensor = randn_tensor(shape, dtype=torch.float32, **options)
        return noise if dtype is None else noise.to(dtype)

    modules: tuple[Any, Any] = (pipeline_stable_diffusion_img2img, vae)
    for module in modules:
        module.randn_tensor = draw
    try:
        yield
    finally:
        for module in modules:
            module.randn_tensor = randn_tensor


def _batched(pipeline: Any, model: ModelCopies, seeds: Sequence[int]) -> Maker:
    counted = _Counted(pipeline)

    def make() -> MadeImages:
        generators = [torch.Generator("cpu").manual_seed(seed) for seed in seeds]
        arguments = _arguments(model) | {"num_images_per_prompt": len(seeds)}
        with _noise_in_float32():
            return counted.made(pipeline(**arguments, generator=generators).images)

    return make


def _notebook(pipeline: Any, model: ModelCopies, seeds: Sequence[int]) -> Maker:
    counted = _Counted(pipeline)

    def make() -> MadeImages:
        images = []
        for seed in seeds:
            generator = torch.Generator("cpu").manual_seed(seed)
            with _noise_in_float32():
                images += pipeline(**_arguments(model), generator=generator).images
        return counted.made(images)

    return make


def _arguments(model: ModelCopies) -> dict[str, Any]:
    return {
        **vars(model.workload.parameters),
        "image": Image.fromarray(face(model.workload.image_px)),
    }
