"""A simulated model keeps the seed contract and its time law, and says what it is."""

import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models.parameters import ImageToImageParameters, VariationParameters
from models.roles import ROLES
from models.simulated import load_simulated_diffusion, load_simulated_vae
from models.time_law import RESULTS, read_law

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


def _law_file(tmp_path: Path, **laws: dict[str, Any]) -> str:
    path = tmp_path / "laws.json"
    path.write_text(json.dumps({"laws": laws}))
    return str(path)


def test_its_law_comes_from_a_file_of_measured_laws(tmp_path: Path) -> None:
    law = {"fixed_s": 0.01, "step_s": 0.02, "image_step_s": 0.03, "image_s": 0.04, "jitter": 0.0}
    path = _law_file(tmp_path, stable_diffusion=law)
    assert read_law(path, "stable_diffusion").seconds(images=2, steps=5) == pytest.approx(0.49)
    model = load_simulated_diffusion(law=path, slowdown=0.5)
    started = time.monotonic()
    model.generate(FACE, [1, 2], PARAMETERS)
    assert 0.245 <= time.monotonic() - started < 1.0


def test_a_law_that_cannot_be_meant_is_refused_with_a_sentence(tmp_path: Path) -> None:
    typo = _law_file(tmp_path, vae={"fixed_s": 0.1, "step": 0.1})
    with pytest.raises(ValueError, match="'step'"):
        load_simulated_vae(law=typo)
    with pytest.raises(ValueError, match="not a file of laws: 'stable_diffusion'"):
        load_simulated_diffusion(law=typo)
    with pytest.raises(ValueError, match=r"names here: [a-z_0-9, ]*h100"):
        load_simulated_vae(law="abacus")
    with pytest.raises(ValueError, match="leave out fixed_s"):
        load_simulated_vae(fixed_s=0.1, law=typo)
    with pytest.raises(ValueError, match="negative"):
        load_simulated_vae(jitter=-0.1)
    with pytest.raises(ValueError, match="over 0"):
        load_simulated_vae(slowdown=0)
    with pytest.raises(TypeError, match="steps_s"):
        load_simulated_diffusion(**{"steps_s": 1.0})


def test_every_law_of_ours_is_read_by_its_name() -> None:
    files = sorted(RESULTS.glob("time_law_*.json"))
    assert files
    for file in files:
        for role in ROLES:
            law = read_law(file.stem.removeprefix("time_law_"), role)
            assert law.seconds(images=10, steps=30) > 0
        assert json.loads(file.read_text())["kind"] in ("measured", "computed")


def test_times_spread_as_the_law_says_while_the_pixels_stay() -> None:
    model = load_simulated_vae(fixed_s=0.01, image_step_s=0.0, jitter=0.5)
    taken_s, images = [], set()
    for _ in range(60):
        started = time.monotonic()
        images.add(model.generate(FACE, [5], VariationParameters()).pixels.tobytes())
        taken_s.append(time.monotonic() - started)
    assert len(images) == 1
    assert 0.2 < np.std(np.log(taken_s)) < 0.8


def test_waiting_costs_no_processor_time() -> None:
    model = load_simulated_diffusion(fixed_s=0.1, step_s=0.02, image_step_s=0.0)
    started_s, busy_s = time.monotonic(), time.thread_time()
    model.generate(
        FACE, [1], ImageToImageParameters("a face", strength=0.5, num_inference_steps=40)
    )
    assert time.thread_time() - busy_s < 0.3 * (time.monotonic() - started_s)
