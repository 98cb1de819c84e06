"""Loads a CelebA VAE from a directory of ours, or from a checkpoint file of the published shape.

A directory holds `config.json` beside `model.safetensors`, and may hold `source.json`, which says
where the weights came from. Nothing here needs the network: `published.py` is what fetches.
"""

import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from models.celeba_vae.config import CelebAVAEConfig
from models.celeba_vae.network import CelebAVAE
from models.celeba_vae.pickled import read_state_dict
from models.celeba_vae.sampler import CelebAVAESampler
from models.devices import prepare_device
from models.gpu import SharedGPUModel, claim, fitted, place
from models.interfaces import ModelInfo
from models.parameters import VariationParameters
from models.roles import VAE
from models.weights_manifest import SOURCE_FILE, checked_directory, sha256_of

CONFIG_FILE = "config.json"
WEIGHTS_FILE = "model.safetensors"
MODEL_ID = "celeba-vae"
LICENCE = "BSD-3-Clause; trained on CelebA, which is for non-commercial research only"
_FIX = (
    "run `make weights` to fetch the published model, or set `weights` to a directory that holds "
    f"{CONFIG_FILE} and {WEIGHTS_FILE}, or to a checkpoint file"
)


@dataclass(frozen=True)
class Source:
    """Where weights came from.

    Attributes:
        revision: what the publisher calls them, such as "git:..." of a file in a repository.
        sha256: of the weights file that was made of it, 64 hexadecimal digits.
    """

    revision: str
    sha256: str


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
    # safetensors lets nobody but the writer read; a replica may be another user.
    shutil.copymode(directory / CONFIG_FILE, directory / WEIGHTS_FILE)


def load_network(directory: Path) -> CelebAVAE:
    """Read a network in float32, in evaluation mode.

    Raises:
        FileNotFoundError: the directory lacks a file; the sentence says which and what to do.
        ValueError: a file is damaged, or the weights do not fit the configuration.
    """
    for name in (CONFIG_FILE, WEIGHTS_FILE):
        if not (directory / name).is_file():
            raise FileNotFoundError(
                f"the VAE's weights directory {directory} has no {name}: {_FIX}"
            )
    return _network(directory / WEIGHTS_FILE, _read_config(directory / CONFIG_FILE))


def read_network(weights: Path) -> CelebAVAE:
    """Read a network in float32, in evaluation mode, from a directory or a file.

    Args:
        weights: directory as `load_network` reads it, or a file of the published shape: the whole
            module or its state dict as `torch.save` writes them, or safetensors.

    Raises:
        FileNotFoundError: there is nothing at `weights`, or a file is missing there.
        ValueError: a file is damaged, asks for foreign code, or does not fit.
    """
    if weights.is_file():
        return _network(weights, CelebAVAEConfig())
    if not weights.exists():
        raise FileNotFoundError(f"weights is {str(weights)!r}, where nothing is: {_FIX}")
    return load_network(weights)


def load_vae(
    weights: str | None = None,
    weights_dir: str | None = None,
    device: str = "cpu",
    torch_threads: int | None = None,
    model_id: str = MODEL_ID,
    licence: str = LICENCE,
    defaults: Mapping[str, float] | None = None,
    gpu_share: float | None = None,
    **facts: Any,
) -> CelebAVAESampler | SharedGPUModel:
    """Load the model that a VAE deployment serves: a model factory.

    Args:
        weights: directory with `config.json` and `model.safetensors`, or a checkpoint file of the
            published shape (see `read_network`); never fetched from anywhere.
        weights_dir: directory that `make weights` prepared, in place of `weights`; its files are
            checked against its manifest.
        device: "cpu", "cuda" or "cuda:N"; never replaced by another in silence.
        torch_threads: CPU threads for one operation; torch's own choice when absent.
        model_id: the id callers see.
        licence: of the weights.
        defaults: parameters used when a caller names none.
        gpu_share: of a GPU, that this process keeps to; the whole one when absent.
        **facts: further fields of `ModelInfo`.

    Raises:
        FileNotFoundError: the weights are not there; the sentence says how to get them.
        ValueError: they are damaged or do not fit, or not one of the two is given.
        RuntimeError: `device` names a GPU and there is none, or the model does not fit into its
            share; `WeightsError`, where `weights_dir` is not whole, is one, too.
    """
    path = _path_of(weights, weights_dir)
    target = prepare_device(device, torch_threads)
    memory = claim(target, gpu_share)
    network = read_network(path)
    place([network], target, memory, model_id)
    info = ModelInfo(
        id=model_id,
        role=VAE,
        revision=weights_revision(path),
        image_size_px=network.config.image_size_px,
        defaults=asdict(VariationParameters(**(defaults or {}))),
        licence=licence,
        device=str(target),
        **facts,
    )
    return fitted(CelebAVAESampler(network, info), memory)


def _path_of(weights: str | None, weights_dir: str | None) -> Path:
    if (weights is None) == (weights_dir is None):
        raise ValueError(
            f"weights is {weights!r} and weights_dir is {weights_dir!r}: give one of the two; "
            "`make weights` prepares a directory"
        )
    if weights_dir is not None:
        return checked_directory(weights_dir, VAE)
    return Path(str(weights)).expanduser()


def weights_revision(weights: Path) -> str:
    """Return what tells these weights from all others.

    Args:
        weights: directory or file, as for `read_network`.

    Returns:
        The revision that a directory's `source.json` gives, or "sha256:..." of the weights file.

    Raises:
        ValueError: `source.json` speaks of other weights, or cannot be read.
    """
    if weights.is_file():
        return f"sha256:{sha256_of(weights)}"
    source = read_source(weights)
    return source.revision if source else f"sha256:{sha256_of(weights / WEIGHTS_FILE)}"


def read_source(directory: Path) -> Source | None:
    """Read where the weights of a directory came from.

    Returns:
        What `source.json` says, or nothing without one.

    Raises:
        FileNotFoundError: `source.json` has no weights beside it.
        ValueError: it speaks of other weights than those beside it, or cannot be read.
    """
    file = directory / SOURCE_FILE
    if not file.is_file():
        return None
    fix = f"run `make weights` again, or delete {SOURCE_FILE} if you changed the weights yourself"
    try:
        fields = json.loads(file.read_text())
        source = Source(revision=str(fields["revision"]), sha256=str(fields["sha256"]))
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{file} is no object with revision and sha256: {fix}") from error
    found = sha256_of(directory / WEIGHTS_FILE)
    if found != source.sha256:
        raise ValueError(
            f"{directory / WEIGHTS_FILE} has sha256 {found}, not {source.sha256}: {fix}"
        )
    return source


def _network(file: Path, config: CelebAVAEConfig) -> CelebAVAE:
    network = CelebAVAE(config)
    network.load_state_dict(read_state_dict(file, config), strict=True)
    return network.float().eval()


def _read_config(file: Path) -> CelebAVAEConfig:
    try:
        settings = json.loads(file.read_text())
        settings["hidden_channels"] = tuple(settings["hidden_channels"])
        return CelebAVAEConfig(**settings)
    except (ValueError, TypeError, KeyError) as error:
        raise ValueError(
            f"{file} is no configuration of this network ({error}): it is an object with "
            "hidden_channels, latent_channels and image_size_px, and nothing else"
        ) from error
