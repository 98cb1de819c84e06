"""Crafted pictures through HTTP: a picture that comes out right, or a sentence; nothing else."""

import base64
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image

from tests.faults.answers_of_errors import complaint
from tests.faults.corpus import Entry, corpus
from tests.faults.processes import ServiceProcesses
from tests.support.services import changed_config, post_pairs, serving

BOUND_S = 20.0
"""No file may keep the service longer; the largest picture takes two seconds on a busy core."""
DEPLOYMENTS = ("Ingress", "VAEDeployment", "StableDiffusionDeployment")


@dataclass(frozen=True)
class Told:
    """What the service said of one file."""

    entry: Entry
    response: httpx.Response
    seconds: float


@pytest.fixture(scope="module")
def quick(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """Return a client of a service whose models take no time and do not scale."""

    def change(application: dict[str, Any]) -> None:
        application["args"]["vae"]["options"] = {"fixed_s": 0.0, "image_step_s": 0.0}
        application["args"]["stable_diffusion"]["options"] = {
            "fixed_s": 0.0,
            "step_s": 0.0,
            "image_step_s": 0.0,
        }
        for deployment in application["deployments"]:
            deployment.pop("autoscaling_config", None)
            deployment["num_replicas"] = 1

    config = changed_config(tmp_path_factory.mktemp("quick"), "simulated.yaml", change)
    with serving(config, num_gpus=1) as client:
        yield client


@pytest.fixture(scope="module")
def entries() -> list[Entry]:
    return corpus()


def _pids(client: httpx.Client) -> dict[str, set[int]]:
    processes = ServiceProcesses.behind(client)
    return {name: {one.pid for one in processes.replicas(name)} for name in DEPLOYMENTS}


def _all(entries: list[Entry], send: Callable[[Entry], httpx.Response]) -> list[Told]:
    def one(entry: Entry) -> Told:
        started = time.monotonic()
        response = send(entry)
        return Told(entry, response, time.monotonic() - started)

    with ThreadPoolExecutor(3) as senders:
        return list(senders.map(one, entries))


def _quadrants(answer: bytes) -> np.ndarray:
    """Return the four colours of the input, from an image that the simulated VAE made of it."""
    pixels = np.asarray(Image.open(BytesIO(answer)), dtype=float)
    # Half of the input, plus 64, plus noise whose mean is zero (models/simulated.py).
    input_pixels = (pixels - 64) * 2
    corners = [input_pixels[y : y + 24, x : x + 24] for y in (4, 36) for x in (4, 36)]
    return np.array([corner.mean(axis=(0, 1)) for corner in corners])


def _check(told: Told) -> None:
    response, entry = told.response, told.entry
    assert response.status_code in entry.statuses, f"{entry.name}: {response.text[:300]}"
    assert told.seconds < BOUND_S, f"{entry.name} took {told.seconds:.1f} s"
    if response.status_code != 200:
        complaint(response)
    elif entry.square is not None:
        image = base64.b64decode(response.json()["pairs"][0]["vae"]["b64_json"])
        error = np.abs(_quadrants(image) - np.array(entry.square)).max()
        assert error <= entry.tolerance, f"{entry.name}: {_quadrants(image).round()}"


def test_every_file_gives_its_picture_or_a_sentence_and_kills_nobody(
    quick: httpx.Client, entries: list[Entry]
) -> None:
    assert len(entries) >= 80
    assert len({entry.name for entry in entries}) == len(entries)
    before = _pids(quick)
    assert all(before.values())
    started = time.monotonic()
    told = _all(entries, lambda one: post_pairs(quick, one.data, n=1, models="vae", seed=1))
    took_s = time.monotonic() - started
    for one in told:
        _check(one)
    assert _pids(quick) == before
    counts = Counter(one.response.status_code for one in told)
    slowest = max(told, key=lambda one: one.seconds)
    print(f"\n{len(entries)} files in {took_s:.0f} s:", dict(counts))
    print(f"slowest: {slowest.entry.name}, {slowest.seconds:.1f} s")
    assert took_s < 90


@pytest.mark.parametrize("route", ["inspect", "json", "data url", "raw"])
def test_other_routes_survive_the_files_too(
    quick: httpx.Client, entries: list[Entry], route: str
) -> None:
    def send(entry: Entry) -> httpx.Response:
        if route == "inspect":
            return quick.post("/v1/inspect", files={"image": ("x", entry.data)})
        if route == "raw":
            headers = {"content-type": "image/jpeg"}
            return quick.post("/hf/image-to-image", content=entry.data, headers=headers)
        text = base64.b64encode(entry.data).decode()
        if route == "json":
            return quick.post("/v1/pairs", json={"image": text, "n": 1, "models": ["vae"]})
        images = [{"image_url": f"data:image/png;base64,{text}"}]
        return quick.post("/v1/images/variations", json={"images": images})

    before = _pids(quick)
    sample = entries[::6]
    for one in _all(sample, send):
        response = one.response
        assert one.seconds < BOUND_S, one.entry.name
        if response.status_code != 200:
            complaint(response)
        if route == "inspect":  # none of them was made by Twinset
            assert response.status_code in (400, 413), one.entry.name
        else:
            assert response.status_code in (*one.entry.statuses, 413), one.entry.name
    assert _pids(quick) == before
    assert post_pairs(quick, entries[0].data, n=1).status_code == 200
