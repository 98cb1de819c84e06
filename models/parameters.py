"""What a caller may turn: the parameters of one set, checked and independent of any server."""

import math
from dataclasses import dataclass

MAX_DIVERSITY_FACTOR = 10.0
MAX_GUIDANCE_SCALE = 30.0
MAX_NUM_INFERENCE_STEPS = 150


@dataclass(frozen=True)
class VariationParameters:
    """Parameters of a VAE set.

    Attributes:
        diversity_factor: scale of the latent noise, in [0, 10]; 0 is the plain reconstruction.
    """

    diversity_factor: float = 7.0

    def __post_init__(self) -> None:
        """Refuse values outside the range, naming the value and the fix."""
        _check_range("diversity_factor", self.diversity_factor, 0.0, MAX_DIVERSITY_FACTOR)


@dataclass(frozen=True)
class ImageToImageParameters:
    """Parameters of a diffusion set; names and meanings are diffusers'.

    Attributes:
        prompt: what the images should show; may be empty.
        negative_prompt: what they should not show; may be empty.
        strength: share of the noise schedule that is applied to the input, in (0, 1].
        guidance_scale: classifier-free guidance (Ho and Salimans 2022), in [0, 30]; at 1 or
            below guidance is off.
        num_inference_steps: steps of the full schedule, 1 to 150; about
            `num_inference_steps * strength` of them are run.
    """

    prompt: str
    negative_prompt: str = ""
    strength: float = 0.6
    guidance_scale: float = 7.5
    num_inference_steps: int = 50

    def __post_init__(self) -> None:
        """Refuse values outside their ranges, naming the value and the fix."""
        _check_range("strength", self.strength, 0.0, 1.0)
        _check_range("guidance_scale", self.guidance_scale, 0.0, MAX_GUIDANCE_SCALE)
        _check_range("num_inference_steps", self.num_inference_steps, 1, MAX_NUM_INFERENCE_STEPS)
        if int(self.num_inference_steps * self.strength) < 1:
            raise ValueError(
                f"strength {self.strength} of num_inference_steps {self.num_inference_steps} "
                "leaves no step to run: raise strength or num_inference_steps until "
                "num_inference_steps * strength is at least 1"
            )


Parameters = VariationParameters | ImageToImageParameters


def _check_range(name: str, value: float, low: float, high: float) -> None:
    if not (math.isfinite(value) and low <= value <= high):
        raise ValueError(f"{name} is {value}: it must be between {low:g} and {high:g}")
