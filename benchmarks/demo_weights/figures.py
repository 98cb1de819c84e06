"""The figures of the demo weights, each with the bound that it is held to."""

import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean

import numpy as np
import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from numpy.typing import NDArray
from tqdm import tqdm
from transformers import CLIPTextModel, CLIPTokenizer

from benchmarks.demo_weights.faces import HELD_OUT, INPUT_SEEDS, inputs, masks
from benchmarks.demo_weights.models import DemoModels
from models.demo.attributes import SKIN_NAMES, draw_attributes
from models.demo.captions import caption
from models.demo.dataset import DIFFUSION_SIDE_PX, draw_chunk
from models.demo.train_diffusion import noise_schedule
from models.demo.training import generator_of
from models.interfaces import RGBPixels
from models.set_metrics import descriptor, laplacian_variance, measure

SEEDS = list(range(1, 11))
_MIB = 1_000_000
_BATCH = 20


@dataclass(frozen=True)
class Figure:
    """A measured value and its bound.

    Attributes:
        name: what it is.
        value: measured.
        least: it is at least this, or None.
        most: it is at most this, or None.
    """

    name: str
    value: float
    least: float | None = None
    most: float | None = None

    @property
    def is_met(self) -> bool:
        """Whether the value keeps its bound; without one it does."""
        above = self.least is None or self.value >= self.least
        return above and (self.most is None or self.value <= self.most)


def _sharpness(pixels: RGBPixels) -> float:
    return float(laplacian_variance(descriptor(pixels).astype(np.float32) / 255.0))


def sets(models: DemoModels) -> Iterator[Figure]:
    """Yield diversity and sharpness of both models at their defaults, over the four inputs."""
    faces = inputs()
    diffused = [models.diffused(face, SEEDS) for face in tqdm(faces, "diffusion sets")]
    varied = [models.variations(face, SEEDS) for face in faces]
    spread = [
        measure(np.stack([descriptor(one) for one in made]), descriptor(face)).pairwise_rmse
        for made, face in zip(diffused, faces, strict=True)
    ]
    sharp = mean(_sharpness(one) for made in diffused for one in made)
    blurred = mean(_sharpness(one) for made in varied for one in made)
    of_input = mean(_sharpness(face) for face in faces)
    yield Figure("diffusion at its defaults: mean pairwise_rmse", mean(spread), least=0.07)
    yield Figure("laplacian_variance, diffusion / VAE", sharp / blurred, least=3.0)
    yield Figure("laplacian_variance, diffusion / input", sharp / of_input, least=0.5)


def colours(models: DemoModels, strength: float = 0.3) -> Iterator[Figure]:
    """Yield how far the mean colours of background and hair move at a low strength, in [0, 1]."""
    moved: dict[str, list[float]] = {"background": [], "hair": []}
    for seed, face in zip(INPUT_SEEDS, inputs(), strict=True):
        where = masks(seed, DIFFUSION_SIDE_PX)
        before = descriptor(face) / 255.0
        for image in models.diffused(face, SEEDS, strength=strength):
            after = image / 255.0
            for name in moved:
                mask = getattr(where, name)
                change = before[mask].mean(axis=0) - after[mask].mean(axis=0)
                moved[name].append(float(np.abs(change).mean()))
    for name, changes in moved.items():
        yield Figure(
            f"strength {strength}: change of the mean {name} colour", mean(changes), most=0.03
        )


def held_out_faces() -> tuple[RGBPixels, RGBPixels, list[str]]:
    """Draw the 200 held-out faces for both models, with the name of each skin tone."""
    seeds = list(HELD_OUT)
    parts = [
        draw_chunk(seeds[at : at + _BATCH]) for at in tqdm(range(0, len(seeds), _BATCH), "held out")
    ]
    small, smaller = (np.concatenate(each) for each in zip(*parts, strict=True))
    return small, smaller, [draw_attributes(seed).skin_name for seed in seeds]


def vae_errors(models: DemoModels, faces: RGBPixels) -> NDArray[np.float64]:
    """Return each face's mean squared error after encoding and decoding, values in [0, 1]."""
    network = models.vae._network
    errors = []
    with torch.inference_mode():
        for at in range(0, len(faces), _BATCH):
            images = torch.from_numpy(faces[at : at + _BATCH]).permute(0, 3, 1, 2).float() / 255.0
            mu, _ = network.encode(images)
            errors.append(((network.decode(mu) - images) ** 2).mean(dim=(1, 2, 3)))
    return torch.cat(errors).double().numpy()


