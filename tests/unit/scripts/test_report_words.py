"""The report's words follow the numbers, whichever way these point."""

import json
from dataclasses import replace

import pytest

from models.set_metrics import SetMetrics
from scripts.report_findings import Numbers
from scripts.report_words import comparison, from_factor_on, order, sharp, summary


def _sweep(last: float = 0.15) -> dict[float, SetMetrics]:
    return {
        float(factor): SetMetrics(last * factor / 10, 0.04 + 0.006 * factor, 0.0005)
        for factor in range(1, 11)
    }


USUAL = Numbers(
    n=10,
    input_sharpness=0.004,
    reconstruction=SetMetrics(0.0, 0.04, 0.0004),
    vae=SetMetrics(0.105, 0.082, 0.0005),
    diffusion=SetMetrics(0.07, 0.06, 0.0020),
    chosen_factor=7.0,
    sweep=_sweep(),
    vae_s=0.1,
    diffusion_s=4.0,
    unet_calls=14,
)


def _words(numbers: Numbers, title: str) -> str:
    return " ".join(
        " ".join(topic.sentences) for topic in comparison(numbers) if topic.title == title
    )


def _with(numbers: Numbers, **sets: dict[str, float]) -> Numbers:
    changed = {name: replace(getattr(numbers, name), **values) for name, values in sets.items()}
    return replace(numbers, **changed)


def test_the_sharper_set_is_named_with_the_ratio_of_the_numbers() -> None:
    words = _words(USUAL, "Sharpness")
    assert "diffusion images are sharper" in words
    assert "0.00200 against 0.000500, 4.0 times" in words
    assert "keeps 10 % of the input's sharpness" in words


def test_a_reversed_or_missing_finding_is_said() -> None:
    reversed_words = _words(_with(USUAL, vae={"laplacian_variance": 0.005}), "Sharpness")
    assert "is reversed here" in reversed_words
    assert "2.5 times" in reversed_words
    assert "are sharper than the VAE's" not in reversed_words
    equal = _words(_with(USUAL, vae={"laplacian_variance": 0.00195}), "Sharpness")
    assert "about equally sharp" in equal


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0.0004, "keeps 10 %"),
        (0.0041, "about as sharp as the input (0.00410"),
        (0.008, "2.0 times as sharp as the input"),
    ],
)
def test_the_blur_of_the_reconstruction_is_measured_not_assumed(
    value: float, expected: str
) -> None:
    words = _words(_with(USUAL, reconstruction={"laplacian_variance": value}), "Sharpness")
    assert expected in words


@pytest.mark.parametrize(
    ("value", "expected"),
    [(0.0008, "2.0 times as sharp as its rec"), (0.0004, "where it was"), (0.0001, "to 25 %")],
)
def test_what_noise_does_to_sharpness_is_said_in_each_direction(
    value: float, expected: str
) -> None:
    words = _words(_with(USUAL, vae={"laplacian_variance": value}), "Sharpness")
    assert expected in words


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0.07, "The VAE's set is the more diverse: at factor 7"),
        (0.1, "about equally diverse"),
        (0.21, "The diffusion set is the more diverse"),
    ],
)
def test_the_more_diverse_set_is_named(value: float, expected: str) -> None:
    assert expected in _words(_with(USUAL, diffusion={"pairwise_rmse": value}), "Diversity")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0.080, "From factor 6 on the VAE's set is at least as diverse"),
        (0.010, "At every factor of the sweep the VAE's set is at least as diverse"),
        (0.300, "Up to factor 10 there is none from which on the VAE's set is at least"),
    ],
)
def test_the_factor_that_reaches_the_diffusion_set_is_read_from_the_sweep(
    value: float, expected: str
) -> None:
    assert expected in _words(_with(USUAL, diffusion={"pairwise_rmse": value}), "Diversity")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0.060, "The diffusion set stays nearer"),
        (0.082, "about equally far"),
        (0.164, "The VAE's set stays nearer"),
    ],
)
def test_the_nearer_set_is_named(value: float, expected: str) -> None:
    words = _words(_with(USUAL, diffusion={"input_rmse": value}), "Distance to the input")
    assert expected in words


def test_the_factors_at_which_distance_passes_its_marks_follow_the_sweep() -> None:
    words = _words(USUAL, "Distance to the input")
    assert "From factor 4 on the VAE's images are further" in words  # 0.064 > 0.06
    assert "From factor 7 on the VAE's images are more than twice" in words  # 0.082 > 0.08
    assert "From factor 5 on the VAE's images differ more" in words  # 0.075 > 0.07
    assert "no factor of the sweep comes nearer" in words
    nearer = _words(_with(USUAL, reconstruction={"input_rmse": 0.05}), "Distance to the input")
    assert "factor 1 comes nearer, with 0.046" in nearer


def test_a_condition_that_does_not_last_has_no_factor_from_which_on_it_holds() -> None:
    sweep = {**_sweep(), 10.0: SetMetrics(0.01, 0.1, 0.1)}
    numbers = replace(USUAL, sweep=sweep)
    assert from_factor_on(numbers, lambda one: one.pairwise_rmse > 0.05) is None
    assert from_factor_on(USUAL, lambda one: one.pairwise_rmse > 0.05) == 4.0
    assert "does not grow at factor 10" in _words(numbers, "Diversity")
    assert "grows with every step" in _words(USUAL, "Diversity")


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(4.0, "The VAE is faster"), (0.1, "about as long"), (0.01, "The diffusion model is faster")],
)
def test_the_faster_model_is_named(seconds: float, expected: str) -> None:
    assert expected in _words(replace(USUAL, diffusion_s=seconds), "Time")


def test_the_served_factor_is_put_into_proportion() -> None:
    assert "factor 7, the VAE's set has 70 % of the div" in _words(USUAL, "The served factor")
    other = replace(USUAL, chosen_factor=2.5, vae=SetMetrics(0.03, 0.05, 0.0005))
    assert "factor 2.5, the VAE's set has 20 % of the div" in _words(other, "The served factor")


def test_simulated_pictures_are_said_to_be_simulated_first() -> None:
    assert "simulated" in summary(comparison(replace(USUAL, simulated=True)))[0]
    assert "simulated" not in json.dumps(comparison(USUAL))


def test_sets_without_any_difference_or_sharpness_get_words_too() -> None:
    nothing = SetMetrics(0.0, 0.0, 0.0)
    numbers = replace(
        USUAL,
        input_sharpness=0.0,
        reconstruction=nothing,
        vae=nothing,
        diffusion=nothing,
        sweep={float(factor): nothing for factor in range(1, 11)},
        vae_s=0.0,
    )
    text = json.dumps(comparison(numbers))
    assert "nan" not in text
    assert "about equally diverse" in text
    assert (order(0, 0), order(1, 0), order(0, 1)) == (0, 1, -1)


@pytest.mark.parametrize(
    ("value", "expected"),
    [(0.000501, "0.000501"), (0.00395, "0.00395"), (0.25, "0.250"), (12.345, "12.3"), (0, "0")],
)
def test_sharpness_is_written_with_three_digits(value: float, expected: str) -> None:
    assert sharp(value) == expected
