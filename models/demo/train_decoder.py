"""Polishes the autoencoder's decoder: the latents stay as they are, the pictures get sharper."""

from __future__ import annotations

from pathlib import Path

import torch
from diffusers import AutoencoderKL
from torch import Tensor

from models.demo.attributes import draw_attributes
from models.demo.dataset import DIFFUSION_SIDE_PX, Dataset
from models.demo.latents import Latents, load_normal_autoencoder
from models.demo.train_autoencoder import AutoencoderSettings, focus_map, picture_loss, texture_loss
from models.demo.training import NetworkStage, descend, generator_of, learning_rate

BATCH = 4
PEAK_RATE = 1e-3
WARM_UP = 50
SEED = 4
TEXTURE = 1.0
"""Weight of local contrast; the distance of pixels alone smooths hair and skin."""


class DecoderStage(NetworkStage[AutoencoderKL]):
    """The decoder in training on the cached latents; the encoder is frozen.

    The diffusion model knows latents only, so this may run before, after or between its trainings.
    """

    name = "decoder"

    def __init__(
        self,
        directory: Path,
        dataset: Dataset,
        latents: Latents,
        settings: AutoencoderSettings | None = None,
    ) -> None:
        """Begin with the trained autoencoder of a working directory."""
        self.settings = settings or AutoencoderSettings()
        self.dataset = dataset
        self.latents = latents
        tones = [draw_attributes(seed).skin_tone for seed in dataset.plan.seeds]
        self.tones = 1.0 + 0.8 * torch.tensor(tones).view(-1, 1, 1, 1)
        self.focus = focus_map(DIFFUSION_SIDE_PX, self.settings.focus)
        network = load_normal_autoencoder(directory, self.settings)
        self.network: AutoencoderKL = network.to(memory_format=torch.channels_last)
        self.trained = [*network.decoder.parameters(), *network.post_quant_conv.parameters()]
        self.optimizer = torch.optim.AdamW(self.trained, fused=True, weight_decay=1e-3)

    def pictures(self, rows: Tensor, mirrored: Tensor) -> Tensor:
        """The pictures of some latents, (N, 3, 128, 128) float32 in [-1, 1]."""
        images = torch.from_numpy(self.dataset.diffusion_pixels[rows.numpy()])
        images = images.permute(0, 3, 1, 2).float() / 127.5 - 1.0
        return torch.where(mirrored.view(-1, 1, 1, 1) == 1, images.flip(3), images)

    def train_step(self, step: int, progress: float) -> float:
        """One batch of whole frames."""
        generator = generator_of(SEED, step)
        latents, rows, mirrored = self.latents.draw(BATCH, generator)
        images = self.pictures(rows, mirrored)
        weights = self.tones[rows] * self.focus
        self.network.train()
        with torch.autocast("cpu", torch.bfloat16):
            restored = self.network.decode(latents).sample.float()
        loss = picture_loss(restored, images, weights, self.settings.squared_weight)
        loss = loss + TEXTURE * texture_loss(restored, images, weights)
        rate = learning_rate(PEAK_RATE, step, progress, WARM_UP)
        return descend(self.optimizer, loss, rate, self.trained)
