"""A closed burst: each client asks for its next set once it has the last."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass

import httpx

from benchmarks.comparison.clients import client_of
from benchmarks.comparison.job import DiffusionJob
from benchmarks.side_by_side.asking import Ask, Asked


@dataclass(frozen=True)
class Outcome:
    """What became of one job, not judged yet.

    Attributes:
        job: what was asked for.
        latency_s: until the last image, or the error, was there.
        asked: the answer; None with a problem.
        problem: in words, "" without one.
    """

    job: DiffusionJob
    latency_s: float
    asked: Asked | None
    problem: str = ""


def run_burst(
    url: str, ask: Ask, jobs: Sequence[Sequence[DiffusionJob]]
) -> tuple[float, list[Outcome]]:
    """Let each client work through its jobs; returns the wall time and all outcomes."""
    return asyncio.run(_burst(url, ask, jobs))


async def _burst(
    url: str, ask: Ask, jobs: Sequence[Sequence[DiffusionJob]]
) -> tuple[float, list[Outcome]]:
    clients = [client_of(url) for _ in jobs]
    try:
        started_s = time.perf_counter()
        outcomes = await asyncio.gather(
            *(_client(client, ask, own) for client, own in zip(clients, jobs, strict=True))
        )
        wall_s = time.perf_counter() - started_s
    finally:
        await asyncio.gather(*(client.aclose() for client in clients))
    return wall_s, [outcome for own in outcomes for outcome in own]


async def _client(
    client: httpx.AsyncClient, ask: Ask, jobs: Sequence[DiffusionJob]
) -> list[Outcome]:
    return [await _asked(client, ask, job) for job in jobs]


async def _asked(client: httpx.AsyncClient, ask: Ask, job: DiffusionJob) -> Outcome:
    started_s = time.perf_counter()
    asked, problem = None, ""
    try:
        asked = await ask(client, job)
    except httpx.HTTPStatusError as error:
        problem = f"HTTP {error.response.status_code}"
    except httpx.HTTPError as error:
        problem = type(error).__name__
    except (ValueError, KeyError, TypeError) as error:
        problem = f"unreadable answer ({type(error).__name__})"
    return Outcome(job, time.perf_counter() - started_s, asked, problem)
