"""What a replica does about a model that fails, without Serve."""

import asyncio
import logging
import os
import time
from typing import Any

import numpy as np
import pytest

from deployments.errors import ModelFailedError
from deployments.jobs import SetJob
from deployments.replica.vae import VAEDeployment
from deployments.settings import ModelSettings
from models.interfaces import DeviceLostError
from models.parameters import VariationParameters
from models.pixels import Crop, SquarePicture

USUAL_S = 0.3


@pytest.fixture
def replica() -> Any:
    """Return a VAE's replica whose sets take 0.3 s."""
    options = {"fixed_s": USUAL_S, "image_step_s": 0.0}
    settings = ModelSettings(factory="models.simulated:load_simulated_vae", options=options)
    return VAEDeployment(settings)


def _job() -> SetJob:
    pixels = np.zeros((64, 64, 3), dtype=np.uint8)
    picture = SquarePicture(pixels, "0" * 64, 64, 64, Crop(0, 0, 64))
    return SetJob(picture, [1], VariationParameters(), "png", [1], 60.0)


def _fail_with(replica: Any, error: Exception) -> None:
    def generate(*_: object) -> None:
        raise error

    replica._model.generate = generate


def test_a_failing_replica_looks_as_busy_as_one_that_works(replica: Any) -> None:
    async def make_then_fail() -> float:
        await replica.generate(_job())
        _fail_with(replica, ValueError("for ever"))
        started = time.monotonic()
        with pytest.raises(ModelFailedError):
            await replica.generate(_job())
        return time.monotonic() - started

    assert asyncio.run(make_then_fail()) >= USUAL_S


class AcceleratorError(RuntimeError):
    """Named as torch's is, which a model of somebody's own may raise as it stands."""


@pytest.mark.parametrize("error", [DeviceLostError("dead"), AcceleratorError("CUDA error")])
def test_a_replica_without_a_device_ends_itself(
    replica: Any, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    ended: list[int] = []

    def end(status: int) -> None:
        ended.append(status)
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "_exit", end)
    monkeypatch.setattr(logging, "shutdown", lambda: None)  # pytest logs on
    _fail_with(replica, error)
    with pytest.raises(KeyboardInterrupt):
        asyncio.run(replica.generate(_job()))
    assert ended == [1]
