"""A tiny random Stable Diffusion with the published one's structure: four latent channels."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import StableDiffusionImg2ImgPipeline
from PIL import Image
from safetensors.torch import load_file, save_file
from transformers import CLIPImageProcessor, CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from benchmarks.gpu.networks import published_scheduler, tiny_networks, tiny_safety_checker
from models.demo.factory import SAMPLE_FACE


def face(side: int) -> np.ndarray:
    """Return the sample face as (side, side, 3) uint8."""
    image = Image.open(SAMPLE_FACE).convert("RGB").resize((side, side), Image.Resampling.LANCZOS)
    return np.asarray(image, dtype=np.uint8)


# Of the attention in the VAE's middle, by what diffusers calls them today.
_ATTENTION_NAMES_2022 = {
    ".to_q.": ".query.",
    ".to_k.": ".key.",
    ".to_v.": ".value.",
    ".to_out.0.": ".proj_attn.",
}


def use_published_names(directory: Path) -> None:
    """Name a checkpoint's CLIP and VAE weights as the published files of 2022 do.

    They came before transformers dropped a level of its modules, and before diffusers renamed its
    attention: a name that is not understood would leave random weights behind, with a warning.
    """
    for file in (directory / "vae").glob("*.safetensors"):
        weights = load_file(file)
        for new, old in _ATTENTION_NAMES_2022.items():
            weights = {name.replace(new, old): value for name, value in weights.items()}
        save_file(weights, file, metadata={"format": "pt"})
    for part, old, new in (
        ("text_encoder", "", "text_model."),
        ("safety_checker", "vision_model.", "vision_model.vision_model."),
    ):
        for file in (directory / part).glob("*.safetensors"):
            weights = load_file(file)
            renamed = {
                new + name.removeprefix(old) if name.startswith(old) else name: value
                for name, value in weights.items()
            }
            side = next(value for name, value in weights.items() if "position_embedding" in name)
            renamed[f"{new}embeddings.position_ids"] = torch.arange(len(side))[None]
            save_file(renamed, file, metadata={"format": "pt"})


def _tokenizer(directory: Path) -> CLIPTokenizer:
    letters = [chr(code) for code in range(33, 127)]
    tokens = [*letters, *(f"{one}</w>" for one in letters), "<|startoftext|>", "<|endoftext|>"]
    directory.mkdir(parents=True)
    vocabulary = {token: index for index, token in enumerate(tokens)}
    (directory / "vocab.json").write_text(json.dumps(vocabulary))
    (directory / "merges.txt").write_text("#version: 0.2\nf a\nfa c\n")
    for merge in ("fa", "fac"):
        vocabulary[merge] = len(vocabulary)
    (directory / "vocab.json").write_text(json.dumps(vocabulary))
    settings = {"tokenizer_class": "CLIPTokenizer", "model_max_length": 24}
    (directory / "tokenizer_config.json").write_text(json.dumps(settings))
    return CLIPTokenizer.from_pretrained(directory)


@pytest.fixture(scope="session")
def tiny_directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a directory in diffusers' layout with random weights and 4 latent channels."""
    directory = tmp_path_factory.mktemp("tiny-diffusion")
    torch.manual_seed(0)
    tokenizer = _tokenizer(directory / "made-tokenizer")
    text = CLIPTextConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=24,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
    )
    unet, vae, _ = tiny_networks()
    pipeline = StableDiffusionImg2ImgPipeline(
        vae=vae,
        text_encoder=CLIPTextModel(text),
        tokenizer=tokenizer,
        unet=unet,
        scheduler=published_scheduler(),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    target = directory / "model"
    pipeline.save_pretrained(target)
    return target


@pytest.fixture(scope="session")
def checked_directory(tiny_directory: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the tiny model as the published one is stored: safety checker, both precisions."""
    target = tmp_path_factory.mktemp("checked-diffusion") / "model"
    pipeline = StableDiffusionImg2ImgPipeline.from_pretrained(
        tiny_directory,
        safety_checker=tiny_safety_checker(),
        feature_extractor=CLIPImageProcessor(
            size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32}
        ),
        requires_safety_checker=True,
        low_cpu_mem_usage=False,
    )
    pipeline.save_pretrained(target)
    pipeline.to(dtype=torch.float16).save_pretrained(target, variant="fp16")
    shutil.rmtree(target / "tokenizer")
    shutil.copytree(tiny_directory.parent / "made-tokenizer", target / "tokenizer")
    use_published_names(target)
    return target
