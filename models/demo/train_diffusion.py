"""Trains the latent diffusion model: a small UNet and its text encoder, together."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from diffusers import DDPMScheduler, UNet2DConditionModel
from diffusers.models.attention_processor import AttnProcessor
from torch import Tensor, nn
from torch.nn import functional
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from models.demo.attributes import draw_attributes
from models.demo.captions import caption_phrases
from models.demo.dataset import DatasetPlan
from models.demo.latents import Latents
from models.demo.training import descend, generator_of, learning_rate
from models.demo.vocabulary import POSITIONS, write_tokenizer

ANYBODY = ("a portrait of a person", "a photograph of a person's face", "a picture of a face")
"""What the first phrase becomes when it is dropped, so that plain prompts mean something."""


@dataclass(frozen=True)
class DiffusionSettings:
    """Numbers of the diffusion model's training."""

    channels: tuple[int, ...] = (96, 128, 128)
    text_width: int = 128
    text_layers: int = 2
    latent_channels: int = 8
    latent_side: int = 16
    batch: int = 20
    peak_rate: float = 7e-4
    warm_up: int = 200
    ema: float = 0.999
    caption_dropout: float = 0.10
    phrase_dropout: float = 0.35
    seed: int = 3


def noise_schedule() -> DDPMScheduler:
    """Stable Diffusion's noise schedule, with the velocity as the network's target."""
    return DDPMScheduler(
        num_train_timesteps=1000,
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        prediction_type="v_prediction",
        clip_sample=False,
    )


def build_unet(settings: DiffusionSettings) -> UNet2DConditionModel:
    """The untrained UNet: attention to the text on all levels but the last down block."""
    attending = len(settings.channels) - 1
    return UNet2DConditionModel(
        sample_size=settings.latent_side,
        in_channels=settings.latent_channels,
        out_channels=settings.latent_channels,
        block_out_channels=settings.channels,
        down_block_types=(*("CrossAttnDownBlock2D",) * attending, "DownBlock2D"),
        up_block_types=("UpBlock2D", *("CrossAttnUpBlock2D",) * attending),
        layers_per_block=1,
        cross_attention_dim=settings.text_width,
        attention_head_dim=4,
        norm_num_groups=32,
    )


