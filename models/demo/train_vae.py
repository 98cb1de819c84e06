"""Trains the demo's CelebA-style VAE, half as wide as the published one, on rendered faces."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from models.celeba_vae.config import CelebAVAEConfig
from models.celeba_vae.network import CelebAVAE, reparameterize
from models.demo.dataset import Dataset
from models.demo.training import NetworkStage, descend, generator_of, learning_rate


@dataclass(frozen=True)
class VAESettings:
    """Numbers of the VAE's training.

    The KL weight decides what `diversity_factor` f does: the mean squared distance it adds is
    about f^2 * latent_channels * kl_weight / 2, an RMS of 0.08 at f = 7 with the value here. 3.5e-6
    (0.11) was tried and looked worse: at f = 7 half of the faces were blotches.
    """

    hidden_channels: tuple[int, ...] = (16, 32, 64, 128, 256)
    latent_channels: int = 128
    batch: int = 32
    peak_rate: float = 2e-3
    warm_up: int = 100
    kl_weight: float = 2e-6
    seed: int = 1


def batch_of(
    pixels: NDArray[np.uint8], count: int, batch: int, generator: torch.Generator
) -> tuple[Tensor, NDArray[np.int64]]:
    """Draw a batch of the first `count` faces, mirrored by chance.

    Returns (N, 3, H, W) float32 in [0, 1], channels last, and the rows drawn.
    """
    rows = torch.randint(count, (batch,), generator=generator).numpy()
    images = torch.from_numpy(pixels[rows]).permute(0, 3, 1, 2).float() / 255.0
    mirrored = torch.rand(batch, 1, 1, 1, generator=generator) < 0.5
    return torch.where(mirrored, images.flip(3), images), rows


class VAEStage(NetworkStage[CelebAVAE]):
    """The VAE in training: mean squared error plus the weighted divergence from N(0, I)."""

    name = "vae"

    def __init__(self, dataset: Dataset, settings: VAESettings | None = None) -> None:
        """Build the network with its first weights."""
        self.settings = settings or VAESettings()
        self.dataset = dataset
        torch.manual_seed(self.settings.seed)
        config = CelebAVAEConfig(self.settings.hidden_channels, self.settings.latent_channels)
        self.network = CelebAVAE(config).to(memory_format=torch.channels_last)
        self.optimizer = torch.optim.AdamW(self.network.parameters(), fused=True, weight_decay=1e-3)

    def train_step(self, step: int, progress: float) -> float:
        """One batch."""
        settings = self.settings
        generator = generator_of(settings.seed, step)
        images, _ = batch_of(
            self.dataset.vae_pixels, self.dataset.plan.training, settings.batch, generator
        )
        eps = torch.randn(settings.batch, settings.latent_channels, generator=generator)
        self.network.train()
        with torch.autocast("cpu", torch.bfloat16):
            loss = self.loss(images, eps)
        rate = learning_rate(settings.peak_rate, step, progress, settings.warm_up)
        return descend(self.optimizer, loss, rate, self.network.parameters())

    def loss(self, images: Tensor, eps: Tensor) -> Tensor:
        """The evidence bound of (N, 3, H, W) images with (N, L) noise, negative and weighted."""
        mu, log_var = (moment.float() for moment in self.network.encode(images))
        log_var = log_var.clamp(-12.0, 6.0)
        restored = self.network.decode(reparameterize(mu, log_var, eps, 1.0)).float()
        divergence = 0.5 * (mu * mu + log_var.exp() - 1.0 - log_var).sum(dim=1).mean()
        return functional.mse_loss(restored, images) + self.settings.kl_weight * divergence
