"""The VAE's sampler: one encoder call, one generator an image, the factor scales the noise."""

import numpy as np
import torch
from PIL import Image
from torchvision.transforms import v2

from models.celeba_vae.config import CelebAVAEConfig
from models.celeba_vae.network import CelebAVAE
from models.celeba_vae.sampler import CelebAVAESampler
from models.interfaces import ModelInfo
from models.parameters import VariationParameters
from models.pixels import resize

FACE = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)


def _sampler() -> CelebAVAESampler:
    torch.manual_seed(0)
    network = CelebAVAE(CelebAVAEConfig((8, 16, 16), latent_channels=6, image_size_px=32))
    return CelebAVAESampler(network, ModelInfo("tiny", "vae", "none", 32, {}))


def test_images_against_the_formula_in_numpy() -> None:
    sampler = _sampler()
    network = sampler._network
    small = np.asarray(Image.fromarray(FACE).resize((32, 32), Image.Resampling.BILINEAR))
    with torch.inference_mode():
        mu, log_var = network.encode(
            torch.from_numpy(small.astype(np.float32) / 255).permute(2, 0, 1)[None]
        )
        noise = [torch.randn(6, generator=torch.Generator().manual_seed(s)).numpy() for s in (3, 4)]
        z = mu.numpy() + np.stack(noise) * np.exp(0.5 * log_var.numpy()) * 5.0
        expected = network.decode(torch.from_numpy(z.astype(np.float32))).numpy() * 255
    made = sampler.generate(FACE, [3, 4], VariationParameters(5.0)).pixels
    assert np.abs(made.transpose(0, 3, 1, 2) - expected).max() <= 1.0


def test_an_image_depends_on_its_own_seed_alone() -> None:
    sampler = _sampler()
    ten = sampler.generate(FACE, list(range(10)), VariationParameters(7.0)).pixels
    alone = sampler.generate(FACE, [4], VariationParameters(7.0)).pixels
    assert np.abs(alone[0].astype(int) - ten[4]).max() <= 1
    assert len({image.tobytes() for image in ten}) == 10


def test_factor_zero_is_the_reconstruction() -> None:
    images = _sampler().generate(FACE, [1, 2], VariationParameters(0.0)).pixels
    assert np.array_equal(images[0], images[1])


def test_the_encoder_runs_once_for_ten() -> None:
    sampler = _sampler()
    calls: list[torch.Size] = []
    sampler._network.encoder.register_forward_hook(
        lambda module, inputs, output: calls.append(inputs[0].shape)
    )
    made = sampler.generate(FACE, list(range(10)), VariationParameters())
    assert calls == [(1, 3, 32, 32)]
    assert made.encoder_calls == 1


def test_resize_is_torchvisions_resize_of_pillow_images() -> None:
    expected = v2.Resize(50, antialias=True)(Image.fromarray(FACE))
    assert np.array_equal(resize(FACE, 50, Image.Resampling.BILINEAR), np.asarray(expected))
