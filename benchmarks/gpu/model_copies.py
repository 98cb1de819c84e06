"""Stable Diffusion in float32, prepared or with random weights, and copies in any precision."""

import copy
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import StableDiffusionImg2ImgPipeline
from PIL import Image
from torch import Tensor
from transformers import CLIPTokenizer

from benchmarks.gpu.floor import TOKENS
from benchmarks.gpu.networks import full_size_networks, published_scheduler, tiny_networks
from benchmarks.gpu.workload import DTYPES, Precision, Workload
from benchmarks.paths import ROOT
from models.interfaces import ModelInfo, RGBPixels
from models.roles import DIFFUSION
from models.stable_diffusion.checkpoint import load_pipeline
from models.stable_diffusion.components import Components
from models.stable_diffusion.config import StableDiffusionConfig

_WEIGHTS = ROOT / "models" / "demo" / "weights"
# A network as it is initialised answers with little more than nothing, and whatever little the
# pictures showed would look alike: no comparison of pixels could fail.
_NOISE_STD, _PICTURE_STD = 1.0, 0.4


class ModelCopies:
    """Holds one set of weights in float32 and hands out copies in any precision."""

    def __init__(
        self, workload: Workload, device: torch.device, prepared: Path | None = None
    ) -> None:
        """Load prepared weights, or build networks with random ones, on the device.

        Random weights have some contrast in their pictures all the same; equal calls give equal
        weights on equal devices.
        """
        self.workload = workload
        self.device = device
        if prepared is not None:
            pipeline = _loaded(prepared, workload)
            self._unet, self._vae, self._text, self._tokenizer = (
                pipeline.unet.to(device),
                pipeline.vae.to(device),
                pipeline.text_encoder.to(device),
                pipeline.tokenizer,
            )
        else:
            torch.manual_seed(0)
            with device:
                networks = full_size_networks() if workload.name == "full" else tiny_networks()
            self._unet, self._vae, self._text = networks[:3]
            self._tokenizer = CLIPTokenizer.from_pretrained(
                _WEIGHTS / "stable_diffusion" / "tokenizer", model_max_length=TOKENS
            )
        for one in self._networks:
            one.eval().requires_grad_(False)
        if prepared is None:
            self._spread_out()

    @property
    def info(self) -> ModelInfo:
        """Describe the weights, as far as the sampler asks."""
        defaults = {"prompt": self.workload.parameters.prompt}
        return ModelInfo("stable-diffusion-v1-5", DIFFUSION, "", self.workload.image_px, defaults)

    def components(self, precision: Precision) -> Components:
        """Return a copy of all parts, the caller's own: tuning changes networks in place."""
        copies = (copy.deepcopy(one).to(DTYPES[precision]) for one in self._networks)
        unet, vae, text = copies
        return Components(vae, text, self._tokenizer, unet, published_scheduler())

    def pipeline(
        self, precision: Precision, safety_checker: Any = None, feature_extractor: Any = None
    ) -> Any:
        """Return diffusers' own pipeline over a copy of all parts, without its progress bar."""
        parts = self.components(precision)
        pipeline = StableDiffusionImg2ImgPipeline(
            vae=parts.vae,
            text_encoder=parts.text_encoder,
            tokenizer=parts.tokenizer,
            unet=parts.unet,
            scheduler=parts.scheduler,
            safety_checker=safety_checker,
            feature_extractor=feature_extractor,
            requires_safety_checker=safety_checker is not None,
        )
        pipeline.set_progress_bar_config(disable=True)
        return pipeline

    def weights_bytes(self, precision: Precision) -> int:
        """Return what one copy takes."""
        parameters = sum(one.numel() for net in self._networks for one in net.parameters())
        return parameters * DTYPES[precision].itemsize

    @property
    def _networks(self) -> tuple[Any, Any, Any]:
        return self._unet, self._vae, self._text

    @torch.inference_mode()
    def _spread_out(self) -> None:
        """Scale the last convolutions, so that predicted noise and pictures have a wide range."""
        side, width = self._unet.config.sample_size, self._unet.config.cross_attention_dim
        latents = torch.randn(1, 4, side, side, device=self.device)
        states = torch.randn(1, TOKENS, width, device=self.device)
        noise = self._unet(latents, torch.tensor(500), encoder_hidden_states=states).sample
        _scale(self._unet.conv_out, _NOISE_STD, noise)
        picture = self._vae.decode(latents / self._vae.config.scaling_factor).sample
        _scale(self._vae.decoder.conv_out, _PICTURE_STD, picture)


def _loaded(directory: Path, workload: Workload) -> Any:
    config = StableDiffusionConfig(
        str(directory), None, workload.image_px, "float32", "cpu", None, False
    )
    return load_pipeline(config)


def _scale(convolution: Any, wanted_std: float, output: Tensor) -> None:
    factor = wanted_std / output.std()
    convolution.weight.mul_(factor)
    convolution.bias.mul_(factor)


def face(side_px: int) -> RGBPixels:
    """Return the demo's sample face, (side_px, side_px, 3) uint8."""
    picture = Image.open(_WEIGHTS / "sample-face.png").convert("RGB")
    resized = picture.resize((side_px, side_px), Image.Resampling.LANCZOS)
    return np.ascontiguousarray(np.asarray(resized, dtype=np.uint8))
