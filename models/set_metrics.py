"""The numbers of a set, defined once: diversity, coherence and sharpness (NumPy only).

All are taken on images resized to 128 px (Pillow, box-antialiased bilinear), values in [0, 1].
"""

from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from models.interfaces import RGBPixels
from models.pixels import resize

METRIC_SIDE_PX = 128
_LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)  # ITU-R BT.601


@dataclass(frozen=True)
class SetMetrics:
    """The report's numbers of one set.

    Attributes:
        pairwise_rmse: mean over all pairs of images of their root-mean-square difference, in
            [0, 1]: diversity. 0 for a single image.
        input_rmse: mean over the images of the root-mean-square difference to the input, in
            [0, 1]: the inverse of coherence.
        laplacian_variance: mean over the images of the variance of the 4-neighbour Laplacian of
            the luma: sharpness. It also rises with artefacts, so it is no quality by itself.
    """

    pairwise_rmse: float
    input_rmse: float
    laplacian_variance: float


def descriptor(pixels: RGBPixels) -> RGBPixels:
    """Reduce (S, S, 3) uint8 to the (128, 128, 3) uint8 that the metrics are taken on."""
    return resize(pixels, METRIC_SIDE_PX, Image.Resampling.BILINEAR)


def measure(descriptors: RGBPixels, input_descriptor: RGBPixels) -> SetMetrics:
    """Compute the metrics of a set.

    Args:
        descriptors: (N, 128, 128, 3) uint8.
        input_descriptor: (128, 128, 3) uint8.
    """
    images = descriptors.astype(np.float32) / 255.0
    original = input_descriptor.astype(np.float32) / 255.0
    pairs = [_rmse(a, b) for a, b in combinations(images, 2)]
    return SetMetrics(
        pairwise_rmse=float(np.mean(pairs)) if pairs else 0.0,
        input_rmse=float(np.mean([_rmse(image, original) for image in images])),
        laplacian_variance=float(np.mean([laplacian_variance(image) for image in images])),
    )


def laplacian_variance(image: NDArray[np.float32]) -> float:
    """Return the variance of the 4-neighbour Laplacian of (H, W, 3) float32 in [0, 1]."""
    luma = image @ _LUMA
    center = luma[1:-1, 1:-1]
    laplacian = luma[:-2, 1:-1] + luma[2:, 1:-1] + luma[1:-1, :-2] + luma[1:-1, 2:] - 4.0 * center
    return float(laplacian.var())


def _rmse(a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
    return float(np.sqrt(np.mean((a - b) ** 2)))
