"""Model factories of the embedded demo weights: the published models' loaders, small weights."""

import json
from pathlib import Path
from typing import Any

from models.celeba_vae.checkpoint import load_vae
from models.celeba_vae.sampler import CelebAVAESampler
from models.gpu import SharedGPUModel
from models.stable_diffusion.checkpoint import load_stable_diffusion
from models.stable_diffusion.image_to_image import ImageToImageSampler

WEIGHTS = Path(__file__).parent / "weights"
SAMPLE_FACE = WEIGHTS / "sample-face.png"
LICENCE = "Apache-2.0"
NOTE = (
    "demo weights, trained from scratch on rendered faces: a real photograph comes back as a "
    "waxy avatar"
)


def load_demo_vae(
    device: str = "cpu", torch_threads: int | None = None, gpu_share: float | None = None
) -> CelebAVAESampler | SharedGPUModel:
    """Load the embedded VAE, 150 px: a model factory."""
    directory = WEIGHTS / "celeba_vae"
    return load_vae(
        weights=str(directory),
        device=device,
        torch_threads=torch_threads,
        gpu_share=gpu_share,
        model_id="demo-vae",
        licence=LICENCE,
        defaults=_defaults(directory),
        demo=True,
        note=NOTE,
    )


def load_demo_diffusion(
    device: str = "cpu",
    torch_threads: int | None = None,
    scheduler: str | None = None,
    gpu_share: float | None = None,
    **tuning: Any,
) -> ImageToImageSampler | SharedGPUModel:
    """Load the embedded latent diffusion model, 128 px: a model factory.

    `tuning` are the options of `load_stable_diffusion` about layout and compilation.
    """
    directory = WEIGHTS / "stable_diffusion"
    return load_stable_diffusion(
        weights=str(directory),
        revision=None,
        device=device,
        precision="float32",
        image_size_px=128,
        scheduler=scheduler,
        torch_threads=torch_threads,
        gpu_share=gpu_share,
        model_id="demo-diffusion",
        licence=LICENCE,
        defaults=_defaults(directory),
        demo=True,
        note=NOTE,
        **tuning,
    )


def _defaults(directory: Path) -> dict[str, Any]:
    defaults = json.loads((directory / "defaults.json").read_text())
    if not isinstance(defaults, dict):
        raise ValueError(f"{directory / 'defaults.json'} is not a JSON object")
    return defaults
