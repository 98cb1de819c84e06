"""Ten times the load that can be served: who is let in is served soon, the others know at once."""

import asyncio
import statistics
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from scripts.api_key import add_key
from tests.faults.conftest import light
from tests.faults.processes import ServiceProcesses
from tests.faults.tally import quantile
from tests.support.services import changed_config, post_pairs, running_replicas, serving, wait_for

REPLICAS = 2
PLACES = 8
SERVICE_S = 1.0  # of one diffusion set, by the simulation's law
FACTOR = 10
FLOOD_S = 60.0
CROWD_S = 30.0
DEADLINE_S = 30.0
DIFFUSION = {"n": "2", "num_inference_steps": "20", "strength": "1", "models": "stable_diffusion"}
VAE = {"n": "2", "models": "vae"}


@dataclass(frozen=True)
class Flooded:
    """A service and two callers' keys."""

    client: httpx.Client
    greedy: str
    modest: str


@dataclass(frozen=True)
class Answer:
    """What became of one request."""

    status: int
    code: str
    taken_s: float
    retry_after: str | None
    is_envelope: bool


@pytest.fixture(scope="module")
def flooded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flooded]:
    """Return a service of two replicas of each model and eight places a lane."""
    directory = tmp_path_factory.mktemp("flood")
    keys = directory / "api-keys"
    greedy, modest = add_key(keys, "greedy"), add_key(keys, "modest")

    with serving(_config(directory, keys), num_gpus=1) as client:
        client.headers["Authorization"] = f"Bearer {greedy}"
        everything = {"vae": REPLICAS, "stable_diffusion": REPLICAS}
        wait_for(lambda: running_replicas(client) == everything, timeout_s=60)
        yield Flooded(client, greedy, modest)


def _config(directory: Path, keys: Path | None) -> Path:
    def change(application: dict[str, Any]) -> None:
        light(application, REPLICAS)
        arguments = application["args"]
        arguments["stable_diffusion"]["options"] = {
            "fixed_s": 0.0,
            "step_s": SERVICE_S / 20,
            "image_step_s": 0.0,
        }
        arguments["ingress"].update(
            max_admitted_requests=PLACES, max_reading=PLACES, request_timeout_s=DEADLINE_S
        )
        arguments["api_keys_file"] = None if keys is None else str(keys)
        arguments["allow_anonymous"] = keys is None

    return changed_config(directory, "simulated.yaml", change)


def test_ten_times_the_load_for_a_minute(flooded: Flooded, small_face: bytes) -> None:
    service_s = _idle_service_s(flooded.client, small_face)
    processes = ServiceProcesses.behind(flooded.client)
    before = {one.pid for one in processes.replicas("")}
    rate = FACTOR * REPLICAS / service_s
    flood, modest, quick, status = asyncio.run(_flood(flooded, small_face, rate))
    _print("the greedy key", flood)
    _print("the modest key, diffusion", modest)
    _print("the modest key, VAE alone", quick)
    _print("/livez, /readyz, /v1/models", status)
    _check_flood(flood, rate, FLOOD_S, service_s)
    # Others hardly notice.
    assert Counter(one.status for one in modest).keys() == {200}
    assert len(modest) >= 5
    assert Counter(one.status for one in quick).keys() == {200}
    assert quantile([one.taken_s for one in quick], 0.5) < 1.0
    assert {one.status for one in status} == {200}
    assert quantile([one.taken_s for one in status], 0.95) < 0.5
    # And it is over when it is over.
    assert {one.pid for one in processes.replicas("")} == before
    assert post_pairs(flooded.client, small_face, **DIFFUSION).status_code == 200


def _idle_service_s(client: httpx.Client, face: bytes) -> float:
    taken_s = []
    for _ in range(5):
        response = post_pairs(client, face, **DIFFUSION)
        assert response.status_code == 200, response.text
        taken_s.append(response.elapsed.total_seconds())
    return statistics.median(taken_s)


def test_a_flood_of_callers_who_are_not_told_apart(
    tmp_path_factory: pytest.TempPathFactory, small_face: bytes
) -> None:
    """Here nobody's share keeps places free: the whole queue fills, as long as it may get."""
    with serving(_config(tmp_path_factory.mktemp("crowd"), None), num_gpus=1) as client:
        everything = {"vae": REPLICAS, "stable_diffusion": REPLICAS}
        wait_for(lambda: running_replicas(client) == everything, timeout_s=60)
        service_s = _idle_service_s(client, small_face)
        rate = FACTOR * REPLICAS / service_s

        async def crowd() -> list[Answer]:
            async with _client(client, None) as anybody:
                until = time.monotonic() + CROWD_S
                return await _open_loop(anybody, small_face, rate, until)

        flood = asyncio.run(crowd())
        _print("anybody", flood)
        _check_flood(flood, rate, CROWD_S, service_s)
        assert post_pairs(client, small_face, **VAE).status_code == 200


