"""How loaded components are laid out and compiled for a device; the pixels stay the same."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, get_args

import torch

from models.seeds import MAX_IMAGES
from models.stable_diffusion.compilation import compiled_decode, compiled_unet
from models.stable_diffusion.components import Components
from models.stable_diffusion.linear import use_convolutions

CompileMode = Literal["default", "reduce-overhead", "max-autotune", "max-autotune-no-cudagraphs"]
# torch compiles no more forms of one function (torch._dynamo.config.recompile_limit).
_MAX_SIZES = 8


@dataclass(frozen=True)
class Tuning:
    """What is done to components once, before they serve.

    Attributes:
        channels_last: UNet and VAE keep the channels of a pixel side by side in memory.
        linear_as_convolution: the UNet's linear layers run as 1x1 convolutions; for CPUs.
        compile: mode of `torch.compile` for UNet and decoder; nothing is compiled when absent.
            The modes with CUDA graphs ("reduce-overhead", "max-autotune") are not thread-safe:
            one thread compiles the model and runs it.
        compiled_images: sizes of guided sets that run compiled; all others run as they are.
    """

    channels_last: bool = False
    linear_as_convolution: bool = False
    compile: CompileMode | None = None
    compiled_images: tuple[int, ...] = (10,)

    def __post_init__(self) -> None:
        """Refuse what cannot work, naming the value and the fix."""
        for name in ("channels_last", "linear_as_convolution"):
            if not isinstance(getattr(self, name), bool):
                raise ValueError(f"{name} is {getattr(self, name)!r}: use true or false")
        modes = get_args(CompileMode)
        if self.compile is not None and self.compile not in modes:
            raise ValueError(f"compile is {self.compile!r}: use one of {', '.join(modes)}, or null")
        if not all(_is_size(images) for images in self.compiled_images):
            raise ValueError(
                f"compiled_images is {list(self.compiled_images)}: list whole numbers from 1 to "
                f"{MAX_IMAGES}, such as [5, 10]"
            )
        if not 1 <= len(set(self.compiled_images)) <= _MAX_SIZES:
            raise ValueError(
                f"compiled_images has {len(set(self.compiled_images))} sizes: list 1 to "
                f"{_MAX_SIZES} of them, or set compile to null"
            )


def _is_size(images: object) -> bool:
    return isinstance(images, int) and not isinstance(images, bool) and 1 <= images <= MAX_IMAGES


def default_tuning(device: torch.device, dtype: torch.dtype = torch.float32) -> Tuning:
    """Return what pays on a device without compiling; measured for float32 on CPUs alone."""
    if device.type == "cpu" and dtype == torch.float32:
        return Tuning(channels_last=True, linear_as_convolution=True)
    return Tuning()


def chosen_tuning(
    default: Tuning,
    channels_last: bool | None,
    compile: CompileMode | None,
    compiled_images: Sequence[int],
) -> Tuning:
    """Return a device's tuning with what a config says about it; None keeps the default."""
    last = default.channels_last if channels_last is None else channels_last
    return Tuning(
        channels_last=last,
        # In the other layout a 1x1 convolution would have to move every pixel first.
        linear_as_convolution=default.linear_as_convolution and last,
        compile=compile,
        compiled_images=tuple(sorted(set(compiled_images))),
    )


def tuned(components: Components, tuning: Tuning) -> Components:
    """Return components tuned for their device.

    Their modules are changed in place, and keep their names, parameters, dtype and device. What is
    to be compiled is compiled by the first call of its size.
    """
    layout = torch.channels_last if tuning.channels_last else torch.contiguous_format
    if tuning.channels_last:
        components.unet.to(memory_format=layout)
        components.vae.to(memory_format=layout)
    if tuning.linear_as_convolution:
        use_convolutions(components.unet)
    if tuning.compile is None:
        return components
    mode, images = tuning.compile, tuning.compiled_images
    return replace(
        components,
        compiled_unet=compiled_unet(components.unet, mode, images, layout),
        compiled_decode=compiled_decode(components.vae, mode, images, layout),
    )
