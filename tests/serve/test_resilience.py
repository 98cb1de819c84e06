"""A caller gets the right images, or an honest and prompt answer, when parts fail."""

import threading
import time

import httpx
import psutil
import pytest

from deployments.dispatch.pairing import DESCRIPTION_AGE_S
from tests.faults.processes import ServiceProcesses
from tests.support.services import post_pairs, wait_for


def _replicas(client: httpx.Client, deployment: str) -> list[psutil.Process]:
    """Return the replica processes of the service that listens on the client's port."""
    return ServiceProcesses.behind(client).replicas(deployment)


def _slow_request(client: httpx.Client, face: bytes) -> httpx.Response:
    # About three seconds of diffusion by the simulation's law.
    return post_pairs(client, face, seed=3, num_inference_steps=100, strength=1.0)


def test_a_replica_killed_in_mid_request_costs_time_not_images(
    simulated: httpx.Client, face: bytes
) -> None:
    expected = _slow_request(simulated, face).json()
    answers: list[httpx.Response] = []
    user = threading.Thread(target=lambda: answers.append(_slow_request(simulated, face)))
    user.start()
    time.sleep(1.0)
    (replica,) = _replicas(simulated, "StableDiffusionDeployment")
    replica.kill()
    user.join(timeout=90)
    assert answers[0].status_code == 200, answers[0].text
    assert answers[0].json()["pairs"] == expected["pairs"]
    made = answers[0].json()["sets"]["stable_diffusion"]
    assert made["replicas"] != expected["sets"]["stable_diffusion"]["replicas"]


def test_a_model_that_is_away_is_an_answer_by_the_deadline(
    simulated: httpx.Client, face: bytes
) -> None:
    (replica,) = _replicas(simulated, "StableDiffusionDeployment")
    replica.suspend()
    try:
        response = post_pairs(simulated, face, n=1, timeout_s="1")
        assert response.status_code in (503, 504)
        assert response.json()["error"]["code"] in ("model_unavailable", "deadline_exceeded")
        assert response.elapsed.total_seconds() < 8
        assert simulated.get("/livez").status_code == 200
        partial = post_pairs(simulated, face, n=1, timeout_s="1", models="vae")
        assert partial.status_code == 200
    finally:
        replica.resume()
    wait_for(lambda: post_pairs(simulated, face, n=1).status_code == 200, timeout_s=60)


@pytest.mark.slow
def test_the_other_set_comes_alone_when_that_is_allowed(
    simulated: httpx.Client, face: bytes
) -> None:
    assert post_pairs(simulated, face, n=2).status_code == 200
    time.sleep(DESCRIPTION_AGE_S + 1)  # what the ingress knew of the model is old by now
    (replica,) = _replicas(simulated, "StableDiffusionDeployment")
    replica.suspend()
    try:
        response = post_pairs(simulated, face, n=2, timeout_s="2", allow_partial="true")
        alone = post_pairs(
            simulated,
            face,
            n=2,
            timeout_s="1",
            allow_partial="true",
            models="stable_diffusion",
        )
    finally:
        replica.resume()
    assert response.status_code == 200, response.text
    answer = response.json()
    assert [pair["vae"]["status"] for pair in answer["pairs"]] == ["ok", "ok"]
    assert [pair["stable_diffusion"]["status"] for pair in answer["pairs"]] == ["failed"] * 2
    failed = answer["sets"]["stable_diffusion"]
    assert failed["status"] == "failed"
    assert failed["error"]["code"] == "deadline_exceeded"
    assert set(failed["error"]) == {"message", "type", "param", "code"}
    assert alone.status_code == 504  # when nothing was made, nothing is partial


def test_work_for_callers_who_left_does_not_delay_the_next(
    simulated: httpx.Client, face: bytes
) -> None:
    def leave_early() -> None:
        try:
            simulated.post(
                "/v1/pairs",
                files={"image": ("face.png", face)},
                data={"num_inference_steps": 150, "strength": 1.0, "models": "stable_diffusion"},
                timeout=1.0,
            )
        except httpx.TimeoutException:
            left.append(True)

    left: list[bool] = []
    callers = [threading.Thread(target=leave_early) for _ in range(6)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert len(left) == 6
    quick = {"num_inference_steps": 1, "strength": 1.0, "models": "stable_diffusion"}
    response = post_pairs(simulated, face, n=1, **quick)
    assert response.status_code == 200, response.text
    # Abandoned sets of 4.6 s each would stand before it.
    assert response.elapsed.total_seconds() < 4
