"""What is made again and again: one set, in full size or tiny."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import torch

from models.parameters import ImageToImageParameters

Precision = Literal["float32", "float16", "bfloat16"]
DTYPES: Mapping[Precision, torch.dtype] = {
    "float32": torch.float32,
    "float16": torch.float16,
    "bfloat16": torch.bfloat16,
}
VAE_SHARE, DIFFUSION_SHARE = 0.05, 0.45
"""Of a card, for one replica: those of serve_config.yaml."""
PROMPT = "a high-resolution photograph of a person's face"


@dataclass(frozen=True)
class Workload:
    """One set and how often it is timed.

    Attributes:
        name: "full" or "tiny".
        images: of a set.
        half_images: of the half that another replica may make.
        image_px: side of the images.
        strength: of diffusers' image-to-image.
        guidance_scale: of diffusers' image-to-image.
        num_inference_steps: of diffusers' image-to-image.
        repetitions: timed sets of an arm, after one that warms it up.
        too_many_images: of a set that no share holds.
        busy_s: how long processes that share a card make sets side by side.
        matrix_side: of the product of two square matrices that the floor is computed from.
    """

    name: str
    images: int = 10
    half_images: int = 5
    image_px: int = 512
    strength: float = 0.6
    guidance_scale: float = 7.5
    num_inference_steps: int = 50
    repetitions: int = 5
    matrix_side: int = 8192
    too_many_images: int = 400
    busy_s: float = 10.0

    def __post_init__(self) -> None:
        """Refuse what cannot be measured, naming the value and the fix."""
        if not 1 <= self.repetitions <= 100:
            raise ValueError(f"repetitions is {self.repetitions}: use 1 to 100")
        if self.guidance_scale <= 1:
            raise ValueError(
                f"guidance_scale is {self.guidance_scale}: use one over 1, every figure counts two "
                "samples an image"
            )

    @property
    def parameters(self) -> ImageToImageParameters:
        """What a caller would ask for."""
        return ImageToImageParameters(
            PROMPT, "", self.strength, self.guidance_scale, self.num_inference_steps
        )

    @property
    def unet_calls(self) -> int:
        """How many the arms are expected to count: PNDM without Runge-Kutta steps makes one more.

        Only the floor uses it, before anything has run; each arm counts its own.
        """
        return int(self.num_inference_steps * self.strength) + 1


FULL = Workload("full")
TINY = Workload(
    "tiny",
    images=2,
    half_images=1,
    image_px=32,
    num_inference_steps=2,
    repetitions=2,
    matrix_side=64,
    too_many_images=3,
    busy_s=0.5,
)
