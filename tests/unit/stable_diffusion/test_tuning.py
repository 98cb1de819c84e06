"""Tuning changes how fast a picture is made, not the picture, and only where it pays."""

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from models.demo.factory import load_demo_diffusion
from models.interfaces import ModelInfo
from models.parameters import ImageToImageParameters
from models.stable_diffusion.checkpoint import components_of, load_pipeline, load_stable_diffusion
from models.stable_diffusion.config import StableDiffusionConfig
from models.stable_diffusion.image_to_image import ImageToImageSampler
from models.stable_diffusion.linear import PointwiseLinear, use_convolutions
from models.stable_diffusion.tuning import Tuning, chosen_tuning, default_tuning, tuned
from tests.unit.stable_diffusion.conftest import face

CPU = torch.device("cpu")
PARAMETERS = ImageToImageParameters("a face", "a hat", 0.6, 3.0, 4)
SEEDS = [40, 41, 42]


def _components(directory: Path, precision: Any = "float32") -> Any:
    config = StableDiffusionConfig(str(directory), None, 32, precision, "cpu")
    return components_of(load_pipeline(config))


def _pixels(components: Any, count: int = 3) -> np.ndarray:
    info = ModelInfo("tested", "stable_diffusion", "none", 32, {})
    made = ImageToImageSampler(components, info).generate(face(32), SEEDS[:count], PARAMETERS)
    return made.pixels.astype(int)


def _in_channels_last(module: nn.Module) -> set[bool]:
    """Return whether convolutions that have more than one layout lie in channels_last."""
    kernels = [one.weight for one in module.modules() if isinstance(one, nn.Conv2d)]
    large = [one for one in kernels if one.shape[1] > 1 and one.shape[2] > 1]
    assert large
    return {one.is_contiguous(memory_format=torch.channels_last) for one in large}


def _linears(module: nn.Module) -> set[type]:
    return {type(one) for one in module.modules() if isinstance(one, nn.Linear)}


@pytest.mark.parametrize("bias", [True, False])
def test_a_convolution_maps_as_the_linear_layer_does(bias: bool) -> None:
    torch.manual_seed(0)
    linear = nn.Linear(48, 32, bias=bias)
    layer = PointwiseLinear.sharing(linear)
    for shape in ((2, 7, 48), (1, 1, 48), (7, 48), (48,), (2, 3, 5, 48)):
        batch = torch.randn(shape)
        assert torch.allclose(layer(batch), linear(batch), atol=1e-5), shape
    strided = torch.randn(2, 48, 7).transpose(1, 2)
    assert torch.allclose(layer(strided), linear(strided), atol=1e-5)
    half = PointwiseLinear.sharing(copy.deepcopy(linear).half())
    assert half(torch.ones(2, 7, 48, dtype=torch.float16)).dtype == torch.float16


def test_only_sequences_in_float32_are_convolved(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[tuple[int, ...]] = []
    real = torch.nn.functional.conv2d
    monkeypatch.setattr(
        "models.stable_diffusion.linear.conv2d",
        lambda image, *rest: (calls.append(tuple(image.shape)), real(image, *rest))[1],
    )
    layer = PointwiseLinear.sharing(nn.Linear(48, 32))
    for shape in ((2, 7, 48), (7, 48), (2, 3, 5, 48)):
        layer(torch.randn(shape))
    layer.half()(torch.ones(2, 7, 48, dtype=torch.float16))
    assert calls == [(2, 48, 7, 1)]


def test_layers_keep_their_names_and_very_parameters() -> None:
    module = nn.Sequential(nn.Linear(4, 4), nn.Sequential(nn.Linear(4, 2, bias=False), nn.SiLU()))
    before = {name: value.data_ptr() for name, value in module.state_dict().items()}
    use_convolutions(module.eval())
    assert _linears(module) == {PointwiseLinear}
    assert {name: value.data_ptr() for name, value in module.state_dict().items()} == before
    assert not any(one.training for one in module.modules())


def test_tuned_components_are_the_same_weights_in_another_layout(tiny_directory: Path) -> None:
    plain, components = _components(tiny_directory), _components(tiny_directory)
    assert _in_channels_last(plain.unet) == _in_channels_last(plain.vae) == {False}
    after = tuned(components, default_tuning(CPU))
    assert _in_channels_last(after.unet) == _in_channels_last(after.vae) == {True}
    assert _linears(after.unet) == {PointwiseLinear}
    assert _linears(after.vae) == {nn.Linear}
    assert (after.dtype, after.device) == (torch.float32, CPU)
    assert after.compiled_unet is after.compiled_decode is None
    for (name, mine), other in zip(
        after.unet.state_dict().items(), plain.unet.state_dict().values(), strict=True
    ):
        assert torch.equal(mine, other), name
    assert np.abs(_pixels(after) - _pixels(plain)).max() <= 1


def test_a_device_gets_what_pays_there_and_half_precision_is_left_alone() -> None:
    assert default_tuning(CPU) == Tuning(channels_last=True, linear_as_convolution=True)
    assert default_tuning(torch.device("cuda")) == Tuning()
    assert default_tuning(CPU, torch.float16) == Tuning()


def test_a_config_overrules_the_default() -> None:
    on_cpu = default_tuning(CPU)
    assert chosen_tuning(on_cpu, None, None, (10,)) == on_cpu
    assert chosen_tuning(on_cpu, False, None, (10,)) == Tuning()
    on_gpu = chosen_tuning(default_tuning(torch.device("cuda")), True, "default", [10, 5, 5])
    assert on_gpu == Tuning(channels_last=True, compile="default", compiled_images=(5, 10))


def test_the_factories_tune_for_the_cpu_unless_told_otherwise(tiny_directory: Path) -> None:
    demo = load_demo_diffusion()._components
    assert _in_channels_last(demo.unet) == _in_channels_last(demo.vae) == {True}
    assert _linears(demo.unet) == {PointwiseLinear}
    assert _linears(load_demo_diffusion(channels_last=False)._components.unet) == {nn.Linear}
    half = load_stable_diffusion(str(tiny_directory), device="cpu", precision="float16")
    assert _in_channels_last(half._components.unet) == {False}
    assert _linears(half._components.unet) == {nn.Linear}
    assert half.info.compiled_images == ()


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"channels_last": "yes"}, "channels_last is 'yes': use true or false"),
        ({"linear_as_convolution": 1}, "linear_as_convolution is 1: use true or false"),
        ({"compile": "fast"}, "compile is 'fast': use one of default, reduce-overhead"),
        ({"compile": True}, "compile is True: use one of default"),
        ({"compiled_images": (0,)}, r"compiled_images is \[0\]: list whole numbers from 1 to 10"),
        ({"compiled_images": (5, 11)}, "whole numbers from 1 to 10"),
        ({"compiled_images": ("10",)}, "whole numbers from 1 to 10"),
        ({"compiled_images": (True,)}, "whole numbers from 1 to 10"),
        ({"compiled_images": ()}, "compiled_images has 0 sizes: list 1 to 8"),
        ({"compiled_images": tuple(range(1, 10))}, "compiled_images has 9 sizes: list 1 to 8"),
    ],
)
def test_bad_settings_get_a_sentence(settings: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        Tuning(**settings)
