"""Trains the diffusion model's autoencoder: 128 px pictures to 16x16 latents of eight channels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from diffusers import AutoencoderKL
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from models.demo.attributes import draw_attributes
from models.demo.dataset import DIFFUSION_SIDE_PX, Dataset
from models.demo.train_vae import batch_of
from models.demo.training import NetworkStage, descend, generator_of, learning_rate


@dataclass(frozen=True)
class AutoencoderSettings:
    """Numbers of the autoencoder's training; the last part sees whole frames only.

    Crops are cheap and teach texture; whole frames teach the colours that group normalisation
    makes out of them, so they come last.
    """

    channels: tuple[int, ...] = (16, 32, 64, 64)
    latent_channels: int = 8
    batch: int = 4
    crop_px: int = 64
    crops_until: float = 0.25
    peak_rate: float = 1.5e-3
    warm_up: int = 100
    squared_weight: float = 3.0
    focus: float = 3.0
    kl_weight: float = 8e-4
    seed: int = 2


def build_autoencoder(settings: AutoencoderSettings) -> AutoencoderKL:
    """The untrained network; scaling_factor 1 because the latents are normalised in its weights."""
    depth = len(settings.channels)
    return AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * depth,
        up_block_types=("UpDecoderBlock2D",) * depth,
        block_out_channels=settings.channels,
        layers_per_block=1,
        latent_channels=settings.latent_channels,
        norm_num_groups=8,
        sample_size=DIFFUSION_SIDE_PX,
        scaling_factor=1.0,
        mid_block_add_attention=False,
        force_upcast=False,
    )


def slopes(images: Tensor) -> tuple[Tensor, Tensor]:
    """Differences between neighbours, to the right and down, as large as the images."""
    right = functional.pad(images[..., 1:] - images[..., :-1], (0, 1))
    down = functional.pad(images[..., 1:, :] - images[..., :-1, :], (0, 0, 0, 1))
    return right, down


def focus_map(side: int, strength: float) -> Tensor:
    """How much each place counts, (1, 1, side, side) float32: most on eyes and mouth.

    The faces are aligned, so one map serves all; its mean is 1.
    """
    places = (torch.arange(side) + 0.5) * (2.0 / side) - 1.0
    across, down = (places / 0.36) ** 2, ((places - 0.18) / 0.42) ** 2
    bell = torch.exp(-0.5 * (across.view(1, -1) + down.view(-1, 1)))
    counts = 1.0 + strength * bell
    return (counts / counts.mean()).view(1, 1, side, side)


def picture_loss(restored: Tensor, images: Tensor, weights: Tensor, squared: float) -> Tensor:
    """Distance on five levels of a pyramid: values, slopes, and squares; (N, 3, H, W) in [-1, 1].

    The weights, (N, 1, H, W), say how much each place of each picture counts.
    """
    total = squared * (weights * (restored - images) ** 2).mean()
    for level in range(5):
        if level:
            restored, images, weights = (
                functional.avg_pool2d(each, 2) for each in (restored, images, weights)
            )
        error = restored - images
        total = total + (weights * error.abs()).mean()
        total = total + sum((weights * slope.abs()).mean() for slope in slopes(error))
    return total


def texture_loss(restored: Tensor, images: Tensor, weights: Tensor) -> Tensor:
    """Distance of local contrast, four directions on two levels; (N, 3, H, W) in [-1, 1].

    A pixel's distance to unpredictable detail is least where there is none, so pictures come out
    smooth. How much contrast there is around a place can be predicted: hair has its strands again,
    if not each in its own place. The weights, (N, 1, H, W), say how much each place counts.
    """
    total = restored.new_zeros(())
    for level in range(2):
        if level:
            restored, images, weights = (
                functional.avg_pool2d(each, 2) for each in (restored, images, weights)
            )
        places = functional.avg_pool2d(weights, 8, 4)
        for ours, theirs in zip(_contrasts(restored), _contrasts(images), strict=True):
            total = total + (places * (ours - theirs).abs()).mean()
    return total


def _contrasts(images: Tensor) -> list[Tensor]:
    """Root-mean-square second differences of the luma within 8 pixels, in four directions."""
    luma = (images * images.new_tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1)).sum(1, keepdim=True)
    found = []
    for down, right in ((0, 1), (1, 0), (1, 1), (1, -1)):
        there = torch.roll(luma, (down, right), (2, 3))
        back = torch.roll(luma, (-down, -right), (2, 3))
        energy = functional.avg_pool2d((there + back - 2.0 * luma) ** 2, 8, 4)
        found.append((energy + 1e-4).sqrt())
    return found


class AutoencoderStage(NetworkStage[AutoencoderKL]):
    """The autoencoder in training."""

    name = "autoencoder"

    def __init__(self, dataset: Dataset, settings: AutoencoderSettings | None = None) -> None:
        """Build the network with its first weights."""
        self.settings = settings or AutoencoderSettings()
        self.dataset = dataset
        self.tones = np.array(
            [draw_attributes(seed).skin_tone for seed in dataset.plan.seeds], dtype=np.float32
        )
        self.focus = focus_map(DIFFUSION_SIDE_PX, self.settings.focus)
        torch.manual_seed(self.settings.seed)
        self.network = build_autoencoder(self.settings).to(memory_format=torch.channels_last)
        self.optimizer = torch.optim.AdamW(self.network.parameters(), fused=True, weight_decay=1e-3)

    def train_step(self, step: int, progress: float) -> float:
        """One batch: crops first, whole frames later."""
        settings = self.settings
        generator = generator_of(settings.seed, step)
        crops = progress < settings.crops_until
        images, rows = batch_of(
            self.dataset.diffusion_pixels,
            self.dataset.plan.training,
            settings.batch * (3 if crops else 1),
            generator,
        )
        weights = self.weights(rows)
        if crops:
            images, weights = self.crop(torch.cat([images, weights], dim=1), generator)
        self.network.train()
        with torch.autocast("cpu", torch.bfloat16):
            loss = self.loss(images * 2.0 - 1.0, weights, generator)
        rate = learning_rate(settings.peak_rate, step, progress, settings.warm_up)
        return descend(self.optimizer, loss, rate, self.network.parameters())

    def weights(self, rows: NDArray[np.int64]) -> Tensor:
        """How much each place counts, (N, 1, H, W): faces more, and dark skin up to 1.8 times.

        Dark pictures have low contrast, which would count too little.
        """
        tones = torch.from_numpy(1.0 + 0.8 * self.tones[rows]).view(-1, 1, 1, 1)
        return tones * self.focus

    def crop(self, stacked: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """The same random square of all pictures (first three channels) and weights (the last)."""
        side = self.settings.crop_px
        room = stacked.shape[-1] - side + 1
        top, left = (int(v) for v in torch.randint(room, (2,), generator=generator))
        square = stacked[..., top : top + side, left : left + side]
        return square[:, :3], square[:, 3:]

    def loss(self, images: Tensor, weights: Tensor, generator: torch.Generator) -> Tensor:
        """Picture distance plus the weighted divergence of (N, 3, H, W) images in [-1, 1]."""
        posterior = self.network.encode(images).latent_dist
        mean, log_var = posterior.mean.float(), posterior.logvar.float()
        noise = torch.randn(mean.shape, generator=generator)
        restored = self.network.decode(mean + noise * (0.5 * log_var).exp()).sample.float()
        divergence = 0.5 * (mean * mean + log_var.exp() - 1.0 - log_var).mean()
        settings = self.settings
        distance = picture_loss(restored, images, weights, settings.squared_weight)
        return distance + settings.kl_weight * divergence


def normalise_latents(network: AutoencoderKL, mean: Tensor, deviation: Tensor) -> None:
    """Fold the latents' mean and deviation, (C,) each, into the convolutions at the bottleneck.

    Afterwards the latents have mean 0 and deviation 1 a channel, so scaling_factor 1 is right.
    """
    before, after = network.quant_conv, network.post_quant_conv
    with torch.no_grad():
        after.bias += torch.einsum("oikl,i->o", after.weight, mean)
        after.weight *= deviation.view(1, -1, 1, 1)
        count = len(mean)
        before.weight[:count] /= deviation.view(-1, 1, 1, 1)
        before.bias[:count] = (before.bias[:count] - mean) / deviation
        before.bias[count:] -= 2.0 * deviation.log()
