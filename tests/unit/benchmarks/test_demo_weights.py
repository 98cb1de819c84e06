"""The figures of the demo weights: what is measured where, and what a bound means."""

import numpy as np
import pytest

from benchmarks.demo_weights.faces import INPUT_SEEDS, masks
from benchmarks.demo_weights.figures import Figure, as_table, by_skin
from models.demo.attributes import draw_attributes
from models.demo.faces import render_face


@pytest.mark.parametrize("seed", INPUT_SEEDS)
def test_background_and_hair_are_found_where_they_are(seed: int) -> None:
    where = masks(seed, 128)
    face = render_face(draw_attributes(seed), 128)
    assert not (where.background & where.hair).any()
    assert where.background[:8].mean() > 0.5, "the top rows are background"
    assert not where.background[70:100, 50:78].any(), "the middle of the face is not"
    assert not where.hair[70:100, 50:78].any(), "nose and cheeks are not hair"
    assert where.hair.mean() > 0.04
    assert face[where.background].std(axis=0).max() < 45.0, "one backdrop, no part of the person"


def test_a_figure_is_met_within_its_bounds_only() -> None:
    assert Figure("a", 0.1, least=0.07).is_met
    assert not Figure("a", 0.05, least=0.07).is_met
    assert Figure("a", 0.05, most=0.07).is_met
    assert not Figure("a", 0.1, most=0.07).is_met
    assert "**missed**" in as_table([Figure("a", 0.1, most=0.07)])


def test_each_skin_tone_is_held_against_the_mean() -> None:
    errors = np.array([1.0, 3.0, 2.0, 2.0, 2.0, 4.0])
    skins = ["fair", "fair", "light", "tan", "brown", "dark"]
    shares = {one.name.split()[1]: one for one in by_skin("VAE", errors, skins)}
    assert shares["fair"].value == pytest.approx(2.0 / errors.mean())
    assert shares["light"].is_met
    assert shares["dark"].value == pytest.approx(4.0 / errors.mean())
    assert not shares["dark"].is_met, "1.7 times the mean is more than a quarter worse"
