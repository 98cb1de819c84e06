"""Steps are queued ahead of a GPU, and on a real one nothing waits for it between two of them."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from models.interfaces import ModelInfo
from models.parameters import ImageToImageParameters
from models.stable_diffusion.checkpoint import components_of, load_pipeline
from models.stable_diffusion.config import StableDiffusionConfig
from models.stable_diffusion.image_to_image import ImageToImageSampler
from tests.unit.stable_diffusion.conftest import face

SCHEDULERS = [
    "PNDMScheduler",
    "DDIMScheduler",
    "DPMSolverMultistepScheduler",
    "DPMSolverSinglestepScheduler",
    "EulerDiscreteScheduler",
    "EulerAncestralDiscreteScheduler",
    "HeunDiscreteScheduler",
    "LMSDiscreteScheduler",
    "UniPCMultistepScheduler",
    "LCMScheduler",
    "DDPMScheduler",
    "DEISMultistepScheduler",
    "KDPM2DiscreteScheduler",
    "KDPM2AncestralDiscreteScheduler",
    "SASolverScheduler",
    "TCDScheduler",
]
PARAMETERS = ImageToImageParameters("a face", "a hat", 0.8, 3.0, 8)


def _sampler(directory: Path, scheduler: str, device: str = "cpu") -> ImageToImageSampler:
    config = StableDiffusionConfig(str(directory), None, 32, "float32", device, scheduler)
    info = ModelInfo("tested", "stable_diffusion", "none", 32, {})
    return ImageToImageSampler(components_of(load_pipeline(config).to(device)), info)


def test_the_pictures_of_paced_steps_are_those_of_steps_one_by_one(
    tiny_directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sampler = _sampler(tiny_directory, "DDIMScheduler")
    plain: list[tuple[int, int]] = []
    expected = sampler.generate(face(32), [1, 2], PARAMETERS, lambda *one: plain.append(one))
    calls: list[int] = []
    sampler._components.unet.register_forward_hook(lambda *_: calls.append(1))
    seen: list[tuple[int, int, int]] = []
    monkeypatch.setattr(
        "models.stable_diffusion.image_to_image.end_marker", lambda device: _Immediate
    )
    made = sampler.generate(face(32), [1, 2], PARAMETERS, lambda *one: seen.append((*one, *calls)))
    assert np.array_equal(made.pixels, expected.pixels)
    assert [one[:2] for one in seen] == plain
    # Two calls of the UNet were queued whenever a step was told of, the last one excepted.
    assert [len(one) - 2 for one in seen] == [2, 3, 4, 5, 6, 6]


class _Immediate:
    def synchronize(self) -> None:
        pass


@pytest.fixture
def syncs_are_allowed_again() -> Iterator[None]:
    yield
    torch.cuda.set_sync_debug_mode("default")


@pytest.mark.usefixtures("syncs_are_allowed_again")
@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU here")
@pytest.mark.parametrize("scheduler", SCHEDULERS)
def test_a_gpu_is_never_waited_for_between_two_steps(scheduler: str, tiny_directory: Path) -> None:
    sampler = _sampler(tiny_directory, scheduler, "cuda")
    steps: list[int] = []

    def watch(step: int, total: int) -> None:
        steps.append(step)
        # Told of a step, the next one is queued already: the last one that is queued under watch
        # is the last of all.
        torch.cuda.set_sync_debug_mode("default" if step >= total - 1 else "error")

    made = sampler.generate(face(32), [1, 2, 3], PARAMETERS, watch)
    assert steps == list(range(1, len(steps) + 1))
    assert made.pixels.std() > 5
