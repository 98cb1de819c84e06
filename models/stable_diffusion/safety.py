"""Asks a checkpoint's safety checker which images of a set must not be shown."""

from typing import Any

import torch
from PIL import Image
from torch import Tensor

from models.interfaces import RGBPixels


class SafetyChecker:
    """Judges a whole set at once, as diffusers' Stable Diffusion pipelines do.

    Only the verdict is used: what diffusers would black out is not ours, and what it would return
    is never shown.
    """

    def __init__(self, checker: Any, feature_extractor: Any) -> None:
        """Take diffusers' StableDiffusionSafetyChecker and transformers' CLIPImageProcessor."""
        self._checker = checker
        self._feature_extractor = feature_extractor
        # A NaN is over no threshold, so it would let every image pass.
        checker.visual_projection.register_forward_hook(_refuse_non_finite)

    @torch.inference_mode()
    def flagged(self, pixels: RGBPixels) -> tuple[int, ...]:
        """Return the indices of the images that must not be shown, in order.

        Args:
            pixels: (N, S, S, 3) uint8; the whole set is one batch, in the checker's own dtype.

        Raises:
            RuntimeError: the checker computes what is not finite, so there is no verdict.
        """
        pictures = [Image.fromarray(one) for one in pixels]
        features = self._feature_extractor(pictures, return_tensors="pt").pixel_values
        parameter = next(self._checker.parameters())
        unused = torch.zeros(len(pixels), 1)  # blacked out in place of the images
        _, verdicts = self._checker(
            clip_input=features.to(parameter.device, parameter.dtype), images=unused
        )
        return tuple(index for index, verdict in enumerate(verdicts) if verdict)


def _refuse_non_finite(module: Any, inputs: Any, embeddings: Tensor) -> None:
    if not bool(torch.isfinite(embeddings).all()):
        raise RuntimeError(
            f"the safety checker's numbers are not finite in {embeddings.dtype}, so no image may "
            "be shown: set precision to 'bfloat16' or 'float32'"
        )
