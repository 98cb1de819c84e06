"""Shares of a card, as far as they can be known without one."""

from typing import Any

import numpy as np
import pytest
import torch

from models.gpu import GIB, MemoryShare, SharedGPUModel, claim, fitted, needed_bytes
from models.interfaces import DeviceMemoryError
from models.parameters import VariationParameters
from models.simulated import SimulatedModel, load_simulated_vae

FACE = np.zeros((64, 64, 3), dtype=np.uint8)


def test_the_limit_is_the_share_without_what_cuda_takes() -> None:
    memory = MemoryShare(0.45, 80 * GIB, GIB)
    assert memory.share_bytes == 36 * GIB
    assert memory.limit_bytes == 35 * GIB
    assert memory.share_for(7 * GIB) == 0.1
    assert memory.share_for(80 * GIB) > 1


def test_a_share_that_cuda_alone_fills_is_refused() -> None:
    with pytest.raises(ValueError, match=r"0\.80 GiB, less than the 0\.85 GiB .* at least 0\.06"):
        MemoryShare(0.05, 16 * GIB, int(0.85 * GIB))
    for share in (0.0, 1.5, -1.0):
        with pytest.raises(ValueError, match="num_gpus"):
            MemoryShare(share, 16 * GIB, GIB)


def test_the_need_grows_by_the_image() -> None:
    assert needed_bytes(3 * GIB, 4 * GIB, 10) == 12 * GIB
    assert needed_bytes(3 * GIB, 3 * GIB, 10) == 3 * GIB


def test_without_a_gpu_nothing_is_claimed_and_a_model_stays_as_it_is() -> None:
    assert claim(torch.device("cpu"), 0.5) is None
    model = load_simulated_vae()
    assert fitted(model, None) is model


class _Full(SimulatedModel):
    def generate(self, image: Any, seeds: Any, parameters: Any, on_step: Any = None) -> Any:
        if len(seeds) > 1:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return super().generate(image, seeds, parameters)


def test_out_of_memory_is_an_error_of_ours_and_the_model_lives_on() -> None:
    plain = load_simulated_vae()
    model = SharedGPUModel(_Full(plain.info, plain._law), plain.info)
    with pytest.raises(DeviceMemoryError, match="2 images"):
        model.generate(FACE, [1, 2], VariationParameters())
    assert model.generate(FACE, [1], VariationParameters()).pixels.shape[0] == 1
