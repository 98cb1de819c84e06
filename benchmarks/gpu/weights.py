"""The weights that replicas load: prepared ones where there are any, else random ones on disk."""

import json
from pathlib import Path
from typing import Any

import torch
from transformers import CLIPImageProcessor

from benchmarks.gpu.model_copies import ModelCopies
from benchmarks.gpu.networks import flag_nothing, full_size_networks, tiny_safety_checker
from benchmarks.gpu.parts import CheckSetting, Tell
from models.celeba_vae.checkpoint import save_network
from models.celeba_vae.config import CelebAVAEConfig
from models.celeba_vae.network import CelebAVAE
from models.roles import DIFFUSION, FACTS, VAE
from models.weights_manifest import (
    MANIFEST_FILE,
    SOURCE_FILE,
    measure,
    write_manifest,
)

PREPARED = Path("~/.cache/twinset/weights")
"""Where `make weights` puts them."""


def run(setting: CheckSetting, tell: Tell) -> None:
    """Find prepared weights, or write random ones as a prepared directory is written."""
    directory = find(setting)
    if directory is None:
        tell("writes random weights")
        directory = setting.out / "weights"
        write_random(setting, directory)
    is_random = directory == setting.out / "weights"
    size_bytes = sum(one.stat().st_size for one in directory.rglob("*.safetensors"))
    tell(
        kind="random, as none are prepared here" if is_random else "prepared",
        directory=str(directory),
        gb_on_disk=size_bytes / 1e9,
    )


def find(setting: CheckSetting) -> Path | None:
    """Return the directory of weights for a setting, None where there is none yet."""
    random, prepared = setting.out / "weights", PREPARED.expanduser()
    usable = (random,) if setting.workload.name == "tiny" else (prepared, random)
    return next((one for one in usable if (one / MANIFEST_FILE).is_file()), None)


def of(setting: CheckSetting) -> Path:
    """Return the directory of weights for a setting.

    Raises:
        RuntimeError: there is none yet.
    """
    directory = find(setting)
    if directory is None:
        raise RuntimeError("there are no weights yet: run the part `weights` first")
    return directory


def model_of(setting: CheckSetting, tell: Tell) -> ModelCopies:
    """Return prepared weights of Stable Diffusion, or random ones built in place."""
    tell("loads the weights")
    directory = find(setting)
    if directory is None or directory == setting.out / "weights":
        return ModelCopies(setting.workload, setting.device)
    return ModelCopies(
        setting.workload, setting.device, directory / FACTS[DIFFUSION].weights_folder
    )


def write_random(setting: CheckSetting, directory: Path) -> None:
    """Write random weights of both models in the layout that `make weights` leaves behind."""
    if setting.workload.name == "tiny":
        checker, side = tiny_safety_checker(), 32
    else:
        checker, side = full_size_networks()[3], 224
        flag_nothing(checker)
    extractor = CLIPImageProcessor(
        size={"shortest_edge": side}, crop_size={"height": side, "width": side}
    )
    copies = ModelCopies(setting.workload, setting.device)
    diffusion = directory / FACTS[DIFFUSION].weights_folder
    pipeline = copies.pipeline("float16", checker.half(), extractor)
    pipeline.save_pretrained(diffusion, variant="fp16")
    (diffusion / SOURCE_FILE).write_text(json.dumps({"revision": "random"}))
    save_network(_random_vae(), directory / FACTS[VAE].weights_folder)
    write_manifest(directory, {**measure(directory, VAE), **measure(directory, DIFFUSION)})


@torch.inference_mode()
def _random_vae() -> CelebAVAE:
    """Return a VAE whose images differ from each other, as those of a trained one do."""
    torch.manual_seed(0)
    network = CelebAVAE(CelebAVAEConfig()).eval()
    side = network.config.feature_side_px
    features = network.decoder_input(torch.randn(8, network.config.latent_channels))
    last: Any = network.final_layer[3]
    before_sigmoid = network.final_layer[:4](network.decoder(features.view(8, -1, side, side)))
    factor = 1 / before_sigmoid.std(dim=0).mean()
    last.weight.mul_(factor)
    last.bias.sub_(before_sigmoid.mean(dim=(0, 2, 3))).mul_(factor)
    return network
