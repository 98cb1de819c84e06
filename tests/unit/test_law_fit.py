"""The fit finds the law that made the times, and never a negative number."""

import math

import numpy as np
import pytest

from benchmarks.law_fit import VAE_TERMS, Timed, fit
from benchmarks.law_of_card import computed
from models.time_law import TimeLaw

GRID = [(images, steps) for images in (1, 2, 5, 10) for steps in (2, 5, 10)]


def _sets(law: TimeLaw, rounds: int = 20) -> list[Timed]:
    dice = np.random.default_rng(0)
    return [
        Timed(images, steps, law.seconds(images, steps) * dice.lognormal(0.0, law.jitter))
        for _ in range(rounds)
        for images, steps in GRID
    ]


def test_it_finds_the_law_that_made_the_times() -> None:
    law = TimeLaw(fixed_s=0.3, step_s=0.05, image_step_s=0.02, image_s=0.1, jitter=0.03)
    found = fit(_sets(law))
    assert found.jitter == pytest.approx(0.03, rel=0.2)
    for images, steps in GRID:
        assert found.seconds(images, steps) == pytest.approx(law.seconds(images, steps), rel=0.02)
    assert found.seconds(10, 30) == pytest.approx(law.seconds(10, 30), rel=0.03)


def test_no_number_is_negative_where_the_times_would_have_it_so() -> None:
    sets = [Timed(images, steps, images * steps - 0.5) for images, steps in GRID]
    found = fit(sets)
    assert min(vars(found).values()) >= 0
    assert found.seconds(5, 5) == pytest.approx(24.5, rel=0.2)


def test_a_vae_has_what_a_set_and_what_an_image_costs() -> None:
    sets = [Timed(images, 1, 0.2 + 0.03 * images) for images in (1, 2, 5, 10)]
    found = fit(sets, VAE_TERMS)
    assert found.fixed_s == pytest.approx(0.2)
    assert found.image_step_s == pytest.approx(0.03)
    assert found.step_s == found.image_s == 0


def test_the_computed_law_of_a_card_adds_up_to_the_operations_of_a_set() -> None:
    document = computed("h100")
    assert document["kind"] == "computed"
    seconds = TimeLaw(**document["laws"]["stable_diffusion"]).seconds(images=10, steps=30)
    tflop = 31 * 10 * 2 * 0.803 + 10 * 2.5 + 1.1
    assert math.isclose(seconds, tflop / (0.38 * 989), rel_tol=1e-6)
