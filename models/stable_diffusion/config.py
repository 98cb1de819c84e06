"""How a Stable Diffusion checkpoint is loaded."""

from dataclasses import dataclass
from typing import Literal

Precision = Literal["float32", "float16", "bfloat16"]
PUBLISHED_ID = "stable-diffusion-v1-5/stable-diffusion-v1-5"
PUBLISHED_REVISION = "451f4fe16113bff5a5d2269ed5ad43b0592e9a14"
PRECISIONS: tuple[Precision, ...] = ("float32", "float16", "bfloat16")


@dataclass(frozen=True)
class StableDiffusionConfig:
    """What to load, and how.

    Attributes:
        weights: a directory in diffusers' layout, or the id of a repository on the hub.
        revision: commit of the repository; without meaning for a directory.
        image_size_px: side of the square images, a multiple of 8.
        precision: of weights and computation; the default is float16 on a GPU, else float32.
        device: "cpu", "cuda" or "cuda:N".
        scheduler: class name of diffusers' to use in place of the checkpoint's own.
    """

    weights: str = PUBLISHED_ID
    revision: str | None = PUBLISHED_REVISION
    image_size_px: int = 512
    precision: Precision | None = None
    device: str = "cuda"
    scheduler: str | None = None

    def __post_init__(self) -> None:
        """Refuse what cannot work, naming the value and the fix."""
        if self.precision not in (None, *PRECISIONS):
            raise ValueError(f"precision is {self.precision!r}: use one of {', '.join(PRECISIONS)}")
        if self.image_size_px < 8 or self.image_size_px % 8:
            raise ValueError(
                f"image_size_px is {self.image_size_px}: use a multiple of 8, such as 512"
            )

    @property
    def resolved_precision(self) -> Precision:
        """The precision asked for, or the sensible one for the device."""
        if self.precision is not None:
            return self.precision
        return "float16" if self.device.startswith("cuda") else "float32"
