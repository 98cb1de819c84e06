"""Loads a CelebA VAE from a directory of ours: `config.json` beside `model.safetensors`."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from models.celeba_vae.config import CelebAVAEConfig
from models.celeba_vae.network import CelebAVAE
from models.celeba_vae.sampler import CelebAVAESampler
from models.devices import prepare_device
from models.interfaces import ModelInfo
from models.parameters import VariationParameters

CONFIG_FILE = "config.json"
WEIGHTS_FILE = "model.safetensors"


def save_network(network: CelebAVAE, directory: Path, dtype: torch.dtype = torch.float32) -> None:
    """Write a network as `directory/config.json` and `directory/model.safetensors`."""
    directory.mkdir(parents=True, exist_ok=True)
    config = json.dumps(asdict(network.config), indent=2) + "\n"
    (directory / CONFIG_FILE).write_text(config)
    save_file(
        {
            key: (value.to(dtype) if value.is_floating_point() else value).contiguous()
            for key, value in network.state_dict().items()
        },
        directory / WEIGHTS_FILE,
    )


def load_network(directory: Path) -> CelebAVAE:
    """Read a network in float32, in evaluation mode.

    Raises:
        FileNotFoundError: the directory lacks a file; the sentence says which and what to do.
        ValueError: the weights do not fit the configuration.
    """
    for name in (CONFIG_FILE, WEIGHTS_FILE):
        if not (directory / name).is_file():
            raise FileNotFoundError(
                f"the VAE's weights directory {directory} has no {name}: set `weights` to a "
                f"directory that holds {CONFIG_FILE} and {WEIGHTS_FILE}"
            )
    settings = json.loads((directory / CONFIG_FILE).read_text())
    settings["hidden_channels"] = tuple(settings["hidden_channels"])
    network = CelebAVAE(CelebAVAEConfig(**settings))
    try:
        network.load_state_dict(load_file(directory / WEIGHTS_FILE), strict=True)
    except RuntimeError as error:
        message = f"{directory / WEIGHTS_FILE} does not fit {CONFIG_FILE}: {error}"
        raise ValueError(message) from error
    return network.float().eval()


def load_vae(
    weights: str,
    device: str = "cpu",
    torch_threads: int | None = None,
    model_id: str = "celeba-vae",
    licence: str = "architecture BSD-3-Clause; CelebA is for non-commercial research only",
    defaults: Mapping[str, float] | None = None,
    **facts: Any,
) -> CelebAVAESampler:
    """Load the model that a VAE deployment serves: a model factory.

    Args:
        weights: directory with `config.json` and `model.safetensors`.
        device: "cpu", "cuda" or "cuda:N"; never replaced by another in silence.
        torch_threads: CPU threads for one operation; torch's own choice when absent.
        model_id: the id callers see.
        licence: of the weights.
        defaults: parameters used when a caller names none.
        **facts: further fields of `ModelInfo`.
    """
    target = prepare_device(device, torch_threads)
    directory = Path(weights).expanduser()
    network = load_network(directory).to(target)
    info = ModelInfo(
        id=model_id,
        role="vae",
        revision=weights_revision(directory),
        image_size_px=network.config.image_size_px,
        defaults=asdict(VariationParameters(**(defaults or {}))),
        licence=licence,
        device=str(target),
        **facts,
    )
    return CelebAVAESampler(network, info)


def weights_revision(directory: Path) -> str:
    """Return "sha256:..." of the weights file, which tells these weights from all others."""
    digest = hashlib.sha256((directory / WEIGHTS_FILE).read_bytes()).hexdigest()
    return f"sha256:{digest}"
