"""The safety checker withholds what it flags, at its place, and touches nothing else."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from models.demo.factory import load_demo_diffusion
from models.parameters import ImageToImageParameters
from models.stable_diffusion.checkpoint import components_of, load_pipeline, load_stable_diffusion
from models.stable_diffusion.config import StableDiffusionConfig
from models.stable_diffusion.safety import SafetyChecker
from models.stable_diffusion.tuning import default_tuning, tuned
from tests.unit.stable_diffusion.conftest import face

SEEDS = list(range(40, 50))
PARAMETERS = ImageToImageParameters("a face", "a hat", 0.6, 3.0, 4)


def _pipeline(directory: Path, safety_checker: bool = True, precision: Any = "float32") -> Any:
    return load_pipeline(
        StableDiffusionConfig(
            str(directory), None, 32, precision, "cpu", safety_checker=safety_checker
        )
    )


def _sampler(directory: Path, **options: Any) -> Any:
    return load_stable_diffusion(str(directory), device="cpu", image_size_px=32, **options)


def _embed(checker: Any, extractor: Any, pixels: np.ndarray) -> torch.Tensor:
    features = extractor([Image.fromarray(one) for one in pixels], return_tensors="pt")
    pooled = checker.vision_model(features.pixel_values.to(checker.dtype))[1]
    return torch.nn.functional.normalize(checker.visual_projection(pooled))


def _flag_only(checker: Any, extractor: Any, pixels: np.ndarray, index: int) -> None:
    """Make one image a concept that is not to be shown, and set its threshold close to it."""
    with torch.no_grad():
        embeddings = _embed(checker, extractor, pixels)
        cosines = embeddings @ embeddings[index]
        others = torch.cat([cosines[:index], cosines[index + 1 :]])
        # The checker rounds to thousandths.
        assert others.max() < cosines[index] - 0.004, "no threshold could tell them apart"
        checker.concept_embeds[0] = embeddings[index]
        checker.concept_embeds_weights[0] = (others.max() + cosines[index]) / 2


@contextmanager
def _diffusers_log() -> Iterator[list[str]]:
    lines: list[str] = []
    handler = logging.Handler(logging.WARNING)
    handler.emit = lambda record: lines.append(record.getMessage())  # type: ignore[method-assign]
    logger = logging.getLogger("diffusers")
    logger.addHandler(handler)
    try:
        yield lines
    finally:
        logger.removeHandler(handler)


def test_a_flagged_image_is_withheld_at_its_place_and_nine_are_untouched(
    checked_directory: Path,
) -> None:
    unchecked = _sampler(checked_directory, safety_checker=False)
    plain = unchecked.generate(face(32), SEEDS, PARAMETERS)
    checked = _sampler(checked_directory)
    assert unchecked._components.safety is None
    assert checked._components.safety is not None
    pipeline = _pipeline(checked_directory)
    _flag_only(pipeline.safety_checker, pipeline.feature_extractor, plain.pixels, 3)
    checked._components = tuned(components_of(pipeline), default_tuning(torch.device("cpu")))
    made = checked.generate(face(32), SEEDS, PARAMETERS)
    assert tuple(plain.filtered) == ()
    assert tuple(made.filtered) == (3,)
    assert made.pixels.shape == plain.pixels.shape == (10, 32, 32, 3)
    assert not made.pixels[3].any()
    assert plain.pixels[3].std() > 5, "what was withheld was a picture"
    others = [index for index in range(10) if index != 3]
    assert np.array_equal(made.pixels[others], plain.pixels[others])
    # The state of the checker does not stay with what it judged.
    assert tuple(checked.generate(face(32), [1], PARAMETERS).filtered) == ()


@pytest.mark.parametrize("precision", ["float32", "float16", "bfloat16"])
def test_the_set_is_judged_at_once_as_diffusers_judges_it(
    precision: str, checked_directory: Path
) -> None:
    pipeline = _pipeline(checked_directory, precision=precision)
    checker = pipeline.safety_checker
    pixels = np.random.default_rng(0).integers(0, 256, (10, 32, 32, 3), np.uint8)
    inputs: list[torch.Tensor] = []
    checker.register_forward_pre_hook(
        lambda module, args, kwargs: inputs.append(kwargs["clip_input"]), with_kwargs=True
    )
    with torch.no_grad():  # a random concept, and the median as its threshold: flags half
        checker.concept_embeds[0] = torch.randn(16, generator=torch.Generator().manual_seed(5))
        cosines = _embed(checker, pipeline.feature_extractor, pixels) @ (
            torch.nn.functional.normalize(checker.concept_embeds[:1]).T
        )
        checker.concept_embeds_weights[0] = cosines.median()
    inputs.clear()
    ours = SafetyChecker(checker, pipeline.feature_extractor).flagged(pixels)
    scaled = torch.from_numpy(pixels).permute(0, 3, 1, 2) / 127.5 - 1
    _, theirs = pipeline.run_safety_checker(scaled, "cpu", getattr(torch, precision))
    ours_input, their_input = inputs
    assert ours == tuple(index for index, verdict in enumerate(theirs) if verdict)
    assert 0 < len(ours) < 10
    assert ours_input.shape[0] == 10
    assert ours_input.dtype == getattr(torch, precision)
    assert torch.equal(ours_input, their_input)


def test_it_is_on_where_the_checkpoint_ships_one_and_off_by_config_alone(
    checked_directory: Path, tiny_directory: Path
) -> None:
    assert components_of(_pipeline(checked_directory)).safety is not None
    assert components_of(_pipeline(tiny_directory)).safety is None
    with _diffusers_log() as warnings:
        assert components_of(_pipeline(checked_directory, safety_checker=False)).safety is None
        load_demo_diffusion()
    assert warnings == []


def test_an_option_that_is_no_boolean_is_refused() -> None:
    with pytest.raises(ValueError, match="safety_checker is 'false'"):
        StableDiffusionConfig(safety_checker="false")  # type: ignore[arg-type]


def test_a_checker_without_a_verdict_lets_nothing_pass(checked_directory: Path) -> None:
    sampler = _sampler(checked_directory)
    checker = sampler._components.safety._checker
    with torch.no_grad():
        checker.visual_projection.weight.fill_(float("nan"))
    with pytest.raises(RuntimeError, match="no image may be shown"):
        sampler.generate(face(32), [1], PARAMETERS)


def test_the_published_names_of_weights_are_understood(checked_directory: Path) -> None:
    # An unknown name is a warning and a random checker, which flags nothing.
    checker = _pipeline(checked_directory).safety_checker
    weights = checker.visual_projection.weight
    assert torch.equal(checker.concept_embeds_weights, torch.full((17,), 2.0))
    assert weights.std() > 0.5  # as the fixture made it; a fresh one has 0.02
    again = _pipeline(checked_directory).safety_checker
    for (name, first), second in zip(
        checker.state_dict().items(), again.state_dict().values(), strict=True
    ):
        assert torch.equal(first, second), name


def test_a_checkpoint_that_lists_a_checker_and_lacks_it_is_refused(
    checked_directory: Path, tmp_path: Path
) -> None:
    stripped = tmp_path / "stripped"
    stripped.mkdir()
    for path in checked_directory.iterdir():
        if path.name != "safety_checker":
            (stripped / path.name).symlink_to(path)
    with pytest.raises(FileNotFoundError, match=r"has no safety_checker/\*\.safetensors"):
        _pipeline(stripped)
    assert components_of(_pipeline(stripped, safety_checker=False)).safety is None
