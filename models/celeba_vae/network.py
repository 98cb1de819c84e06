"""The network of github.com/moshesipper/vae-torch-celeba, rewritten with its widths as parameters.

The state-dict keys are the published model's (`encoder.{i}.{0,1}.*`, `fc_mu`, `fc_var`,
`decoder_input`, `decoder.{i}.{0,1}.*`, `final_layer.{0,1,3}.*`), so its weights load strictly.
"""

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from models.celeba_vae.config import CelebAVAEConfig


def reparameterize(mu: Tensor, log_var: Tensor, eps: Tensor, diversity_factor: float) -> Tensor:
    """Scale the latent noise: `z = mu + eps * exp(0.5 * log_var) * diversity_factor`.

    Args:
        mu: (1 or N, L) float, means of the posterior (Kingma and Welling 2013, equation 10).
        log_var: (1 or N, L) float, logarithms of its variances.
        eps: (N, L) float, standard normal noise.
        diversity_factor: 0 reconstructs, 1 samples the posterior, more wanders off it.

    Returns:
        (N, L) float latents.
    """
    return mu + eps * torch.exp(0.5 * log_var) * diversity_factor


class CelebAVAE(nn.Module):
    """A convolutional variational autoencoder for square RGB pictures.

    Use it in evaluation mode: batch statistics would make an image depend on its neighbours.
    """

    def __init__(self, config: CelebAVAEConfig | None = None) -> None:
        """Build the layers with random weights."""
        super().__init__()
        self.config = config or CelebAVAEConfig()
        widths = self.config.hidden_channels
        features = widths[-1] * self.config.feature_side_px**2
        self.encoder = nn.Sequential(*(_down(i, o) for i, o in pairwise((3, *widths))))
        self.fc_mu = nn.Linear(features, self.config.latent_channels)
        self.fc_var = nn.Linear(features, self.config.latent_channels)
        self.decoder_input = nn.Linear(self.config.latent_channels, features)
        self.decoder = nn.Sequential(*(_up(i, o) for i, o in pairwise(reversed(widths))))
        self.final_layer = nn.Sequential(
            *_up(widths[0], widths[0]), nn.Conv2d(widths[0], 3, 3, padding=1), nn.Sigmoid()
        )

    def encode(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Map (N, 3, S, S) float32 in [0, 1] to `mu` and `log_var`, each (N, L) float32."""
        features = torch.flatten(self.encoder(images), start_dim=1)
        return self.fc_mu(features), self.fc_var(features)

    def decode(self, latents: Tensor) -> Tensor:
        """Map (N, L) float32 latents to (N, 3, S, S) float32 in [0, 1]; NaN becomes 0."""
        side = self.config.feature_side_px
        features = self.decoder_input(latents).view(len(latents), -1, side, side)
        images = self.final_layer(self.decoder(features))
        size = self.config.image_size_px
        # What torchvision's Resize(150) and CenterCrop(150) do with a square tensor.
        # In float32, as it does: on a CPU torch resizes nothing else (training may be in bfloat16).
        resized = interpolate(images.float(), (size, size), mode="bilinear", antialias=True)
        return torch.nan_to_num(resized.to(images.dtype), nan=0.0)


def _down(channels_in: int, channels_out: int) -> nn.Sequential:
    convolution = nn.Conv2d(channels_in, channels_out, 3, stride=2, padding=1)
    return nn.Sequential(convolution, nn.BatchNorm2d(channels_out), nn.LeakyReLU())


def _up(channels_in: int, channels_out: int) -> nn.Sequential:
    convolution = nn.ConvTranspose2d(
        channels_in, channels_out, 3, stride=2, padding=1, output_padding=1
    )
    return nn.Sequential(convolution, nn.BatchNorm2d(channels_out), nn.LeakyReLU())
