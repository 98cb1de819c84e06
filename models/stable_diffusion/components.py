"""The parts of a Stable Diffusion checkpoint that make an image, typed in one place."""

from dataclasses import dataclass
from typing import Any

import torch

from models.stable_diffusion.safety import SafetyChecker


@dataclass(frozen=True)
class Components:
    """diffusers' and transformers' own modules, as `from_pretrained` returns them.

    Attributes:
        vae: AutoencoderKL.
        text_encoder: CLIPTextModel.
        tokenizer: CLIPTokenizer.
        unet: UNet2DConditionModel.
        scheduler: any of diffusers' schedulers; never stepped itself, each set makes a copy.
        safety: judges the finished images; none where the checkpoint has none or it is off.
        compiled_unet: what to call in place of `unet`; none where nothing is compiled.
        compiled_decode: what to call in place of `vae.decode`, likewise.
    """

    vae: Any
    text_encoder: Any
    tokenizer: Any
    unet: Any
    scheduler: Any
    safety: SafetyChecker | None = None
    compiled_unet: Any = None
    compiled_decode: Any = None

    @property
    def denoise(self) -> Any:
        """The UNet as it is to be called."""
        return self.compiled_unet or self.unet

    @property
    def decode(self) -> Any:
        """The decoder of the VAE as it is to be called."""
        return self.compiled_decode or self.vae.decode

    @property
    def device(self) -> torch.device:
        """Where the UNet lives, and everything with it."""
        return torch.device(self.unet.device)

    @property
    def dtype(self) -> torch.dtype:
        """What the UNet computes in."""
        dtype = self.unet.dtype
        if not isinstance(dtype, torch.dtype):
            raise TypeError(f"the UNet's dtype is {dtype!r}, not a torch dtype")
        return dtype
