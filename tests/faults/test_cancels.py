"""Callers who leave at random moments leave nothing behind: no place taken, no work going on."""

import asyncio
import random
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.faults.conftest import light
from tests.faults.processes import ServiceProcesses
from tests.support.services import changed_config, post_pairs, running_replicas, serving, wait_for

CALLERS = 200
AT_ONCE = 16
PLACES = 20
STEP_S = 0.05
DEADLINE_S = 30.0
FIELDS = {"n": "2", "num_inference_steps": "40", "strength": "1"}
QUICK = {"n": "1", "num_inference_steps": "2", "strength": "1", "seed": "3"}
KINDS: list[dict[str, Any]] = [
    {"data": FIELDS},
    {"data": FIELDS, "headers": {"Accept": "text/event-stream"}},
    {"data": {**FIELDS, "models": "stable_diffusion"}},
    {"data": {**FIELDS, "models": "vae"}},
]


@dataclass(frozen=True)
class Counting:
    """A service whose diffusion model writes each step it does into a file."""

    client: httpx.Client
    log: Path

    def steps(self) -> int:
        """Return how many steps were done so far."""
        return len(self.log.read_bytes().splitlines()) if self.log.exists() else 0

    def rest_s(self) -> float:
        """Return after how many seconds the last step was done, having seen it stand still."""
        started = last = time.monotonic()
        steps = self.steps()
        while time.monotonic() - last < 10 * STEP_S + 1.0:
            time.sleep(STEP_S / 2)
            if self.steps() != steps:
                steps, last = self.steps(), time.monotonic()
            assert last - started < DEADLINE_S, "the models went on working for nobody"
        return last - started


@pytest.fixture(scope="module")
def counting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Counting]:
    """Return a service of two replicas of each model with twenty places."""
    directory = tmp_path_factory.mktemp("counting")
    log = directory / "steps"

    def change(application: dict[str, Any]) -> None:
        light(application, 2)
        arguments = application["args"]
        arguments["stable_diffusion"] = {
            "factory": "tests.broken_models:load_logging_diffusion",
            "options": {"log": str(log), "step_s": STEP_S},
        }
        arguments["ingress"].update(
            max_admitted_requests=PLACES, max_reading=PLACES, request_timeout_s=DEADLINE_S
        )
        del arguments["api_keys_file"]
        arguments["allow_anonymous"] = True

    with serving(changed_config(directory, "simulated.yaml", change), num_gpus=1) as client:
        everything = {"vae": 2, "stable_diffusion": 2}
        wait_for(lambda: running_replicas(client) == everything, timeout_s=60)
        yield Counting(client, log)


def test_a_storm_of_callers_who_leave(counting: Counting, small_face: bytes) -> None:
    client = counting.client
    expected = post_pairs(client, small_face, **QUICK).json()["pairs"]
    processes = ServiceProcesses.behind(client)
    before = {one.pid for one in processes.replicas("")}

    done = counting.steps()
    left, answered = asyncio.run(_storm(str(client.base_url), small_face))
    rest_s = counting.rest_s()
    done = counting.steps() - done
    print(
        f"\n{left} left, {answered} had an answer first; {done} steps were done for them, the last "
        f"one {rest_s:.2f} s after they were gone"
    )
    assert left >= 0.8 * CALLERS
    assert done > CALLERS / 4  # they did not leave before anything began
    # A step of each replica may still be under way, and a message on its way to it.
    assert rest_s < 10 * STEP_S

    # All places are free: as many as there are get one at the same time.
    with ThreadPoolExecutor(PLACES) as callers:
        later = list(callers.map(lambda _: post_pairs(client, small_face, **QUICK), range(PLACES)))
    assert [one.status_code for one in later] == [200] * PLACES
    assert all(one.json()["pairs"] == expected for one in later)
    assert {one.pid for one in processes.replicas("")} == before


def test_work_whose_cancellation_got_lost_ends_by_its_deadline(
    counting: Counting, small_face: bytes
) -> None:
    # Nobody is left to cancel anything: the process that would do it is gone.
    budget_s, long = 4.0, {"n": "1", "num_inference_steps": "150", "strength": "1"}
    caller = threading.Thread(
        target=_ask_in_vain, args=(counting.client, small_face, {**long, "timeout_s": budget_s})
    )
    started, before = time.monotonic(), counting.steps()
    caller.start()
    wait_for(lambda: counting.steps() > before + 5, timeout_s=10)
    (ingress,) = ServiceProcesses.behind(counting.client).replicas("Ingress")
    ingress.kill()
    counting.rest_s()
    taken_s = (counting.steps() - before) * STEP_S
    print(f"\n{taken_s:.1f} s of steps were done of 7.5 s; the budget was {budget_s} s")
    assert taken_s < budget_s + 2 * STEP_S
    caller.join(timeout=60)
    wait_for(lambda: _works(counting.client, small_face), timeout_s=60)
    assert time.monotonic() - started < 90


@pytest.mark.parametrize(
    "headers",
    [
        {"x-request-timeout-seconds": "0"},
        {"x-request-disconnect-disabled": "?1"},
    ],
)
def test_no_header_switches_the_deadline_or_the_cancellation_off(
    counting: Counting, small_face: bytes, headers: dict[str, str]
) -> None:
    client = counting.client
    files = {"image": ("face.png", small_face)}
    slow = {"n": "1", "num_inference_steps": "150", "strength": "1", "models": "stable_diffusion"}
    late = client.post("/v1/pairs", files=files, data={**slow, "timeout_s": "1"}, headers=headers)
    assert late.status_code == 504
    assert late.elapsed.total_seconds() < 3
    assert counting.rest_s() < 10 * STEP_S

    before = counting.steps()
    with pytest.raises(httpx.TimeoutException):
        client.post("/v1/pairs", files=files, data=slow, headers=headers, timeout=1.0)
    counting.rest_s()
    assert (counting.steps() - before) * STEP_S < 4  # of 7.5 s


async def _storm(url: str, face: bytes) -> tuple[int, int]:
    """Send requests, a few at a time, and leave each after a random time; count both endings."""
    dice, turns = random.Random(8), asyncio.Semaphore(AT_ONCE)
    async with httpx.AsyncClient(base_url=url, trust_env=False, timeout=None) as client:

        async def one(number: int) -> bool:
            request = KINDS[number % len(KINDS)]
            async with turns:
                try:
                    async with asyncio.timeout(dice.choice([0.05, 0.5, 2.0]) * dice.random()):
                        await client.post("/v1/pairs", files={"image": ("f.png", face)}, **request)
                except TimeoutError:
                    return True
                return False

        endings = await asyncio.gather(*(one(number) for number in range(CALLERS)))
    return sum(endings), len(endings) - sum(endings)


def _ask_in_vain(client: httpx.Client, face: bytes, fields: dict[str, Any]) -> None:
    try:
        post_pairs(client, face, **fields)
    except httpx.TransportError:
        return


def _works(client: httpx.Client, face: bytes) -> bool:
    try:
        return post_pairs(client, face, **QUICK).status_code == 200
    except httpx.TransportError:
        return False
