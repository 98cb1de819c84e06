"""The compared servers make the images of diffusers' batched call, and go without a trace."""

import asyncio
import socket
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from io import BytesIO
from typing import Any

import httpx
import numpy as np
import psutil
import pytest
from PIL import Image

from benchmarks.comparison import clients
from benchmarks.comparison.job import DiffusionJob, demo_job
from benchmarks.comparison.pipeline import batched, load_pipeline
from benchmarks.comparison.servers import NAMES, serving

JOB = replace(demo_job((11, 12, 13)), num_inference_steps=6)


def _slow(names: Sequence[str]) -> list[Any]:
    return [pytest.param(name, marks=pytest.mark.slow) for name in names]


@pytest.fixture(scope="module")
def expected() -> np.ndarray:
    return np.stack([np.asarray(image).astype(int) for image in batched(load_pipeline(), JOB)])


def _client_of(name: str) -> Callable[[httpx.AsyncClient, DiffusionJob], Awaitable[clients.Answer]]:
    if name == "twinset":
        return clients.twinset_set
    return clients.expert_set if name.endswith("expert") else clients.documented_set


def _answers(name: str, url: str, job: DiffusionJob, users: int) -> list[clients.Answer]:
    async def run() -> list[clients.Answer]:
        async with clients.client_of(url) as client:
            return await asyncio.gather(*(_client_of(name)(client, job) for _ in range(users)))

    return asyncio.run(run())


def _difference(answer: clients.Answer, expected: np.ndarray) -> int:
    images = [np.asarray(Image.open(BytesIO(file))).astype(int) for file in answer.images]
    return int(np.abs(np.stack(images) - expected).max())


def _processes(pid: int) -> list[psutil.Process]:
    root = psutil.Process(pid)
    return [root, *root.children(recursive=True)]


def _cpu_s(pid: int) -> dict[int, float]:
    """Return the seconds that each thread of a process tree has computed."""
    found = {}
    for process in _processes(pid):
        try:
            found |= {one.id: one.user_time + one.system_time for one in process.threads()}
        except psutil.Error:
            continue
    return found


def _busiest_s(name: str, url: str, pid: int) -> list[float]:
    """Return how long the two busiest threads of a service computed for one image."""
    before = _cpu_s(pid)
    _answers(name, url, demo_job((1,)), users=1)
    grown = sorted(value - before.get(one, 0.0) for one, value in _cpu_s(pid).items())
    return grown[-2:]


def _listens(url: str) -> bool:
    host, port = url.removeprefix("http://").split(":")
    with socket.socket() as caller:
        return caller.connect_ex((host, int(port))) == 0


@pytest.mark.parametrize("name", _slow([name for name in NAMES if name != "ray_documented"]))
def test_servers_make_right_images_with_two_threads_and_leave_nothing(
    name: str, expected: np.ndarray
) -> None:
    with serving(name) as server:
        for users in (1, 4):
            answers = _answers(name, server.url, JOB, users)
            assert [_difference(one, expected) <= 1 for one in answers] == [True] * users
        second, first = _busiest_s(name, server.url, server.pid)
        assert second > 0.3 * first, "torch computed in one thread"
        processes = _processes(server.pid)
        assert _listens(server.url)
        psutil.Process(server.pid).terminate()  # by itself: `serving` would help where it fails
        _, left = psutil.wait_procs(processes[1:], timeout=30)
        for one in left:
            one.kill()
        assert left == []
    assert not _listens(server.url)


@pytest.mark.slow
def test_rays_own_example_is_right_for_one_image_at_a_time_only(expected: np.ndarray) -> None:
    name = "ray_documented"
    with serving(name) as server:
        for index, seed in enumerate(JOB.seeds):
            (answer,) = _answers(name, server.url, replace(JOB, seeds=(seed,)), users=1)
            assert _difference(answer, expected[[index]]) <= 1
        # Five calls at once share the state of one scheduler: an error, or another image.
        crowd = replace(JOB, seeds=JOB.seeds * 4)
        assert not _is_right(name, server.url, crowd, np.concatenate([expected] * 4))


def _is_right(name: str, url: str, job: DiffusionJob, expected: np.ndarray) -> bool:
    try:
        (answer,) = _answers(name, url, job, users=1)
    except httpx.HTTPStatusError:
        return False
    return _difference(answer, expected) <= 1


@pytest.mark.parametrize("name", _slow(NAMES))
def test_a_port_that_is_taken_gets_a_sentence(name: str) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        started = time.monotonic()
        with pytest.raises(RuntimeError, match=f"port {port} is busy"), serving(name, port):
            pass
        assert time.monotonic() - started < 60


@pytest.mark.slow
def test_a_pair_from_twinset_has_both_sets_and_says_what_it_took(expected: np.ndarray) -> None:
    async def ask(url: str) -> clients.Answer:
        async with clients.client_of(url) as client:
            return await clients.twinset_pair(client, JOB)

    with serving("twinset") as server:
        answer = asyncio.run(ask(server.url))
    assert len(answer.images) == 2 * len(JOB.seeds)
    diffusion = replace(answer, images=answer.images[len(JOB.seeds) :])
    assert _difference(diffusion, expected) <= 1
    assert answer.timings_ms["model"] > 0
    assert (answer.unet_calls, answer.encoder_calls) == (4, 1)
