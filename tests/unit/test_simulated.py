"""A simulated model keeps the seed contract and its time law, and says what it is."""

import time

import numpy as np

from models.parameters import ImageToImageParameters, VariationParameters
from models.simulated import load_simulated_diffusion, load_simulated_vae

FACE = np.random.default_rng(0).integers(0, 256, (100, 100, 3), dtype=np.uint8)
PARAMETERS = ImageToImageParameters("a face", strength=0.5, num_inference_steps=10)


def test_an_image_depends_on_its_own_seed_alone() -> None:
    model = load_simulated_vae(0.0, 0.0)
    three = model.generate(FACE, [4, 5, 6], VariationParameters()).pixels
    assert np.array_equal(model.generate(FACE, [5], VariationParameters()).pixels[0], three[1])
    assert len({image.tobytes() for image in three}) == 3
    other = model.generate(FACE, [5], VariationParameters(1.0)).pixels[0]
    assert not np.array_equal(other, three[1])


def test_it_costs_what_its_law_says_and_counts_steps() -> None:
    model = load_simulated_diffusion(fixed_s=0.05, step_s=0.01, image_step_s=0.01)
    seen: list[int] = []
    started = time.monotonic()
    made = model.generate(FACE, [1, 2], PARAMETERS, lambda step, total: seen.append(step))
    assert 0.2 <= time.monotonic() - started < 2.0  # 0.05 + 5 * (0.01 + 2 * 0.01)
    assert seen == [1, 2, 3, 4, 5]
    assert made.unet_calls == 5


def test_it_says_that_it_is_simulated() -> None:
    for model in (load_simulated_vae(), load_simulated_diffusion()):
        assert model.info.simulated
        assert model.info.id.startswith("simulated-")
        assert "simulated" in model.info.note
