"""Loads Stable Diffusion from a directory or the hub; the only file here that knows the hub."""

import hashlib
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import diffusers
import torch
from diffusers import StableDiffusionImg2ImgPipeline

from models.devices import prepare_device
from models.interfaces import ModelInfo
from models.parameters import ImageToImageParameters
from models.stable_diffusion.components import Components
from models.stable_diffusion.config import (
    PUBLISHED_ID,
    PUBLISHED_REVISION,
    Precision,
    StableDiffusionConfig,
)
from models.stable_diffusion.image_to_image import ImageToImageSampler

PUBLISHED_PROMPT = "a high-resolution photograph of a person's face"


def load_pipeline(config: StableDiffusionConfig) -> StableDiffusionImg2ImgPipeline:
    """Load diffusers' own pipeline with an explicit precision, on the configured device.

    Raises:
        OSError: nothing to load under `config.weights`, on disk or on the hub.
    """
    is_directory = Path(config.weights).expanduser().is_dir()
    pipeline = StableDiffusionImg2ImgPipeline.from_pretrained(
        str(Path(config.weights).expanduser()) if is_directory else config.weights,
        revision=None if is_directory else config.revision,
        # Without an explicit dtype half-precision files load mixed with float32 ones and crash.
        dtype=getattr(torch, config.resolved_precision),
        use_safetensors=True,
        local_files_only=is_directory,
        low_cpu_mem_usage=False,
    )
    if config.scheduler is not None:
        scheduler_class = getattr(diffusers, config.scheduler)
        pipeline.scheduler = scheduler_class.from_config(pipeline.scheduler.config)
    return pipeline.to(config.device)


def components_of(pipeline: StableDiffusionImg2ImgPipeline) -> Components:
    """Take the parts that make an image out of a pipeline, in evaluation mode."""
    return Components(
        vae=pipeline.vae.eval(),
        text_encoder=pipeline.text_encoder.eval(),
        tokenizer=pipeline.tokenizer,
        unet=pipeline.unet.eval(),
        scheduler=pipeline.scheduler,
    )


def load_stable_diffusion(
    weights: str = PUBLISHED_ID,
    revision: str | None = PUBLISHED_REVISION,
    device: str = "cuda",
    precision: Precision | None = None,
    image_size_px: int = 512,
    scheduler: str | None = None,
    torch_threads: int | None = None,
    model_id: str = "stable-diffusion-v1-5",
    licence: str = "CreativeML OpenRAIL-M; its use restrictions pass on to users",
    defaults: Mapping[str, Any] | None = None,
    **facts: Any,
) -> ImageToImageSampler:
    """Load the model that a Stable Diffusion deployment serves: a model factory.

    Args:
        weights: directory in diffusers' layout, or the id of a repository on the hub.
        revision: commit of the repository.
        device: "cpu", "cuda" or "cuda:N"; never replaced by another in silence.
        precision: "float32", "float16" or "bfloat16"; by device when absent.
        image_size_px: side of the images.
        scheduler: name of a scheduler class of diffusers, in place of the checkpoint's own.
        torch_threads: CPU threads for one operation; torch's own choice when absent.
        model_id: the id callers see.
        licence: of the weights.
        defaults: parameters used when a caller names none.
        **facts: further fields of `ModelInfo`.
    """
    target = prepare_device(device, torch_threads)
    config = StableDiffusionConfig(weights, revision, image_size_px, precision, device, scheduler)
    components = components_of(load_pipeline(config))
    directory = Path(weights).expanduser()
    chosen = {"prompt": PUBLISHED_PROMPT, **(defaults or {})}
    info = ModelInfo(
        id=model_id,
        role="stable_diffusion",
        revision=_directory_revision(directory) if directory.is_dir() else str(revision),
        image_size_px=image_size_px,
        defaults=asdict(ImageToImageParameters(**chosen)),
        licence=licence,
        device=str(target),
        precision=config.resolved_precision,
        scheduler=type(components.scheduler).__name__,
        **facts,
    )
    return ImageToImageSampler(components, info)


def _directory_revision(directory: Path) -> str:
    """Return "sha256:..." over the weight files' names and contents, in order of their names."""
    digest = hashlib.sha256()
    for file in sorted(directory.rglob("*.safetensors")):
        digest.update(file.relative_to(directory).as_posix().encode())
        with file.open("rb") as opened:
            digest.update(hashlib.file_digest(opened, "sha256").digest())
    return f"sha256:{digest.hexdigest()}"
