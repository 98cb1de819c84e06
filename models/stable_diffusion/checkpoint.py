"""Loads Stable Diffusion: from prepared weights, from a directory, or from the hub."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import diffusers
import torch
from diffusers import StableDiffusionImg2ImgPipeline

from models.devices import prepare_device
from models.gpu import SharedGPUModel, claim, fitted, place
from models.interfaces import ModelInfo
from models.parameters import ImageToImageParameters
from models.roles import DIFFUSION
from models.stable_diffusion.compilation import check_toolchain, keep_compiled, warm_up
from models.stable_diffusion.components import Components
from models.stable_diffusion.config import (
    PUBLISHED_ID,
    PUBLISHED_REVISION,
    Precision,
    StableDiffusionConfig,
    missing_in,
    variant_of,
)
from models.stable_diffusion.image_to_image import ImageToImageSampler
from models.stable_diffusion.published import fetch_snapshot, source_of
from models.stable_diffusion.safety import SafetyChecker
from models.stable_diffusion.tuning import CompileMode, chosen_tuning, default_tuning, tuned
from models.weights_manifest import WeightsError, checked_directory

PUBLISHED_PROMPT = "a high-resolution photograph of a person's face"
# The last of the three says that the first is meant, so diffusers has nothing to warn of.
_WITHOUT_SAFETY_CHECKER: Mapping[str, Any] = {
    "safety_checker": None,
    "feature_extractor": None,
    "requires_safety_checker": False,
}


def load_pipeline(config: StableDiffusionConfig) -> StableDiffusionImg2ImgPipeline:
    """Load diffusers' own pipeline with an explicit precision, on the CPU.

    Raises:
        FileNotFoundError: the directory lacks a part of the checkpoint.
        WeightsError: nothing to load under `config.weights`, on disk or on the hub.
    """
    directory = _directory_of(config)
    if missing := missing_in(directory, config.safety_checker):
        raise FileNotFoundError(
            f"the directory {directory} has no {', '.join(missing)}: it must hold a whole "
            "checkpoint in diffusers' layout, with safetensors"
        )
    pipeline = StableDiffusionImg2ImgPipeline.from_pretrained(
        str(directory),
        # Without an explicit dtype half-precision files load mixed with float32 ones and crash.
        dtype=getattr(torch, config.resolved_precision),
        variant=variant_of(directory, config.resolved_precision),
        use_safetensors=True,
        local_files_only=True,
        low_cpu_mem_usage=False,
        **({} if config.safety_checker else _WITHOUT_SAFETY_CHECKER),
    )
    if config.scheduler is not None:
        scheduler_class = getattr(diffusers, config.scheduler)
        pipeline.scheduler = scheduler_class.from_config(pipeline.scheduler.config)
    return pipeline


def _directory_of(config: StableDiffusionConfig) -> Path:
    directory = Path(config.weights).expanduser()
    if directory.is_dir():
        return directory
    if directory.is_absolute() or config.weights.startswith((".", "~")):
        raise WeightsError(
            f"weights is {config.weights!r} and there is no such directory: prepare one with "
            "`make weights` and name it as `weights_dir`"
        )
    return fetch_snapshot(config.weights, config.revision, config.resolved_precision)


def components_of(pipeline: StableDiffusionImg2ImgPipeline) -> Components:
    """Take the parts that make an image out of a pipeline, in evaluation mode."""
    return Components(
        vae=pipeline.vae.eval(),
        text_encoder=pipeline.text_encoder.eval(),
        tokenizer=pipeline.tokenizer,
        unet=pipeline.unet.eval(),
        scheduler=pipeline.scheduler,
        safety=_safety_of(pipeline),
    )


def _safety_of(pipeline: StableDiffusionImg2ImgPipeline) -> SafetyChecker | None:
    if pipeline.safety_checker is None:
        return None
    return SafetyChecker(pipeline.safety_checker.eval(), pipeline.feature_extractor)


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
    weights_dir: str | None = None,
    safety_checker: bool = True,
    gpu_share: float | None = None,
    channels_last: bool | None = None,
    compile: CompileMode | None = None,
    compiled_images: Sequence[int] = (10,),
    compile_cache: str | None = None,
    **facts: Any,
) -> ImageToImageSampler | SharedGPUModel:
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
        weights_dir: directory that `make weights` prepared, in place of `weights` and `revision`;
            its files are checked against its manifest, and no network is touched.
        safety_checker: whether the checkpoint's safety checker, if it has one, judges the images.
        gpu_share: of a GPU, that this process keeps to; the whole one when absent.
        channels_last: layout of UNet and VAE in memory; what pays on the device when absent.
        compile: mode of `torch.compile`; UNet and decoder then compile, which takes minutes at
            the first start, before the model is returned. Call this and the model from one
            thread then (see `models.stable_diffusion.compilation.SizedCall`).
        compiled_images: sizes of sets to compile for; others run as they are.
        compile_cache: directory in which later starts find what was compiled;
            "~/.cache/twinset/compile" when absent.
        **facts: further fields of `ModelInfo`.

    Raises:
        RuntimeError: `device` names a GPU and there is none, or the model does not fit into its
            share.
        ValueError: an option has a value that cannot work.
        WeightsError: the weights are not there, not whole, or cannot be fetched.
    """
    target = prepare_device(device, torch_threads)
    memory = claim(target, gpu_share)
    if weights_dir is not None:
        weights, revision = _prepared(weights_dir, weights)
    config = StableDiffusionConfig(
        weights, revision, image_size_px, precision, str(target), scheduler, safety_checker
    )
    tuning = chosen_tuning(
        default_tuning(target, getattr(torch, config.resolved_precision)),
        channels_last,
        compile,
        compiled_images,
    )
    if tuning.compile:
        check_toolchain(target)
        keep_compiled(compile_cache)
    pipeline = load_pipeline(config)
    parts = pipeline.components.values()
    networks = [part for part in parts if isinstance(part, torch.nn.Module)]
    place(networks, target, memory, model_id)
    components = tuned(components_of(pipeline), tuning)
    chosen = {"prompt": PUBLISHED_PROMPT, **(defaults or {})}
    info = ModelInfo(
        id=model_id,
        role=DIFFUSION,
        revision=_revision_of(weights, revision, prepared=weights_dir is not None),
        image_size_px=image_size_px,
        defaults=asdict(ImageToImageParameters(**chosen)),
        licence=licence,
        device=str(target),
        precision=config.resolved_precision,
        scheduler=type(components.scheduler).__name__,
        safety_checker=components.safety is not None,
        compiled_images=tuning.compiled_images if tuning.compile else (),
        **facts,
    )
    sampler = ImageToImageSampler(components, info)
    warm_up(sampler, info.compiled_images)
    return fitted(sampler, memory)


def _prepared(weights_dir: str, weights: str) -> tuple[str, str | None]:
    """Return the directory of prepared weights, once it is known to be whole, and its commit."""
    if weights != PUBLISHED_ID:
        raise ValueError(
            f"weights is {weights!r} and weights_dir is {weights_dir!r}: give one of the two"
        )
    directory = checked_directory(weights_dir, DIFFUSION)
    return str(directory), source_of(directory).get("revision")


def _revision_of(weights: str, revision: str | None, prepared: bool) -> str:
    directory = Path(weights).expanduser()
    if directory.is_dir() and not (prepared and revision):
        return _directory_revision(directory)
    return str(revision)


def _directory_revision(directory: Path) -> str:
    """Return "sha256:..." over the weight files' names and contents, in order of their names."""
    digest = hashlib.sha256()
    for file in sorted(directory.rglob("*.safetensors")):
        digest.update(file.relative_to(directory).as_posix().encode())
        with file.open("rb") as opened:
            digest.update(hashlib.file_digest(opened, "sha256").digest())
    return f"sha256:{digest.hexdigest()}"