def _check_flood(flood: list[Answer], rate: float, for_s: float, service_s: float) -> None:
    served = [one.taken_s for one in flood if one.status == 200]
    refused = [one for one in flood if one.status == 429]
    p95_s, bound_s = quantile(served, 0.95), 1.5 * (PLACES / REPLICAS + 1) * service_s
    print(
        f"{rate:.1f} requests/s for {for_s:.0f} s; service {service_s:.2f} s; accepted p95 "
        f"{p95_s:.2f} s, bound {bound_s:.2f} s; 429 after p95 "
        f"{quantile([one.taken_s for one in refused], 0.95):.3f} s; "
        f"{len(served) / for_s * service_s / REPLICAS:.0%} of the capacity used by the flood"
    )
    # Open loop: all were sent, and all were answered, with nothing but what is allowed.
    assert len(flood) >= 0.95 * rate * for_s
    assert {one.status for one in flood} <= {200, 429, 504}
    assert all(one.is_envelope for one in flood)
    assert all(one.retry_after and int(one.retry_after) >= 1 for one in refused)
    assert max(one.taken_s for one in flood) < DEADLINE_S + 2
    assert p95_s <= bound_s
    assert len(served) > 0.5 * for_s * REPLICAS / service_s  # turned away, not standing idle


async def _flood(
    flooded: Flooded, face: bytes, rate: float
) -> tuple[list[Answer], list[Answer], list[Answer], list[Answer]]:
    """Send an open-loop flood with one key, and ask now and then with the other meanwhile."""
    until = time.monotonic() + FLOOD_S
    client = flooded.client
    async with _client(client, flooded.greedy) as greedy, _client(client, flooded.modest) as own:
        results = await asyncio.gather(
            _open_loop(greedy, face, rate, until),
            _one_by_one(own, face, DIFFUSION, until),
            _one_by_one(own, face, VAE, until),
            _status(own, until),
        )
    return results[0], results[1], results[2], results[3]


def _client(client: httpx.Client, key: str | None) -> httpx.AsyncClient:
    return httpx.AsyncClient(
        base_url=client.base_url,
        headers={"Authorization": f"Bearer {key}"} if key else {},
        timeout=DEADLINE_S + 30,
        trust_env=False,
        limits=httpx.Limits(max_connections=200, keepalive_expiry=2.0),
    )


async def _open_loop(
    client: httpx.AsyncClient, face: bytes, rate: float, until: float
) -> list[Answer]:
    sent, due = [], time.monotonic()
    while due < until:
        await asyncio.sleep(max(0.0, due - time.monotonic()))
        sent.append(asyncio.create_task(_post(client, face, DIFFUSION)))
        due += 1 / rate
    return list(await asyncio.gather(*sent))


async def _one_by_one(
    client: httpx.AsyncClient, face: bytes, fields: dict[str, str], until: float
) -> list[Answer]:
    answers = []
    await asyncio.sleep(3.0)  # the flood is there first
    while time.monotonic() < until:
        answers.append(await _post(client, face, fields))
        await asyncio.sleep(1.0)
    return answers


async def _status(client: httpx.AsyncClient, until: float) -> list[Answer]:
    answers = []
    while time.monotonic() < until:
        for path in ("/livez", "/readyz", "/v1/models"):
            answers.append(_answer(await client.get(path)))
        await asyncio.sleep(1.0)
    return answers


async def _post(client: httpx.AsyncClient, face: bytes, fields: dict[str, str]) -> Answer:
    files = {"image": ("face.png", face)}
    return _answer(await client.post("/v1/pairs", files=files, data=fields))


def _answer(response: httpx.Response) -> Answer:
    try:
        code = response.json().get("error", {}).get("code", "")
        is_envelope = response.status_code == 200 or bool(code)
    except ValueError:
        code, is_envelope = "", False
    return Answer(
        response.status_code,
        code,
        response.elapsed.total_seconds(),
        response.headers.get("retry-after"),
        is_envelope,
    )


def _print(who: str, answers: list[Answer]) -> None:
    counts = Counter((one.status, one.code) for one in answers)
    taken_s = [one.taken_s for one in answers]
    print(
        f"{who}: {len(answers)} answers, p50 {quantile(taken_s, 0.5):.2f} s, "
        f"p95 {quantile(taken_s, 0.95):.2f} s; "
        + ", ".join(
            f"{count} x {status} {code}".strip() for (status, code), count in counts.items()
        )
    )
