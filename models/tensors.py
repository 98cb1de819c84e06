"""Arrays to tensors and back: the only conversions of range and layout."""

import numpy as np
import torch
from torch import Tensor

from models.interfaces import RGBPixels


def unit_tensor(pixels: RGBPixels) -> Tensor:
    """Convert (H, W, 3) uint8 to (1, 3, H, W) float32 in [0, 1]."""
    scaled = np.asarray(pixels, dtype=np.float32) / 255.0
    return torch.from_numpy(scaled).permute(2, 0, 1).unsqueeze(0).contiguous()


def signed_tensor(pixels: RGBPixels) -> Tensor:
    """Convert (H, W, 3) uint8 to (1, 3, H, W) float32 in [-1, 1]."""
    return 2.0 * unit_tensor(pixels) - 1.0


def pixels_of_unit(images: Tensor) -> RGBPixels:
    """Convert (N, 3, H, W) float in [0, 1] to (N, H, W, 3) uint8; what lies outside is clamped."""
    scaled = images.detach().clamp(0.0, 1.0).permute(0, 2, 3, 1).float().mul(255.0).round()
    # Bytes where they were computed: a quarter of the way from a GPU to here.
    return np.ascontiguousarray(scaled.to(torch.uint8).contiguous().cpu().numpy())


def pixels_of_signed(images: Tensor) -> RGBPixels:
    """Convert (N, 3, H, W) float in [-1, 1] to (N, H, W, 3) uint8; what lies outside is clamped."""
    return pixels_of_unit(images / 2 + 0.5)
