"""The embedded diffusion model beside the embedded VAE: sharper, and following the input."""

from collections.abc import Sequence

import numpy as np
import pytest

from models.demo.faces import render_faces
from models.demo.factory import load_demo_diffusion, load_demo_vae
from models.interfaces import ImageToImageModel, RGBPixels
from models.parameters import ImageToImageParameters, VariationParameters
from models.set_metrics import SetMetrics, descriptor, measure

pytestmark = [pytest.mark.heavy, pytest.mark.slow]

SEEDS = [1, 2, 3, 4]


@pytest.fixture(scope="module")
def faces() -> list[RGBPixels]:
    """Return four faces that no weights were trained on."""
    return [render_faces([seed], 512).pixels[0] for seed in (9001, 9002, 9003, 9004)]


@pytest.fixture(scope="module")
def diffusion() -> ImageToImageModel:
    """Return the embedded diffusion model."""
    return load_demo_diffusion()


def _metrics(images: RGBPixels, face: RGBPixels) -> SetMetrics:
    return measure(np.stack([descriptor(image) for image in images]), descriptor(face))


def _diffused(model: ImageToImageModel, face: RGBPixels, **changes: float) -> SetMetrics:
    parameters = ImageToImageParameters(**{**model.info.defaults, **changes})
    return _metrics(model.generate(face, SEEDS, parameters).pixels, face)


def _sharpness(sets: Sequence[SetMetrics]) -> float:
    return float(np.mean([one.laplacian_variance for one in sets]))


def test_diffusion_is_sharp_and_its_images_differ(
    diffusion: ImageToImageModel, faces: list[RGBPixels]
) -> None:
    """At the defaults: three times the VAE's sharpness, half of the input's, plainly different."""
    vae = load_demo_vae()
    parameters = VariationParameters(**vae.info.defaults)
    blurred = [_metrics(vae.generate(face, SEEDS, parameters).pixels, face) for face in faces]
    sharp = [_diffused(diffusion, face) for face in faces]
    inputs = [_metrics(face[np.newaxis], face) for face in faces]
    assert _sharpness(sharp) >= 3.0 * _sharpness(blurred)
    assert _sharpness(sharp) >= 0.5 * _sharpness(inputs)
    assert np.mean([one.pairwise_rmse for one in sharp]) >= 0.07


def test_a_low_strength_stays_close_and_a_high_one_wanders(
    diffusion: ImageToImageModel, faces: list[RGBPixels]
) -> None:
    for face in faces:
        close, far = (_diffused(diffusion, face, strength=value) for value in (0.3, 0.9))
        assert close.input_rmse < 0.7 * far.input_rmse
        assert close.pairwise_rmse < far.pairwise_rmse
