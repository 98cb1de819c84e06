"""The sampler's pixels are diffusers' own, for a tenth of the encoder calls."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from models.demo.factory import SAMPLE_FACE, WEIGHTS
from models.interfaces import ModelInfo
from models.parameters import ImageToImageParameters
from models.stable_diffusion.checkpoint import components_of, load_pipeline, load_stable_diffusion
from models.stable_diffusion.config import StableDiffusionConfig
from models.stable_diffusion.image_to_image import ImageToImageSampler
from models.stable_diffusion.tuning import Tuning, default_tuning, tuned
from tests.unit.stable_diffusion.test_syncs import SCHEDULERS as ALL_SCHEDULERS

pytestmark = pytest.mark.heavy

SCHEDULERS = [
    "PNDMScheduler",
    "DPMSolverMultistepScheduler",
    "DDIMScheduler",
    "EulerDiscreteScheduler",
]
SEEDS = list(range(40, 50))
PLAIN = Tuning()
PARAMETERS = ImageToImageParameters(
    prompt="a face",
    negative_prompt="a hat",
    strength=0.6,
    guidance_scale=3.0,
    num_inference_steps=8,
)


def _face(side: int) -> np.ndarray:
    image = Image.open(SAMPLE_FACE).convert("RGB").resize((side, side), Image.Resampling.LANCZOS)
    return np.asarray(image, dtype=np.uint8)


def _pipeline(weights: Path, side: int, scheduler: str) -> Any:
    return load_pipeline(
        StableDiffusionConfig(str(weights), None, side, "float32", "cpu", scheduler)
    )


def _sampler(pipeline: Any, side: int, tuning: Tuning = PLAIN) -> ImageToImageSampler:
    info = ModelInfo("tested", "stable_diffusion", "none", side, {})
    return ImageToImageSampler(tuned(components_of(pipeline), tuning), info)


def _diffusers_images(pipeline: Any, face: np.ndarray, parameters: ImageToImageParameters) -> Any:
    pipeline.set_progress_bar_config(disable=True)
    return pipeline(
        prompt=parameters.prompt,
        negative_prompt=parameters.negative_prompt,
        image=Image.fromarray(face),
        strength=parameters.strength,
        guidance_scale=parameters.guidance_scale,
        num_inference_steps=parameters.num_inference_steps,
        num_images_per_prompt=len(SEEDS),
        generator=[torch.Generator().manual_seed(seed) for seed in SEEDS],
    ).images


def _count_encoder_calls(pipeline: Any) -> list[int]:
    calls: list[int] = []
    pipeline.vae.encoder.register_forward_hook(lambda m, inputs, o: calls.append(len(inputs[0])))
    return calls


@pytest.mark.parametrize("scheduler", SCHEDULERS)
@pytest.mark.parametrize(
    ("weights", "tuning"),
    [
        pytest.param("tiny", PLAIN, id="tiny"),
        pytest.param("demo", PLAIN, id="demo", marks=pytest.mark.slow),
        pytest.param(
            "demo", default_tuning(torch.device("cpu")), id="demo-tuned", marks=pytest.mark.slow
        ),
    ],
)
def test_the_pixels_are_those_of_diffusers_own_pipeline(
    weights: str, tuning: Tuning, scheduler: str, tiny_directory: Path
) -> None:
    directory = tiny_directory if weights == "tiny" else WEIGHTS / "stable_diffusion"
    side = 32 if weights == "tiny" else 128
    pipeline = _pipeline(directory, side, scheduler)
    face = _face(side)
    calls = _count_encoder_calls(pipeline)
    theirs = np.stack([np.asarray(one) for one in _diffusers_images(pipeline, face, PARAMETERS)])
    assert len(calls) == 10
    calls.clear()
    # diffusers came first: the modules of its pipeline are tuned in place.
    ours = _sampler(pipeline, side, tuning).generate(face, SEEDS, PARAMETERS)
    assert calls == [1]
    assert ours.encoder_calls == 1
    assert np.abs(ours.pixels.astype(int) - theirs).max() <= 1
    assert ours.pixels.std() > 5, "a flat picture would agree with anything"


@pytest.mark.parametrize("scheduler", sorted({*ALL_SCHEDULERS} - {*SCHEDULERS}))
def test_noise_and_coefficients_made_beforehand_are_those_of_diffusers_steps(
    scheduler: str, tiny_directory: Path
) -> None:
    pipeline, face = _pipeline(tiny_directory, 32, scheduler), _face(32)
    theirs = np.stack([np.asarray(one) for one in _diffusers_images(pipeline, face, PARAMETERS)])
    sampler = _sampler(pipeline, 32)
    for _ in range(2):  # the second time from what the first one remembered
        ours = sampler.generate(face, SEEDS, PARAMETERS)
        assert np.abs(ours.pixels.astype(int) - theirs).max() <= 1
    assert np.ptp(ours.pixels) > 20


def test_guidance_off_is_diffusers_guidance_off(tiny_directory: Path) -> None:
    pipeline = _pipeline(tiny_directory, 32, "DDIMScheduler")
    parameters = ImageToImageParameters("a face", "", 1.0, 1.0, 5)
    theirs = np.stack(
        [np.asarray(one) for one in _diffusers_images(pipeline, _face(32), parameters)]
    )
    ours = _sampler(pipeline, 32).generate(_face(32), SEEDS, parameters)
    assert np.abs(ours.pixels.astype(int) - theirs).max() <= 1


def test_unet_calls_are_counted_not_computed(tiny_directory: Path) -> None:
    pipeline = _pipeline(tiny_directory, 32, "PNDMScheduler")
    calls: list[int] = []
    pipeline.unet.register_forward_hook(lambda *_: calls.append(1))
    parameters = ImageToImageParameters("a face", "", 0.6, 7.5, 50)
    made = _sampler(pipeline, 32).generate(_face(32), [1], parameters)
    assert made.unet_calls == len(calls) == 31  # PNDM runs one more than 50 * 0.6


def test_an_image_depends_on_its_own_seed_alone(tiny_directory: Path) -> None:
    sampler = _sampler(_pipeline(tiny_directory, 32, "DDIMScheduler"), 32)
    ten = sampler.generate(_face(32), SEEDS, PARAMETERS).pixels
    alone = sampler.generate(_face(32), [SEEDS[7]], PARAMETERS).pixels
    assert np.abs(alone[0].astype(int) - ten[7]).max() <= 1
    assert len({image.tobytes() for image in ten}) == 10


def test_the_callback_sees_each_step_and_can_end_the_set(tiny_directory: Path) -> None:
    pipeline = _pipeline(tiny_directory, 32, "DDIMScheduler")
    sampler = _sampler(pipeline, 32)
    seen: list[tuple[int, int]] = []

    def stop_after_two(step: int, total: int) -> None:
        seen.append((step, total))
        if step == 2:
            raise KeyError("enough")

    with pytest.raises(KeyError, match="enough"):
        sampler.generate(_face(32), SEEDS, PARAMETERS, stop_after_two)
    assert seen == [(1, 4), (2, 4)]
    # What was ended leaves nothing behind that the next set could feel.
    again = sampler.generate(_face(32), SEEDS, PARAMETERS).pixels
    assert np.array_equal(again, sampler.generate(_face(32), SEEDS, PARAMETERS).pixels)


def test_a_prompt_is_encoded_once_and_a_long_one_is_reported(tiny_directory: Path) -> None:
    pipeline = _pipeline(tiny_directory, 32, "DDIMScheduler")
    calls: list[int] = []
    pipeline.text_encoder.register_forward_hook(lambda *_: calls.append(1))
    sampler = _sampler(pipeline, 32)
    for _ in range(2):
        made = sampler.generate(_face(32), SEEDS, PARAMETERS)
    assert len(calls) == 2  # the prompt and the negative prompt, over two sets
    assert made.notes == ()
    long = ImageToImageParameters("face " * 60, "", 0.5, 1.0, 2)
    (note,) = sampler.generate(_face(32), [1], long).notes
    assert "cut off" in note


def test_the_factory_loads_a_directory_and_names_its_weights(tiny_directory: Path) -> None:
    model = load_stable_diffusion(str(tiny_directory), device="cpu", image_size_px=32)
    assert model.info.precision == "float32"
    assert model.info.revision.startswith("sha256:")
    assert model.info.defaults["num_inference_steps"] == 50
    assert model.generate(_face(32), [1], PARAMETERS).pixels.shape == (1, 32, 32, 3)


def test_bad_settings_get_a_sentence() -> None:
    with pytest.raises(ValueError, match="multiple of 8"):
        StableDiffusionConfig(image_size_px=100)
    with pytest.raises(ValueError, match="precision"):
        StableDiffusionConfig(precision="int8")  # type: ignore[arg-type]
