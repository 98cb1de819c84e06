"""Full-size published models with random weights on a real card, each in its share of it.

    python -m benchmarks.gpu_measured stable-diffusion-v1-5 --share 0.45 --precision float16

Claims the share, loads, warms up, then makes sets for `--seconds`, and prints one JSON line: the
limit, the peak, the sets made, their median time, and what became of a set that is too large.
Run several at the same time to see that they do not disturb each other (tests/gpu does).
"""

import argparse
import json
import subprocess
import sys
import time
from statistics import median
from typing import Any

import numpy as np
import torch
from transformers import CLIPImageProcessor, CLIPTokenizer

from benchmarks.gpu_memory import PRECISIONS, Peak
from benchmarks.gpu_speed.networks import full_size_networks, published_scheduler
from models.celeba_vae.config import CelebAVAEConfig
from models.celeba_vae.network import CelebAVAE
from models.celeba_vae.sampler import CelebAVAESampler
from models.cuda_context import GIB
from models.demo.factory import WEIGHTS
from models.devices import prepare_device
from models.gpu import SharedGPUModel, claim, fitted, largest_parameters
from models.gpu_errors import is_out_of_memory
from models.interfaces import DeviceMemoryError, ModelInfo
from models.stable_diffusion.components import Components
from models.stable_diffusion.image_to_image import ImageToImageSampler
from models.stable_diffusion.safety import SafetyChecker

MODELS = ("celeba-vae", "stable-diffusion-v1-5")
TOO_MANY_IMAGES = 400


def build(model: str, precision: str, share: float) -> tuple[SharedGPUModel, float]:
    """Load a full-size model with random weights into its share of the card, and warm it up.

    Returns:
        The model, and the GiB that its weights take.

    Raises:
        DeviceMemoryError: it does not fit.
        ValueError: the share leaves nothing beside CUDA's own memory.
    """
    device = prepare_device("cuda")
    memory = claim(device, share)
    try:
        sampler = _vae(device) if model == "celeba-vae" else _stable_diffusion(device, precision)
    except RuntimeError as error:
        if memory is None or not is_out_of_memory(error):
            raise
        raise DeviceMemoryError(
            f"the weights of {model} do not fit, {memory.allowance}: set num_gpus higher"
        ) from None
    weights_gib = torch.cuda.memory_allocated(device) / GIB
    shared = fitted(sampler, memory)
    if not isinstance(shared, SharedGPUModel):
        raise TypeError("a model on a GPU must know its memory")
    return shared, weights_gib


def run(
    model: str, precision: str, share: float, seconds: float, too_large: bool
) -> dict[str, Any]:
    """Make sets of ten for some seconds and say what happened."""
    shared, weights_gib = build(model, precision, share)
    face = np.full((512, 512, 3), 128, dtype=np.uint8)
    parameters = largest_parameters(shared.info)
    facts: dict[str, Any] = {
        "model": model,
        "precision": precision,
        "share": share,
        "weights_gib": round(weights_gib, 2),
        "limit_gib": shared.info.gpu_memory_limit_gib,
        "peak_gib": shared.info.gpu_memory_peak_gib,
        "card": torch.cuda.get_device_name(),
    }
    if too_large:
        try:
            shared.generate(face, range(TOO_MANY_IMAGES), parameters)
            facts["too_large"] = "made"
        except DeviceMemoryError as error:
            facts["too_large"] = str(error)
    taken: list[float] = []
    end = time.monotonic() + seconds
    while time.monotonic() < end or not taken:
        started = time.monotonic()
        made = shared.generate(face, range(10), parameters)
        taken.append(time.monotonic() - started)
        if made.pixels.shape[0] != 10:
            raise RuntimeError(f"{made.pixels.shape[0]} images were made of 10")
    facts.update(sets=len(taken), median_s=round(median(taken), 4))
    facts["reserved_gib"] = round(torch.cuda.max_memory_reserved() / GIB, 2)
    return facts


def measured_peaks() -> list[Peak]:
    """Measure every model in every precision, each in a process of its own with the whole card."""
    peaks = []
    for model in MODELS:
        for precision in PRECISIONS if model != "celeba-vae" else ("float32",):
            command = [sys.executable, "-m", "benchmarks.gpu_measured", model, "--share", "1"]
            done = subprocess.run(
                [*command, "--precision", precision, "--seconds", "0"],
                capture_output=True,
                text=True,
                check=True,
            )
            facts = json.loads(done.stdout.splitlines()[-1])
            kind = f"measured on {facts['card']}"
            peaks.append(Peak(model, precision, facts["weights_gib"], facts["peak_gib"], kind))
    return peaks


def _vae(device: torch.device) -> CelebAVAESampler:
    network = CelebAVAE(CelebAVAEConfig()).to(device)
    defaults = {"diversity_factor": 7.0}
    return CelebAVAESampler(network, ModelInfo("celeba-vae", "vae", "random", 150, defaults))


def _stable_diffusion(device: torch.device, precision: str) -> ImageToImageSampler:
    torch.set_default_dtype(PRECISIONS[precision])
    try:
        with device:
            unet, vae, text, checker = (one.eval() for one in full_size_networks())
    finally:
        torch.set_default_dtype(torch.float32)
    components = Components(
        vae=vae,
        text_encoder=text,
        tokenizer=CLIPTokenizer.from_pretrained(WEIGHTS / "stable_diffusion" / "tokenizer"),
        unet=unet,
        scheduler=published_scheduler(),
        safety=SafetyChecker(checker, CLIPImageProcessor()),
    )
    defaults = {"prompt": "a face"}
    info = ModelInfo("stable-diffusion-v1-5", "stable_diffusion", "random", 512, defaults)
    return ImageToImageSampler(components, info)


def main() -> int:
    """Parse the command line and run one model."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", choices=MODELS)
    parser.add_argument("--share", type=float, required=True, help="of the card, 0 to 1")
    parser.add_argument("--precision", choices=list(PRECISIONS), default="float16")
    parser.add_argument("--seconds", type=float, default=10.0, help="for which sets are made")
    parser.add_argument("--too-large", action="store_true", help="first ask for far too many")
    arguments = parser.parse_args()
    if not torch.cuda.is_available():
        sys.stderr.write("twinset: torch sees no GPU here\n")
        return 1
    try:
        facts = run(
            arguments.model,
            arguments.precision,
            arguments.share,
            arguments.seconds,
            arguments.too_large,
        )
    except (DeviceMemoryError, ValueError) as error:
        sys.stderr.write(f"twinset: {error}\n")
        return 1
    sys.stdout.write(json.dumps(facts) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
