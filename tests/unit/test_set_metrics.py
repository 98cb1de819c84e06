"""The numbers of a set against hand-made cases."""

import numpy as np
import pytest

from models.set_metrics import descriptor, laplacian_variance, measure


def _flat(value: int) -> np.ndarray:
    return np.full((128, 128, 3), value, np.uint8)


def test_rmse_of_flat_images_is_their_distance() -> None:
    metrics = measure(np.stack([_flat(0), _flat(51), _flat(102)]), _flat(0))
    assert metrics.pairwise_rmse == pytest.approx((0.2 + 0.4 + 0.2) / 3, abs=1e-6)
    assert metrics.input_rmse == pytest.approx(0.2, abs=1e-6)
    assert metrics.laplacian_variance == pytest.approx(0.0, abs=1e-9)


def test_one_image_has_no_pair() -> None:
    assert measure(np.stack([_flat(9)]), _flat(9)).pairwise_rmse == 0.0


def test_sharper_is_larger() -> None:
    noise = np.random.default_rng(0).random((128, 128, 3)).astype(np.float32)
    smooth = (noise + np.roll(noise, 1, 0) + np.roll(noise, 1, 1)) / 3
    assert laplacian_variance(noise) > 2 * laplacian_variance(smooth)


def test_laplacian_of_a_single_bright_pixel() -> None:
    image = np.zeros((5, 5, 3), np.float32)
    image[2, 2] = 1.0
    expected = np.array([[0, 1, 0], [1, -4, 1], [0, 1, 0]], dtype=float)
    assert laplacian_variance(image) == pytest.approx(expected.var(), rel=1e-5)


def test_descriptors_are_128_px() -> None:
    assert descriptor(np.zeros((150, 150, 3), np.uint8)).shape == (128, 128, 3)
