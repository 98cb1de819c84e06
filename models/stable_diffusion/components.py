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
    """

    vae: Any
    text_encoder: Any
    tokenizer: Any
    unet: Any
    scheduler: Any
    safety: SafetyChecker | None = None

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