def autoencoder_errors(models: DemoModels, faces: RGBPixels) -> NDArray[np.float64]:
    """Return each face's mean squared error after the diffusion model's autoencoder, in [0, 1]."""
    network: AutoencoderKL = models.diffusion._components.vae
    errors = []
    with torch.inference_mode():
        for images in _scaled(faces):
            restored = network.decode(network.encode(images).latent_dist.mean).sample
            errors.append((((restored - images) / 2.0) ** 2).mean(dim=(1, 2, 3)))
    return torch.cat(errors).double().numpy()


def denoising_errors(models: DemoModels, faces: RGBPixels) -> NDArray[np.float64]:
    """Return each face's squared error of the velocity, over ten timesteps evenly spread."""
    parts = models.diffusion._components
    unet: UNet2DConditionModel = parts.unet
    text: CLIPTextModel = parts.text_encoder
    tokenizer: CLIPTokenizer = parts.tokenizer
    schedule = noise_schedule()
    captions = [caption(draw_attributes(seed)) for seed in HELD_OUT]
    tokens = tokenizer(
        captions,
        padding="max_length",
        truncation=True,
        max_length=tokenizer.model_max_length,
        return_tensors="pt",
    ).input_ids
    errors = []
    with torch.inference_mode():
        for index, images in enumerate(tqdm(list(_scaled(faces)), "denoising")):
            latents = parts.vae.encode(images).latent_dist.mean
            words = text(tokens[index * _BATCH : (index + 1) * _BATCH]).last_hidden_state
            found = []
            for number, step in enumerate(range(50, 1000, 100)):
                noise = torch.randn(latents.shape, generator=generator_of(index, number))
                steps = torch.full((len(latents),), step)
                noisy = schedule.add_noise(latents, noise, steps)
                wanted = schedule.get_velocity(latents, noise, steps)
                made = unet(noisy, steps, encoder_hidden_states=words).sample
                found.append(((made - wanted) ** 2).mean(dim=(1, 2, 3)))
            errors.append(torch.stack(found).mean(dim=0))
    return torch.cat(errors).double().numpy()


def _scaled(faces: RGBPixels) -> Iterator[torch.Tensor]:
    for at in range(0, len(faces), _BATCH):
        images = torch.from_numpy(faces[at : at + _BATCH]).permute(0, 3, 1, 2).float()
        yield images / 127.5 - 1.0


def by_skin(name: str, errors: NDArray[np.float64], skins: Sequence[str]) -> Iterator[Figure]:
    """Yield each skin tone's mean error by that of all faces."""
    for skin in SKIN_NAMES:
        own = [error for error, its in zip(errors, skins, strict=True) if its == skin]
        yield Figure(
            f"{name}: {skin} skin / all ({len(own)} faces)",
            float(mean(own) / errors.mean()),
            most=1.25,
        )


def validation(models: DemoModels) -> Iterator[Figure]:
    """Yield the errors over the held-out faces, and each skin tone's share of them."""
    small, smaller, skins = held_out_faces()
    errors = vae_errors(models, small)
    yield Figure("VAE: validation MSE over 200 faces", float(errors.mean()), most=0.0028)
    yield from by_skin("VAE", errors, skins)
    restored = autoencoder_errors(models, smaller)
    yield Figure("autoencoder: validation MSE over 200 faces", float(restored.mean()))
    yield from by_skin("autoencoder", restored, skins)
    denoised = denoising_errors(models, smaller)
    yield Figure("UNet: validation MSE of the velocity", float(denoised.mean()))
    yield from by_skin("UNet", denoised, skins)


def costs(models: DemoModels, weights: Path) -> Iterator[Figure]:
    """Yield the seconds of both sets in process and the size of all weights."""
    face = inputs()[0]
    models.diffused(face, SEEDS)
    began = time.monotonic()
    models.variations(face, SEEDS)
    models.diffused(face, SEEDS)
    yield Figure("both sets in process, s", time.monotonic() - began, most=8.0)
    size = sum(path.stat().st_size for path in weights.rglob("*") if path.is_file())
    yield Figure("all weights, MB", size / _MIB, most=25.0)


def as_json(figures: Sequence[Figure]) -> str:
    """Return figures as a JSON list."""
    return json.dumps([{**vars(one), "met": one.is_met} for one in figures], indent=1) + "\n"


def as_table(figures: Sequence[Figure]) -> str:
    """Return figures as a table in Markdown."""
    lines = ["| figure | measured | bound | |", "|---|---:|---:|---|"]
    for one in figures:
        bound = "" if one.least is None else f"at least {one.least:g}"
        bound = bound if one.most is None else f"at most {one.most:g}"
        verdict = ("met" if one.is_met else "**missed**") if bound else ""
        lines.append(f"| {one.name} | {one.value:.4g} | {bound} | {verdict} |")
    return "\n".join(lines)
