"""Our pixels beside those that diffusers' own pipeline makes of the same seeds, on this card."""

from typing import Any

from benchmarks.gpu.model_copies import ModelCopies
from benchmarks.gpu.parts import CheckSetting, Tell
from benchmarks.gpu.race import likeness
from benchmarks.gpu.variant import Variant
from benchmarks.gpu.weights import model_of
from benchmarks.gpu.workload import Precision

PRECISIONS: tuple[Precision, ...] = ("float16", "float32", "bfloat16")


def run(setting: CheckSetting, tell: Tell) -> None:
    """Make a set of ten with both in each precision, and look for the worst image."""
    model = model_of(setting, tell)
    for precision in PRECISIONS:
        tell(f"makes two sets in {precision}")
        tell(**{precision: compared(model, precision)})


def compared(model: ModelCopies, precision: Precision) -> dict[str, Any]:
    """Return how far apart the images are; of the worst one, its seed as well.

    Images differ most where their PSNR is least; equal ones have none.
    """
    ours = Variant("ours", precision).maker(model)().pixels
    theirs = Variant("diffusers", precision).maker(model)().pixels
    alike = [likeness(ours[[index]], theirs[[index]]) for index in range(len(ours))]
    worst = min(range(len(alike)), key=lambda index: alike[index]["psnr_db"] or float("inf"))
    return {
        "all": likeness(ours, theirs),
        "worst": alike[worst],
        "worst_seed": worst,  # seeds are 0 to 9
        "equal_images": sum(one["equal"] for one in alike),
    }
