"""Parameters refuse what cannot be served."""

import math

import pytest

from models.parameters import ImageToImageParameters, VariationParameters


@pytest.mark.parametrize("value", [-0.1, 10.1, math.nan, math.inf])
def test_diversity_factor_outside_its_range_is_refused(value: float) -> None:
    with pytest.raises(ValueError, match="diversity_factor"):
        VariationParameters(value)


@pytest.mark.parametrize(
    ("name", "value"),
    [("strength", math.nan), ("strength", 1.5), ("guidance_scale", 31), ("num_inference_steps", 0)],
)
def test_the_parameter_at_fault_is_named(name: str, value: float) -> None:
    with pytest.raises(ValueError, match=name):
        ImageToImageParameters(prompt="", **{name: value})


def test_a_strength_that_leaves_no_step_names_both() -> None:
    with pytest.raises(ValueError, match=r"strength 0\.1 of num_inference_steps 9"):
        ImageToImageParameters(prompt="", strength=0.1, num_inference_steps=9)
    assert ImageToImageParameters(prompt="", strength=0.1, num_inference_steps=10)
