"""The demo's two models from any directory of weights, as they are served."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from models.celeba_vae.checkpoint import load_vae
from models.celeba_vae.sampler import CelebAVAESampler
from models.interfaces import RGBPixels
from models.parameters import ImageToImageParameters, VariationParameters
from models.stable_diffusion.checkpoint import load_stable_diffusion
from models.stable_diffusion.image_to_image import ImageToImageSampler


@dataclass(frozen=True)
class DemoModels:
    """Both models and what they make when a caller names nothing."""

    vae: CelebAVAESampler
    diffusion: ImageToImageSampler

    @classmethod
    def load(cls, weights: Path) -> "DemoModels":
        """Load them from a directory laid out as `models/demo/weights`."""
        vae = load_vae(
            weights=str(weights / "celeba_vae"),
            model_id="demo-vae",
            defaults=_defaults(weights / "celeba_vae"),
        )
        diffusion = load_stable_diffusion(
            weights=str(weights / "stable_diffusion"),
            revision=None,
            device="cpu",
            precision="float32",
            image_size_px=128,
            model_id="demo-diffusion",
            defaults=_defaults(weights / "stable_diffusion"),
        )
        if not isinstance(vae, CelebAVAESampler) or not isinstance(diffusion, ImageToImageSampler):
            raise TypeError("the demo's models run on the CPU")
        return cls(vae, diffusion)

    def variations(self, face: RGBPixels, seeds: list[int], **changes: Any) -> RGBPixels:
        """Make a set with the VAE, (N, 150, 150, 3) uint8."""
        parameters = VariationParameters(**{**self.vae.info.defaults, **changes})
        return self.vae.generate(face, seeds, parameters).pixels

    def diffused(self, face: RGBPixels, seeds: list[int], **changes: Any) -> RGBPixels:
        """Make a set with the diffusion model, (N, 128, 128, 3) uint8."""
        parameters = ImageToImageParameters(**{**self.diffusion.info.defaults, **changes})
        return self.diffusion.generate(face, seeds, parameters).pixels


def _defaults(directory: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((directory / "defaults.json").read_text())
    return found
