"""No body keeps the ingress's event loop busy: large ones are taken apart elsewhere."""

import asyncio
import contextlib
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from itertools import islice
from typing import Any

import httpx
import pytest
import yaml

from deployments.decoding.bodies import form_body, json_body
from deployments.errors import TwinsetError
from deployments.settings import AppSettings
from tests.faults.bodies import JSON, bodies
from tests.support.in_process import application
from tests.support.services import ROOT

MOST_CPU_S = 0.050
MOST_WORKER_S = 2.0


class _Callbacks:
    """What callbacks of an event loop take, from now on."""

    def __init__(self) -> None:
        self.cpu_s = 0.0
        self.wall_s = 0.0

    def count(self, cpu_s: float, wall_s: float) -> None:
        self.cpu_s, self.wall_s = max(self.cpu_s, cpu_s), max(self.wall_s, wall_s)


@contextmanager
def _timed() -> Iterator[_Callbacks]:
    """Time every callback of asyncio's own loop."""
    longest, run = _Callbacks(), asyncio.Handle._run

    def timed(handle: asyncio.Handle) -> None:
        cpu_s, wall_s = time.thread_time(), time.perf_counter()
        run(handle)
        longest.count(time.thread_time() - cpu_s, time.perf_counter() - wall_s)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(asyncio.Handle, "_run", timed)
        yield longest


async def _ask(app: Any, content_type: str, body: bytes) -> httpx.Response:
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        headers = {"Content-Type": content_type}
        return await client.post("/v1/pairs", content=body, headers=headers, timeout=60)


@pytest.mark.heavy
@pytest.mark.parametrize("most", [pytest.param(None, marks=pytest.mark.slow), 27])
def test_no_body_costs_the_event_loop_more_than_fifty_milliseconds(most: int | None) -> None:
    config = yaml.safe_load((ROOT / "configs" / "simulated.yaml").read_text())
    arguments = config["applications"][0]["args"]
    del arguments["api_keys_file"]
    settings = AppSettings.model_validate({**arguments, "allow_anonymous": True})
    app, service = application(settings)
    worst = _Callbacks()
    with closing(service), asyncio.Runner() as runner:
        runner.run(_ask(app, "application/json", b"{}"))
        pids = {worker.pid for worker in service.decoders.workers}
        for name, content_type, body in islice(bodies(), most):
            with _timed() as longest:
                response = runner.run(_ask(app, content_type, body))
            assert response.status_code == 400, (name, response.text)
            assert longest.cpu_s < MOST_CPU_S, (name, longest.cpu_s, response.text)
            worst.count(longest.cpu_s, longest.wall_s)
        assert {worker.pid for worker in service.decoders.workers} == pids
    sys.stdout.write(
        f"\nlongest callback: {worst.cpu_s * 1000:.0f} ms of CPU, {worst.wall_s * 1000:.0f} ms\n"
    )


@pytest.mark.slow
def test_no_body_costs_a_worker_more_than_a_few_seconds() -> None:
    slowest_s = 0.0
    for name, content_type, body in bodies():
        started_s = time.thread_time()
        with contextlib.suppress(TwinsetError):
            if content_type == JSON:
                json_body(body, "mark", {"image": "image"})
            else:
                form_body(body, content_type)
        taken_s = time.thread_time() - started_s
        assert taken_s < MOST_WORKER_S, (name, taken_s)
        slowest_s = max(slowest_s, taken_s)
    sys.stdout.write(f"\nslowest body: {slowest_s:.2f} s of a worker's CPU\n")
