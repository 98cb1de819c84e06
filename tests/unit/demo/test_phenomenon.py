"""The report's phenomenon on the embedded VAE: more noise, more diversity, less coherence."""

import numpy as np
import pytest

from models.demo.faces import render_faces
from models.demo.factory import load_demo_vae
from models.parameters import VariationParameters
from models.set_metrics import SetMetrics, descriptor, measure

pytestmark = [pytest.mark.heavy, pytest.mark.slow]

FACTORS = (1.0, 3.0, 5.0, 7.0, 9.0)
# Training uses seeds far from these; see models/demo/dataset.py.
HELD_OUT = range(9001, 9051)


@pytest.fixture(scope="module")
def sweep() -> dict[float, SetMetrics]:
    """Return the mean metrics over fifty held-out faces at each factor."""
    model = load_demo_vae()
    faces = np.concatenate([render_faces([seed], 150).pixels for seed in HELD_OUT])
    means = {}
    for factor in FACTORS:
        sets = [_metrics(model, face, factor) for face in faces]
        means[factor] = SetMetrics(*np.mean([list(vars(one).values()) for one in sets], axis=0))
    return means


def _metrics(model: object, face: np.ndarray, factor: float) -> SetMetrics:
    made = model.generate(face, list(range(10)), VariationParameters(factor))
    return measure(np.stack([descriptor(image) for image in made.pixels]), descriptor(face))


def test_diversity_and_distance_grow_with_the_factor(sweep: dict[float, SetMetrics]) -> None:
    diversity = [sweep[factor].pairwise_rmse for factor in FACTORS]
    distance = [sweep[factor].input_rmse for factor in FACTORS]
    assert diversity == sorted(set(diversity)), diversity
    assert distance == sorted(set(distance)), distance


def test_at_one_they_are_nearly_the_same_and_at_seven_they_are_not(
    sweep: dict[float, SetMetrics],
) -> None:
    assert sweep[1.0].pairwise_rmse < 0.035
    assert sweep[7.0].pairwise_rmse > 0.09
