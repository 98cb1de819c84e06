"""A set is split over idle replicas: sooner there, the same images, and whole under load."""

import statistics
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from deployments.dispatch.splitting import MEMORY_S
from models.time_law import TimeLaw
from tests.faults.conftest import light
from tests.faults.faulty_models import FAILING_SEED
from tests.faults.processes import ServiceProcesses
from tests.support.services import (
    changed_config,
    post_pairs,
    read_events,
    running_replicas,
    serving,
    wait_for,
)

pytestmark = pytest.mark.slow

LAW = {"fixed_s": 0.1, "step_s": 0.01, "image_step_s": 0.01}
STEPS = 30
WHOLE_S = TimeLaw(**LAW).seconds(10, STEPS)


def _two_replicas(application: dict[str, Any]) -> None:
    arguments = application["args"]
    del arguments["api_keys_file"]
    arguments["allow_anonymous"] = True
    arguments["stable_diffusion"] = {
        "factory": "tests.faults.faulty_models:load_choosy_diffusion",
        "options": LAW,
    }
    (diffusion,) = (
        one for one in application["deployments"] if one["name"] == "StableDiffusionDeployment"
    )
    del diffusion["autoscaling_config"]
    diffusion["num_replicas"] = 2


@pytest.fixture(scope="module")
def pair_of_replicas(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """Return a client of two simulated diffusion replicas."""
    config = changed_config(tmp_path_factory.mktemp("two"), "simulated.yaml", _two_replicas)
    with serving(config, num_gpus=1) as client:
        wait_for(lambda: client.get("/readyz").status_code == 200, 30)
        yield client


def _ask(client: httpx.Client, face: bytes, seed: int = 7, **fields: Any) -> httpx.Response:
    return post_pairs(client, face, models="stable_diffusion", seed=seed, **fields)


def _ask_briefly(client: httpx.Client, face: bytes) -> httpx.Response:
    return _ask(client, face, num_inference_steps=16)


def _made(response: httpx.Response) -> dict[str, Any]:
    assert response.status_code == 200, response.text
    made: dict[str, Any] = response.json()["sets"]["stable_diffusion"]
    return made


def _statuses(response: httpx.Response) -> list[str]:
    return [pair["stable_diffusion"]["status"] for pair in response.json()["pairs"]]


def test_one_request_takes_at_most_six_tenths_of_the_time(
    pair_of_replicas: httpx.Client, face: bytes
) -> None:
    _ask(pair_of_replicas, face)
    answers = [_ask(pair_of_replicas, face) for _ in range(3)]
    assert all(len(set(_made(answer)["replicas"])) == 2 for answer in answers)
    taken_s = statistics.median(answer.elapsed.total_seconds() for answer in answers)
    assert taken_s <= 0.6 * WHOLE_S


@pytest.mark.parametrize(
    ("cards", "replicas"),
    [
        ("a,a,b", 2),
        pytest.param("a,a", 1, marks=pytest.mark.slow),
        pytest.param(",", 1, marks=pytest.mark.slow),
    ],
)
def test_a_set_is_cut_over_cards_not_over_replicas_that_take_turns_on_one(
    face: bytes, tmp_path: Path, cards: str, replicas: int
) -> None:
    def change(application: dict[str, Any]) -> None:
        light(application, len(cards.split(",")))
        model = application["args"]["stable_diffusion"]
        model["factory"] = "tests.faults.faulty_models:load_diffusion_on_cards"
        model["options"] = {"folder": str(tmp_path), "cards": cards, **LAW}

    with serving(changed_config(tmp_path, "simulated.yaml", change), num_gpus=1) as client:
        running = len(cards.split(","))
        wait_for(lambda: running_replicas(client)["stable_diffusion"] == running, 60)
        _ask(client, face)  # the ingress gets to know them
        for _ in range(5):
            made = _made(_ask(client, face))
            assert len(made["replicas"]) == replicas
            if replicas == 2:
                assert {"made on a", "made on b"} <= set(made["notes"])


@pytest.mark.slow
def test_under_load_sets_stay_whole_with_the_same_images(
    pair_of_replicas: httpx.Client, face: bytes
) -> None:
    time.sleep(MEMORY_S + 0.5)
    split = _ask_briefly(pair_of_replicas, face)
    assert len(_made(split)["replicas"]) == 2

    def user(number: int) -> list[httpx.Response]:
        return [_ask_briefly(pair_of_replicas, face) for _ in range(2)]

    (ingress,) = ServiceProcesses.behind(pair_of_replicas).replicas("Ingress")
    used = ingress.cpu_times()
    started = time.monotonic()
    with ThreadPoolExecutor(4) as users:
        answers = [one for answered in users.map(user, range(4)) for one in answered]
    worked_s = ingress.cpu_times().user - used.user
    assert worked_s < 0.2 * (time.monotonic() - started), "it spins while calls wait"
    assert all(answer.json()["pairs"] == split.json()["pairs"] for answer in answers)
    # Whoever comes first finds both replicas idle; nobody after that.
    assert sum(len(_made(answer)["replicas"]) == 2 for answer in answers) <= 1


@pytest.mark.slow
def test_a_chunk_whose_replica_dies_is_made_again_by_itself(
    pair_of_replicas: httpx.Client, face: bytes
) -> None:
    time.sleep(MEMORY_S + 0.5)
    expected = _ask(pair_of_replicas, face, num_inference_steps=100)
    assert len(set(_made(expected)["replicas"])) == 2
    answers: list[httpx.Response] = []
    user = threading.Thread(
        target=lambda: answers.append(_ask(pair_of_replicas, face, num_inference_steps=100))
    )
    user.start()
    time.sleep(1.0)
    ServiceProcesses.behind(pair_of_replicas).replicas("StableDiffusionDeployment")[0].kill()
    user.join(timeout=60)
    made = _made(answers[0])
    assert answers[0].json()["pairs"] == expected.json()["pairs"]
    before = _made(expected)["replicas"]
    assert len(set(made["replicas"]) & set(before)) == 1  # the other chunk stayed where it was
    wait_for(lambda: _replicas(pair_of_replicas) == 2, 60)


@pytest.mark.slow
def test_a_chunk_that_fails_is_reported_by_itself(
    pair_of_replicas: httpx.Client, face: bytes
) -> None:
    time.sleep(MEMORY_S + 0.5)
    first = FAILING_SEED - 7  # in the second chunk of five
    response = _ask(pair_of_replicas, face, seed=first, allow_partial="true")
    assert _statuses(response) == ["ok"] * 5 + ["failed"] * 5
    made = _made(response)
    assert made["status"] == "ok"
    assert made["error"]["code"] == "model_failed"
    refused = _ask(pair_of_replicas, face, seed=first)
    assert refused.status_code == 500
    assert refused.json()["error"]["code"] == "model_failed"
    sheet = _ask_for_sheet(pair_of_replicas, face, first)
    assert sheet.status_code == 200
    assert sheet.headers["content-type"] == "image/png"


def _ask_for_sheet(client: httpx.Client, face: bytes, seed: int) -> httpx.Response:
    """Ask for a contact sheet of a set of which a part fails."""
    return client.post(
        "/v1/pairs",
        files={"image": ("face.png", face)},
        data={"models": "stable_diffusion", "seed": seed, "allow_partial": "true"},
        headers={"Accept": "image/png"},
    )


@pytest.mark.slow
def test_progress_is_that_of_the_whole_set(pair_of_replicas: httpx.Client, face: bytes) -> None:
    time.sleep(MEMORY_S + 0.5)
    with pair_of_replicas.stream(
        "POST",
        "/v1/pairs",
        files={"image": ("face.png", face)},
        data={"models": "stable_diffusion", "seed": 7},
        headers={"Accept": "text/event-stream"},
    ) as stream:
        events = list(read_events(stream.iter_lines()))
    steps = [fields["step"] for name, fields in events if name == "progress"]
    assert steps == sorted(set(steps))
    assert steps[-1] == STEPS
    images = [fields["index"] for name, fields in events if name == "image"]
    assert images == list(range(10))


@pytest.mark.slow
def test_a_caller_who_leaves_frees_both_replicas(
    pair_of_replicas: httpx.Client, face: bytes
) -> None:
    time.sleep(MEMORY_S + 0.5)
    with pytest.raises(httpx.ReadTimeout):
        pair_of_replicas.post(
            "/v1/pairs",
            files={"image": ("face.png", face)},
            data={"models": "stable_diffusion", "num_inference_steps": 150, "strength": 1.0},
            timeout=1.0,
        )
    time.sleep(MEMORY_S + 0.5)  # the work would take 9 s
    answer = _ask(pair_of_replicas, face)
    assert len(set(_made(answer)["replicas"])) == 2
    assert answer.elapsed.total_seconds() <= 0.7 * WHOLE_S


def _replicas(client: httpx.Client) -> int:
    cards = client.get("/v1/models").json()["data"]
    (running,) = (one["replicas"]["running"] for one in cards if one["role"] == "stable_diffusion")
    return int(running)
