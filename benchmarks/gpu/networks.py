"""The networks of Stable Diffusion v1.5 with random weights, in full size and tiny."""

from typing import Any

import torch
from diffusers import AutoencoderKL, PNDMScheduler, UNet2DConditionModel
from diffusers.pipelines.stable_diffusion.safety_checker import StableDiffusionSafetyChecker
from transformers import CLIPConfig, CLIPTextConfig, CLIPTextModel


def full_size_networks() -> tuple[Any, ...]:
    """Build Stable Diffusion v1.5's UNet, VAE, text encoder and safety checker, random weights."""
    unet = UNet2DConditionModel(
        sample_size=64,
        block_out_channels=(320, 640, 1280, 1280),
        layers_per_block=2,
        cross_attention_dim=768,
        attention_head_dim=8,
    )
    vae = AutoencoderKL(
        sample_size=512,
        block_out_channels=(128, 256, 512, 512),
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        layers_per_block=2,
        latent_channels=4,
    )
    text = CLIPTextModel(
        CLIPTextConfig(
            hidden_size=768, intermediate_size=3072, num_hidden_layers=12, num_attention_heads=12
        )
    )
    vision = {
        "hidden_size": 1024,
        "intermediate_size": 4096,
        "num_hidden_layers": 24,
        "num_attention_heads": 16,
        "patch_size": 14,
    }
    checker = StableDiffusionSafetyChecker(CLIPConfig(vision_config=vision, projection_dim=768))
    return unet, vae, text, checker


def tiny_networks() -> tuple[Any, Any, Any]:
    """Build a UNet, VAE and text encoder of the same kinds that make 32x32 images in no time."""
    unet = UNet2DConditionModel(
        sample_size=16,
        block_out_channels=(16, 32),
        layers_per_block=1,
        norm_num_groups=8,
        cross_attention_dim=32,
        attention_head_dim=8,
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
    )
    vae = AutoencoderKL(
        sample_size=32,
        block_out_channels=(16, 32),
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
        norm_num_groups=8,
        latent_channels=4,
    )
    text = CLIPTextModel(
        CLIPTextConfig(
            hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2
        )
    )
    return unet, vae, text


def tiny_safety_checker() -> Any:
    """Build a random checker of the real class for 32x32 images, which flags nothing."""
    torch.manual_seed(1)
    text = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1}
    vision = {**text, "num_attention_heads": 2, "image_size": 32, "patch_size": 8}
    text |= {"num_attention_heads": 2, "vocab_size": 64, "bos_token_id": 1, "eos_token_id": 2}
    checker = StableDiffusionSafetyChecker(
        CLIPConfig(text_config=text, vision_config=vision, projection_dim=16)
    )
    torch.nn.init.normal_(checker.visual_projection.weight)
    flag_nothing(checker)
    return checker


def flag_nothing(checker: Any) -> None:
    """Let a random safety checker pass every image: no cosine is over 2."""
    checker.concept_embeds_weights.data.fill_(2.0)
    checker.special_care_embeds_weights.data.fill_(2.0)


def published_scheduler() -> Any:
    """Return the scheduler that the published checkpoint comes with: PNDM, no Runge-Kutta steps."""
    return PNDMScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        skip_prk_steps=True,
        set_alpha_to_one=False,
        steps_offset=1,
    )
