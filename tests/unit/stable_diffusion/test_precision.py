"""Half precision never spoils a picture unnoticed, and a model never changes its device."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from models import devices
from models.interfaces import ModelInfo
from models.parameters import ImageToImageParameters
from models.stable_diffusion import checkpoint
from models.stable_diffusion.checkpoint import components_of, load_pipeline, load_stable_diffusion
from models.stable_diffusion.config import StableDiffusionConfig
from models.stable_diffusion.image_to_image import ImageToImageSampler
from tests.unit.stable_diffusion.conftest import face

pytestmark = pytest.mark.heavy

SEEDS = [40, 41, 42, 43]
PARAMETERS = ImageToImageParameters("a face", "", 0.6, 3.0, 4)
BLACK = -1.0


def _pipeline(directory: Path, precision: Any) -> Any:
    return load_pipeline(StableDiffusionConfig(str(directory), None, 32, precision, "cpu"))


def _sampler(pipeline: Any) -> ImageToImageSampler:
    info = ModelInfo("tested", "stable_diffusion", "none", 32, {}, precision="float16")
    return ImageToImageSampler(components_of(pipeline), info)


def _spoil(
    pipeline: Any, row: int, value: float, when: Callable[[torch.dtype], bool]
) -> list[torch.dtype]:
    """Let the decoder put a value into one image of a batch of four; returns where it decoded."""
    dtypes: list[torch.dtype] = []

    def put(module: Any, inputs: Any, output: torch.Tensor) -> torch.Tensor:
        dtypes.append(output.dtype)
        if when(output.dtype):
            output[row if len(output) == len(SEEDS) else 0] = value
        return output

    pipeline.vae.decoder.register_forward_hook(put)
    return dtypes


def _is_half(dtype: torch.dtype) -> bool:
    return dtype == torch.float16


def test_the_float32_decoder_is_there_from_the_start(tiny_directory: Path) -> None:
    sampler = _sampler(_pipeline(tiny_directory, "float16"))
    sampler.prepare()
    made = sampler._upcast_vae
    assert made.dtype == torch.float32
    sampler.prepare()
    assert sampler._upcast_vae is made
    plain = _sampler(_pipeline(tiny_directory, "float32"))
    plain.prepare()
    assert plain._upcast_vae is None


def test_a_decoder_that_overflows_in_float16_gives_the_float32_picture_and_a_note(
    tiny_directory: Path,
) -> None:
    pipeline = _pipeline(tiny_directory, "float16")
    # A stem whose sums leave float16's range (65504) while each weight fits; the norms behind it
    # bring the numbers back, so in float32 nothing is wrong.
    pipeline.vae.decoder.conv_in.weight.data.mul_(5e5).clamp_(-6e4, 6e4)
    latents: list[torch.Tensor] = []
    pipeline.vae.post_quant_conv.register_forward_pre_hook(lambda m, i: latents.append(i[0]))
    sampler = _sampler(pipeline)
    made = sampler.generate(face(32), SEEDS, PARAMETERS)
    with torch.inference_mode():
        overflowed = pipeline.vae.decode(latents[0]).sample
        assert not torch.isfinite(overflowed).all(), "nothing overflowed"
        again = _pipeline(tiny_directory, "float32").vae
        again.load_state_dict(
            {name: one.float() for name, one in pipeline.vae.state_dict().items()}
        )
        expected = again.decode(latents[0].float()).sample
    expected_pixels = ((expected / 2 + 0.5).clamp(0, 1) * 255).round().permute(0, 2, 3, 1)
    assert np.abs(made.pixels.astype(int) - expected_pixels.numpy().astype(int)).max() <= 1
    assert made.pixels.std() > 5
    assert made.notes == (
        "decoded again in float32, because float16 spoiled them: images 0, 1, 2, 3",
    )
    first = sampler._upcast_vae
    sampler.generate(face(32), SEEDS, PARAMETERS)
    assert sampler._upcast_vae is first, "the float32 copy is made once"
    assert pipeline.vae.dtype == torch.float16


@pytest.mark.parametrize("value", [float("nan"), float("inf"), BLACK])
def test_the_spoiled_image_alone_is_decoded_again(value: float, tiny_directory: Path) -> None:
    plain = _sampler(_pipeline(tiny_directory, "float16")).generate(face(32), SEEDS, PARAMETERS)
    pipeline = _pipeline(tiny_directory, "float16")
    dtypes = _spoil(pipeline, 2, value, _is_half)
    made = _sampler(pipeline).generate(face(32), SEEDS, PARAMETERS)
    assert dtypes == [torch.float16, torch.float32]
    assert plain.notes == ()
    assert made.notes == ("decoded again in float32, because float16 spoiled them: images 2",)
    assert np.array_equal(made.pixels[[0, 1, 3]], plain.pixels[[0, 1, 3]])
    assert np.abs(made.pixels[2].astype(int) - plain.pixels[2]).max() <= 2
    assert made.filtered == ()


@pytest.mark.parametrize("value", [float("nan"), BLACK])
@pytest.mark.parametrize("precision", ["float16", "float32"])
def test_what_float32_spoils_too_is_an_error(
    value: float, precision: str, tiny_directory: Path
) -> None:
    pipeline = _pipeline(tiny_directory, precision)
    dtypes = _spoil(pipeline, 1, value, lambda dtype: True)
    with pytest.raises(RuntimeError, match=r"images \[1\] .* precision 'bfloat16' or 'float32'"):
        _sampler(pipeline).generate(face(32), SEEDS, PARAMETERS)
    assert dtypes[-1] == torch.float32
    assert len(dtypes) == (2 if precision == "float16" else 1)


def test_a_black_picture_may_stay_black(tiny_directory: Path) -> None:
    pipeline = _pipeline(tiny_directory, "float32")
    _spoil(pipeline, 1, BLACK, lambda dtype: True)
    made = _sampler(pipeline).generate(np.zeros((32, 32, 3), np.uint8), SEEDS, PARAMETERS)
    assert not made.pixels[1].any()
    assert made.notes == ()


@pytest.mark.parametrize("precision", ["float16", "bfloat16"])
def test_lower_precisions_make_nearly_the_same_pictures(
    precision: Any, tiny_directory: Path
) -> None:
    full = load_stable_diffusion(str(tiny_directory), device="cpu", image_size_px=32)
    low = load_stable_diffusion(
        str(tiny_directory), device="cpu", image_size_px=32, precision=precision
    )
    parameters = ImageToImageParameters("a face", "", 0.3, 1.0, 4)
    difference = (
        full.generate(face(32), [1], parameters).pixels.astype(float)
        - low.generate(face(32), [1], parameters).pixels
    )
    assert low.info.precision == precision
    assert np.abs(difference).max() > 0
    assert np.sqrt((difference**2).mean()) < (2 if precision == "float16" else 40)


def test_the_precision_follows_the_device_unless_the_config_says_otherwise() -> None:
    assert StableDiffusionConfig(device="cuda").resolved_precision == "float16"
    assert StableDiffusionConfig(device="cuda:1").resolved_precision == "float16"
    assert StableDiffusionConfig(device="cpu").resolved_precision == "float32"
    chosen = StableDiffusionConfig(device="cuda", precision="bfloat16")
    assert chosen.resolved_precision == "bfloat16"


@pytest.mark.parametrize("device", ["cuda", "cuda:1"])
def test_without_a_gpu_nothing_is_loaded_and_nothing_falls_back(
    device: str, tiny_directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(devices.torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(checkpoint, "load_pipeline", lambda config: pytest.fail("it was loaded"))
    with pytest.raises(RuntimeError, match=f"device is '{device}' but torch sees no GPU"):
        load_stable_diffusion(str(tiny_directory), device=device, image_size_px=32)