def build_text_encoder(settings: DiffusionSettings, tokenizer: CLIPTokenizer) -> CLIPTextModel:
    """The untrained text encoder."""
    return CLIPTextModel(
        CLIPTextConfig(
            vocab_size=len(tokenizer),
            hidden_size=settings.text_width,
            intermediate_size=4 * settings.text_width,
            projection_dim=settings.text_width,
            num_hidden_layers=settings.text_layers,
            num_attention_heads=4,
            max_position_embeddings=POSITIONS,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
    )


def use_plain_attention(unet: UNet2DConditionModel, text_encoder: CLIPTextModel) -> None:
    """Attention as plain products: on the CPU the fused one takes half of a step, backwards."""
    unet.set_attn_processor(AttnProcessor())
    text_encoder.set_attn_implementation("eager")


def load_tokenizer(directory: Path) -> CLIPTokenizer:
    """Write the tokenizer's files into a working directory and read them."""
    write_tokenizer(directory / "tokenizer")
    return CLIPTokenizer.from_pretrained(directory / "tokenizer")


def draw_timesteps(batch: int, generator: torch.Generator) -> Tensor:
    """Timesteps (batch,) int64 in [0, 999], stratified; most in the middle, where faces are made.

    Seven in ten follow a logit-normal density (Esser et al. 2024), the others a uniform one.
    """
    places = (torch.arange(batch) + torch.rand(batch, generator=generator)) / batch
    places = places.clamp(1e-4, 1 - 1e-4)
    middle = torch.sigmoid(-0.1 + 1.1 * torch.special.ndtri(places))
    uniform = torch.rand(batch, generator=generator) < 0.3
    return (torch.where(uniform, places, middle) * 1000).long().clamp(0, 999)


def varied_caption(
    phrases: Sequence[str], settings: DiffusionSettings, chance: random.Random
) -> str:
    """A caption with phrases, or all of it, left out by chance."""
    if chance.random() < settings.caption_dropout:
        return ""
    kept = [phrase for phrase in phrases[1:] if chance.random() >= settings.phrase_dropout]
    general = chance.random() < 0.5 * settings.phrase_dropout
    return ", ".join([chance.choice(ANYBODY) if general else phrases[0], *kept])


class DiffusionStage:
    """UNet and text encoder in training, with the moving average of their weights."""

    name = "diffusion"

    def __init__(
        self,
        directory: Path,
        plan: DatasetPlan,
        latents: Latents,
        settings: DiffusionSettings | None = None,
    ) -> None:
        """Build the networks with their first weights."""
        self.settings = settings or DiffusionSettings()
        self.latents = latents
        self.captions = [caption_phrases(draw_attributes(seed)) for seed in plan.seeds]
        self.tokenizer = load_tokenizer(directory)
        self.schedule = noise_schedule()
        torch.manual_seed(self.settings.seed)
        text_encoder = build_text_encoder(self.settings, self.tokenizer)
        unet = build_unet(self.settings)
        use_plain_attention(unet, text_encoder)
        self.networks = nn.ModuleDict({"unet": unet, "text_encoder": text_encoder})
        self.average = {
            key: value.detach().clone() for key, value in self.networks.state_dict().items()
        }
        self.optimizer = torch.optim.AdamW(
            self.networks.parameters(), fused=True, weight_decay=1e-2, betas=(0.9, 0.99)
        )

    def state(self) -> dict[str, Any]:
        """Weights, their average, and the optimizer."""
        return {
            "networks": self.networks.state_dict(),
            "average": self.average,
            "optimizer": self.optimizer.state_dict(),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Take over weights, average and optimizer."""
        self.networks.load_state_dict(state["networks"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.average = state["average"]

    def train_step(self, step: int, progress: float) -> float:
        """One batch of latents with varied captions."""
        settings = self.settings
        generator = generator_of(settings.seed, step)
        latents, rows, _ = self.latents.draw(settings.batch, generator)
        chance = random.Random(settings.seed * 10_000_019 + step)
        captions = [varied_caption(self.captions[int(row)], settings, chance) for row in rows]
        noise = torch.randn(latents.shape, generator=generator)
        timesteps = draw_timesteps(settings.batch, generator)
        self.networks.train()
        with torch.autocast("cpu", torch.bfloat16):
            loss = self.loss(latents, noise, timesteps, captions)
        rate = learning_rate(settings.peak_rate, step, progress, settings.warm_up)
        value = descend(self.optimizer, loss, rate, self.networks.parameters())
        self.follow(step)
        return value

    def loss(
        self, latents: Tensor, noise: Tensor, timesteps: Tensor, captions: Sequence[str]
    ) -> Tensor:
        """Squared error of the velocity (Salimans and Ho 2022) for (N, C, H, W) latents."""
        tokens = self.tokenizer(
            list(captions),
            padding="max_length",
            truncation=True,
            max_length=POSITIONS,
            return_tensors="pt",
        ).input_ids
        words = self.networks["text_encoder"](tokens).last_hidden_state
        noisy = self.schedule.add_noise(latents, noise, timesteps)
        velocity = self.schedule.get_velocity(latents, noise, timesteps)
        predicted = self.networks["unet"](noisy, timesteps, encoder_hidden_states=words).sample
        return functional.mse_loss(predicted.float(), velocity)

    @torch.no_grad()
    def follow(self, step: int) -> None:
        """Move the average towards the weights; faster at the start."""
        share = 1.0 - min(self.settings.ema, (1 + step) / (10 + step))
        for key, value in self.networks.state_dict().items():
            if value.is_floating_point():
                self.average[key].lerp_(value, share)
