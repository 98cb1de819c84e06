"""Plain diffusers, as everybody would call it: what all compared servers share.

Nothing here is quicker than diffusers' own documentation: its pipeline, called for one image or
for a batch. Only the number of torch's threads is set, to the same in every arm.
"""

from collections.abc import Sequence
from types import TracebackType
from typing import Any, Self

import torch
from diffusers import StableDiffusionImg2ImgPipeline
from PIL import Image

from benchmarks.comparison.job import TORCH_THREADS, WEIGHTS, DiffusionJob
from benchmarks.comparison.pictures import opened


def load_pipeline(threads: int = TORCH_THREADS) -> Any:
    """Load diffusers' image-to-image pipeline of the demo's weights, in float32 on the CPU.

    Args:
        threads: torch's CPU threads, also for threads of this process that start later.
    """
    torch.set_num_threads(threads)
    pipeline = StableDiffusionImg2ImgPipeline.from_pretrained(
        str(WEIGHTS),
        dtype=torch.float32,
        use_safetensors=True,
        local_files_only=True,
        low_cpu_mem_usage=False,
    )
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def one(
    pipeline: Any, job: DiffusionJob, seed: int, face: Image.Image | None = None
) -> Image.Image:
    """Make one image, as in a notebook: one call, one generator.

    Args:
        pipeline: of `load_pipeline`.
        job: its seeds are not looked at.
        seed: of the image.
        face: the job's picture, where it is open already.
    """
    generator = torch.Generator().manual_seed(seed)
    image: Image.Image = pipeline(**_arguments(job, face), generator=generator).images[0]
    return image


def batched(pipeline: Any, job: DiffusionJob) -> list[Image.Image]:
    """Make the job's images in one call, with a list of generators."""
    generators = [torch.Generator().manual_seed(seed) for seed in job.seeds]
    images: list[Image.Image] = pipeline(
        **_arguments(job), num_images_per_prompt=len(job.seeds), generator=generators
    ).images
    return images


class CallCounts:
    """Counts the passes of a pipeline's UNet and image encoder while the context lasts.

    Attributes:
        unet: passes of the UNet, each over a whole batch.
        encoder: passes of the VAE's encoder.
    """

    def __init__(self, pipeline: Any) -> None:
        """Take a pipeline; nothing is counted before the context begins."""
        self.unet = 0
        self.encoder = 0
        self._pipeline = pipeline
        self._hooks: Sequence[Any] = ()

    def __enter__(self) -> Self:
        """Begin to count."""
        self._hooks = (
            self._pipeline.unet.register_forward_hook(self._count_unet),
            self._pipeline.vae.encoder.register_forward_hook(self._count_encoder),
        )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop counting."""
        for hook in self._hooks:
            hook.remove()

    def _count_unet(self, *_: Any) -> None:
        self.unet += 1

    def _count_encoder(self, *_: Any) -> None:
        self.encoder += 1


def _arguments(job: DiffusionJob, face: Image.Image | None = None) -> dict[str, Any]:
    return {
        "prompt": job.prompt,
        "image": face or opened(job.picture),
        "strength": job.strength,
        "guidance_scale": job.guidance_scale,
        "num_inference_steps": job.num_inference_steps,
    }
