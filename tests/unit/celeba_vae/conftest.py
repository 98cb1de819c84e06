"""A stand-in for the published file: the published layout, pickled whole as it was published."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from types import ModuleType

import pytest
import torch
from torch import Tensor, nn
from torchvision import transforms

from models.celeba_vae.config import CelebAVAEConfig

SMALL = CelebAVAEConfig((4, 8, 8), latent_channels=6, image_size_px=30)


class PublishedVAE(nn.Module):
    """The layers of the published class under their names, with its own forward pieces."""

    def __init__(self, config: CelebAVAEConfig) -> None:
        super().__init__()
        widths = list(config.hidden_channels)
        # Harmless attributes, as the published class has some.
        self.latent_dim = config.latent_channels
        self.hidden_dims = widths[::-1]
        self.final_dim = widths[-1]
        self.size = config.feature_side_px
        self.image_size = config.image_size_px
        features = self.final_dim * self.size**2
        self.encoder = nn.Sequential(
            *[
                nn.Sequential(nn.Conv2d(i, o, 3, 2, 1), nn.BatchNorm2d(o), nn.LeakyReLU())
                for i, o in pairwise([3, *widths])
            ]
        )
        self.fc_mu = nn.Linear(features, self.latent_dim)
        self.fc_var = nn.Linear(features, self.latent_dim)
        self.decoder_input = nn.Linear(self.latent_dim, features)
        self.decoder = nn.Sequential(
            *[
                nn.Sequential(
                    nn.ConvTranspose2d(i, o, 3, 2, 1, 1), nn.BatchNorm2d(o), nn.LeakyReLU()
                )
                for i, o in pairwise(self.hidden_dims)
            ]
        )
        first = widths[0]
        self.final_layer = nn.Sequential(
            nn.ConvTranspose2d(first, first, 3, 2, 1, 1),
            nn.BatchNorm2d(first),
            nn.LeakyReLU(),
            nn.Conv2d(first, 3, 3, padding=1),
            nn.Sigmoid(),
        )

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        flat = self.encoder(x).flatten(1)
        return self.fc_mu(flat), self.fc_var(flat)

    def decode(self, z: Tensor) -> Tensor:
        x = self.decoder_input(z).view(-1, self.final_dim, self.size, self.size)
        x = self.final_layer(self.decoder(x))
        fit = transforms.Compose(
            [
                transforms.Resize(self.image_size, antialias=True),
                transforms.CenterCrop(self.image_size),
            ]
        )
        return torch.nan_to_num(fit(x))

    def forward(self, x: Tensor) -> Tensor:
        return self.decode(self.encode(x)[0])


Save = Callable[..., Path]


@contextmanager
def published_names() -> Iterator[type[nn.Module]]:
    """Give the class its published name, `vae.VAE`, for as long as something is pickled."""
    module = ModuleType("vae")
    named = {"__module__": "vae", "__qualname__": "VAE"}
    vae = type("VAE", (PublishedVAE,), named)
    module.VAE = vae  # type: ignore[attr-defined]
    sys.modules["vae"] = module
    try:
        yield vae
    finally:
        del sys.modules["vae"]


def trained(config: CelebAVAEConfig, like: type[nn.Module]) -> nn.Module:
    """Weights as training leaves them: the statistics of batches are no longer 0 and 1."""
    torch.manual_seed(0)
    model = like(config).train()
    with torch.no_grad():
        for _ in range(2):
            model(torch.rand(2, 3, config.image_size_px, config.image_size_px))
    return model


@dataclass(frozen=True)
class Published:
    """A model and the file that `torch.save(model)` made of it on a GPU."""

    model: PublishedVAE
    file: Path


def _saved(config: CelebAVAEConfig, directory: Path) -> Published:
    file = directory / "vae_model_20.pth"
    with published_names() as like, pytest.MonkeyPatch.context() as patch:
        model = trained(config, like)
        patch.setattr("torch.serialization.location_tag", lambda storage: "cuda:0")
        torch.save(model, file)
    return Published(model.eval(), file)  # type: ignore[arg-type]


@pytest.fixture(scope="session")
def published(tmp_path_factory: pytest.TempPathFactory) -> Published:
    """The published sizes, 32 MB. Do not change the file."""
    return _saved(CelebAVAEConfig(), tmp_path_factory.mktemp("published"))


@pytest.fixture
def small(tmp_path: Path) -> Published:
    """A small one, to be spoilt."""
    return _saved(SMALL, tmp_path)


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no connection be made."""

    def refuse(*args: object) -> None:
        raise AssertionError(f"a connection was tried: {args}")

    monkeypatch.setattr("socket.socket.connect", refuse)
    monkeypatch.setattr("socket.getaddrinfo", refuse)
