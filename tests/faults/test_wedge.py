"""A model that hangs is found and replaced, and its caller still gets the right images."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.faults.faulty_models import STALLING_SEED
from tests.faults.processes import ServiceProcesses
from tests.support.services import changed_config, post_pairs, serving, wait_for

STALLED_AFTER_S = 3.0
CHECKED_EVERY_S = 1.0
FIELDS = {"models": "stable_diffusion", "num_inference_steps": 40, "strength": 1.0}


@pytest.fixture(scope="module")
def stalling(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[httpx.Client, Path]]:
    """Return a client of a service whose one diffusion replica will hang once, and when it has."""
    directory = tmp_path_factory.mktemp("stalling")
    seen = directory / "seen"

    def change(application: dict[str, Any]) -> None:
        application["args"]["stable_diffusion"] = {
            "factory": "tests.faults.faulty_models:load_stalling_diffusion",
            "options": {"seen": str(seen)},
            "stalled_after_s": STALLED_AFTER_S,
        }
        deployment = application["deployments"][2]
        assert deployment["name"] == "StableDiffusionDeployment"
        deployment["health_check_period_s"] = CHECKED_EVERY_S

    with serving(changed_config(directory, "simulated.yaml", change), num_gpus=1) as client:
        yield client, seen


def test_a_stalled_replica_is_replaced_and_its_set_is_made_elsewhere(
    stalling: tuple[httpx.Client, Path], face: bytes
) -> None:
    client, seen = stalling
    for _ in range(2):  # by these steps the stalled one is judged
        before = post_pairs(client, face, n=2, seed=1, **FIELDS).json()
    (process,) = ServiceProcesses.behind(client).replicas("StableDiffusionDeployment")

    answers: list[httpx.Response] = []
    behind: list[httpx.Response] = []
    caller = threading.Thread(
        target=lambda: answers.append(post_pairs(client, face, n=2, seed=STALLING_SEED, **FIELDS))
    )
    other = threading.Thread(
        target=lambda: behind.append(post_pairs(client, face, n=2, seed=1, **FIELDS))
    )
    caller.start()
    wait_for(seen.exists, timeout_s=20)
    stalled = time.monotonic()
    other.start()  # waits for the model's thread, behind the set that hangs
    process.wait(timeout=30)
    found_s = time.monotonic() - stalled
    caller.join(timeout=60)
    other.join(timeout=60)
    answered_s = time.monotonic() - stalled
    print(f"\nfound after {found_s:.1f} s, all answered after {answered_s:.1f} s")

    assert found_s < STALLED_AFTER_S + 3 * CHECKED_EVERY_S + 2
    assert answers[0].status_code == 200, answers[0].text
    made = answers[0].json()
    replicas = [one["sets"]["stable_diffusion"]["replicas"] for one in (before, made)]
    assert replicas[0] != replicas[1]
    again = post_pairs(client, face, n=2, seed=STALLING_SEED, **FIELDS).json()
    assert made["pairs"] == again["pairs"]
    assert behind[0].status_code == 200, behind[0].text
    assert behind[0].json()["pairs"] == before["pairs"]


def test_a_slow_but_steady_model_lives_on(stalling: tuple[httpx.Client, Path], face: bytes) -> None:
    client, _ = stalling
    (process,) = ServiceProcesses.behind(client).replicas("StableDiffusionDeployment")
    # Far longer than a stalled step may take, in steps that are not.
    slow = {**FIELDS, "num_inference_steps": 150}
    started = time.monotonic()
    while time.monotonic() - started < STALLED_AFTER_S + 3:
        assert post_pairs(client, face, n=1, **slow).status_code == 200
    assert process.is_running()
