"""The latents of all training pictures, computed once by the trained autoencoder and kept."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL
from numpy.typing import NDArray
from torch import Tensor
from tqdm import tqdm

from models.demo.dataset import Dataset
from models.demo.train_autoencoder import (
    AutoencoderSettings,
    build_autoencoder,
    normalise_latents,
)
from models.demo.training import load_checkpoint

ENCODE_BATCH = 20
NORMAL_FILE = "autoencoder-normal.pt"
"""The autoencoder with its latents' mean and deviation folded into its weights."""


@dataclass(frozen=True)
class Latents:
    """Posterior of every training picture: (2, N, 2, C, H, W) float16, plain and mirrored.

    The first axis is plain/mirrored, the third mean/deviation.
    """

    moments: NDArray[np.float16]

    @property
    def count(self) -> int:
        """How many pictures there are, mirrored ones not counted."""
        return self.moments.shape[1]

    def draw(self, batch: int, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
        """Samples of random pictures' posteriors.

        Returns (batch, C, H, W) float32 latents, their rows, and 1 where the picture is mirrored.
        """
        rows = torch.randint(self.count, (batch,), generator=generator)
        mirrored = torch.randint(2, (batch,), generator=generator)
        moments = torch.from_numpy(self.moments[mirrored.numpy(), rows.numpy()]).float()
        mean, deviation = moments.unbind(1)
        noise = torch.randn(mean.shape, generator=generator)
        return mean + deviation * noise, rows, mirrored


def load_autoencoder(directory: Path, settings: AutoencoderSettings) -> AutoencoderKL:
    """The trained autoencoder of a working directory, its latents not yet normalised."""
    network = build_autoencoder(settings)
    network.load_state_dict(load_checkpoint(directory / "autoencoder.pt")["stage"]["network"])
    return network.eval()


def load_normal_autoencoder(directory: Path, settings: AutoencoderSettings) -> AutoencoderKL:
    """The trained autoencoder with normalised latents, its decoder polished if that was done."""
    network = build_autoencoder(settings)
    polished = directory / "decoder.pt"
    if polished.exists():
        network.load_state_dict(load_checkpoint(polished)["stage"]["network"])
    else:
        network.load_state_dict(load_checkpoint(directory / NORMAL_FILE))
    return network.eval()


@torch.no_grad()
def encode_pictures(network: AutoencoderKL, pixels: NDArray[np.uint8], mirrored: bool) -> Tensor:
    """Means and deviations of (N, H, W, 3) uint8 pictures, as (N, 2, C, h, w) float16."""
    found = []
    for start in tqdm(range(0, len(pixels), ENCODE_BATCH), "encode", unit="batch", mininterval=5.0):
        images = torch.from_numpy(np.array(pixels[start : start + ENCODE_BATCH]))
        images = images.permute(0, 3, 1, 2).float() / 127.5 - 1.0
        posterior = network.encode(images.flip(3) if mirrored else images).latent_dist
        found.append(torch.stack([posterior.mean, posterior.std], dim=1).half())
    return torch.cat(found)


def cache_latents(directory: Path, dataset: Dataset, settings: AutoencoderSettings) -> Latents:
    """Encode the training pictures, normalise the autoencoder, keep both; read them if kept."""
    path = directory / "latents.npy"
    network = load_autoencoder(directory, settings)
    if not path.exists():
        pictures = dataset.diffusion_pixels[: dataset.plan.training]
        moments = torch.stack([encode_pictures(network, pictures, side) for side in (False, True)])
        means = moments[:, :, 0].float()
        mean, deviation = means.mean(dim=(0, 1, 3, 4)), means.std(dim=(0, 1, 3, 4))
        normalise_latents(network, mean, deviation)
        normal = torch.stack(
            [
                (means - mean.view(-1, 1, 1)) / deviation.view(-1, 1, 1),
                moments[:, :, 1].float() / deviation.view(-1, 1, 1),
            ],
            dim=2,
        )
        torch.save(network.state_dict(), directory / NORMAL_FILE)
        with (directory / "latents.part").open("wb") as draft:
            np.save(draft, normal.half().numpy())
        (directory / "latents.part").rename(path)
    return Latents(np.load(path, mmap_mode="r"))
