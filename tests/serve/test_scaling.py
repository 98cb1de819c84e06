"""The two models scale apart from each other, on fractions of pretended GPUs."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
import yaml

from tests.support.services import ROOT, post_pairs, running_replicas, serving, wait_for

pytestmark = pytest.mark.slow

OTHER = {"vae": "stable_diffusion", "stable_diffusion": "vae"}


@contextmanager
def _flood(client: httpx.Client, face: bytes, role: str) -> Iterator[list[int]]:
    """Keep eight requests of one model under way; collects their statuses."""
    over, statuses = threading.Event(), []

    def user() -> None:
        while not over.is_set():
            statuses.append(post_pairs(client, face, models=role).status_code)

    users = [threading.Thread(target=user) for _ in range(8)]
    for one in users:
        one.start()
    try:
        yield statuses
    finally:
        over.set()
        for one in users:
            one.join()


@pytest.mark.parametrize("role", ["stable_diffusion", pytest.param("vae", marks=pytest.mark.slow)])
def test_a_flood_of_one_model_scales_that_model_alone(
    simulated: httpx.Client, face: bytes, role: str
) -> None:
    assert running_replicas(simulated) == {"vae": 1, "stable_diffusion": 1}
    most_of_the_other = 0

    def scaled() -> bool:
        nonlocal most_of_the_other
        counts = running_replicas(simulated)
        most_of_the_other = max(most_of_the_other, counts[OTHER[role]])
        return counts[role] == 2

    with _flood(simulated, face, role) as statuses:
        wait_for(scaled, timeout_s=40)
    assert most_of_the_other == 1
    assert set(statuses) == {200}
    wait_for(lambda: running_replicas(simulated)[role] == 1, timeout_s=60)


@pytest.mark.slow
def test_the_fractions_of_production_fit_one_gpu(tmp_path: Path, face: bytes) -> None:
    config = yaml.safe_load((ROOT / "serve_config.yaml").read_text())
    arguments = config["applications"][0]["args"]
    arguments["vae"] = {"factory": "models.simulated:load_simulated_vae"}
    arguments["stable_diffusion"] = {"factory": "models.simulated:load_simulated_diffusion"}
    derived = tmp_path / "serve_config.yaml"
    derived.write_text(yaml.safe_dump(config))
    with serving(derived, num_gpus=1) as client:
        assert running_replicas(client) == {"vae": 1, "stable_diffusion": 1}
        answer = post_pairs(client, face, n=2).json()
        assert all(made["simulated"] for made in answer["sets"].values())


def test_both_models_of_a_request_work_at_the_same_time(
    simulated: httpx.Client, face: bytes
) -> None:
    # 0.4 s for the VAE by its law; for diffusion 0.1 s and 10 steps of 0.03 s.
    shortest = 10.0
    for _ in range(5):  # the shortest of some: a busy machine may delay one, not all
        response = post_pairs(simulated, face, num_inference_steps=10, strength=1.0)
        parts = [made["timings_ms"]["model"] for made in response.json()["sets"].values()]
        assert min(parts) > 350
        shortest = min(shortest, response.elapsed.total_seconds() * 1000 / sum(parts))
    assert shortest < 0.85
