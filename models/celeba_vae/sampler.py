"""Ten faces from one: encode once, scale the noise, decode in one batch."""

from collections.abc import Sequence

import torch
from PIL import Image
from torch import Tensor

from models import pixels as picture_pixels
from models.celeba_vae.network import CelebAVAE, reparameterize
from models.interfaces import GeneratedSet, ModelInfo, RGBPixels, StepCallback, ignore_steps
from models.parameters import VariationParameters
from models.tensors import pixels_of_unit, unit_tensor


class CelebAVAESampler:
    """Serves a CelebA VAE as a `models.interfaces.VariationModel`."""

    def __init__(self, network: CelebAVAE, info: ModelInfo) -> None:
        """Take a network with its weights; it is put in evaluation mode."""
        self._network = network.eval()
        self._info = info
        self._device = next(network.parameters()).device

    @property
    def info(self) -> ModelInfo:
        """Describe the loaded weights."""
        return self._info

    @torch.inference_mode()
    def generate(
        self,
        image: RGBPixels,
        seeds: Sequence[int],
        parameters: VariationParameters,
        on_step: StepCallback = ignore_steps,
    ) -> GeneratedSet:
        """Make `len(seeds)` faces of `image`.

        Args:
            image: (S, S, 3) uint8; resized to the network's side, bilinear with antialiasing as
                torchvision's `Resize` does for Pillow images.
            seeds: one seed an image.
            parameters: the diversity factor.
            on_step: called once, after the only step.
        """
        side = self._network.config.image_size_px
        resized = picture_pixels.resize(image, side, Image.Resampling.BILINEAR)
        mu, log_var = self._network.encode(unit_tensor(resized).to(self._device))
        eps = self.noise(seeds).to(self._device)
        latents = reparameterize(mu, log_var, eps, parameters.diversity_factor)
        faces = self._network.decode(latents)
        on_step(1, 1)
        return GeneratedSet(pixels=pixels_of_unit(faces), encoder_calls=1)

    def noise(self, seeds: Sequence[int]) -> Tensor:
        """Draw (N, L) float32 standard normal noise on the CPU, row k from seeds[k] alone.

        On the CPU whatever the device, so that a seed means the same noise everywhere.
        """
        length = self._network.config.latent_channels
        rows = [
            torch.randn(length, generator=torch.Generator("cpu").manual_seed(seed))
            for seed in seeds
        ]
        return torch.stack(rows)
