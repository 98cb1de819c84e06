"""Asks a server for one set and notes when its first image was there."""

import base64
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

import httpx

from benchmarks.comparison.clients import (
    Answer,
    documented_set,
    expert_set,
    twinset_pair,
    twinset_set,
)
from benchmarks.comparison.job import DiffusionJob
from benchmarks.side_by_side.arms import PAIR_EVENTS, Arm, Form
from models.roles import DIFFUSION, VAE


@dataclass(frozen=True)
class Asked:
    """An answer, and how long its first image took."""

    answer: Answer
    first_image_s: float


Ask = Callable[[httpx.AsyncClient, DiffusionJob], Awaitable[Asked]]


def ask_of(arm: Arm) -> Ask:
    """Return how an arm is asked."""
    return pair_events if arm == PAIR_EVENTS else _ASKS[arm.form]


async def documented(client: httpx.AsyncClient, job: DiffusionJob) -> Asked:
    """Ask for ten single images at once: the first is there with the first response."""
    asked_s = time.perf_counter()
    moments: list[float] = []

    async def note(response: httpx.Response) -> None:
        if response.is_success:
            moments.append(time.perf_counter() - asked_s)

    client.event_hooks = {"response": [note]}
    answer = await documented_set(client, job)
    return Asked(answer, min(moments))


async def pair_events(client: httpx.AsyncClient, job: DiffusionJob) -> Asked:
    """Ask Twinset for both sets as a stream of events; the first image is the VAE's.

    Raises:
        httpx.HTTPStatusError: the request was answered with an error.
        ValueError: the stream ended with an error or without its end.
    """
    asked_s = time.perf_counter()
    images: dict[tuple[str, int], bytes] = {}
    sets: dict[str, Any] = {}
    first_s, size, name = 0.0, 0, ""
    async with client.stream(
        "POST", "/v1/pairs", json=_body(job), headers={"Accept": "text/event-stream"}
    ) as response:
        response.raise_for_status()
        async for name, fields, length in _events(response):
            size += length
            if name == "image":
                first_s = first_s or time.perf_counter() - asked_s
                images[fields["role"], fields["index"]] = base64.b64decode(fields["b64_json"])
            elif name == "set":
                sets[fields["role"]] = fields
    if name != "completed":
        raise ValueError(f"the stream ended with {name or 'nothing'!r}")
    return Asked(_joined(images, sets, size), first_s)


async def _events(
    response: httpx.Response,
) -> AsyncIterator[tuple[str, dict[str, Any], int]]:
    """Yield name, fields and size of each event; each has one line of data."""
    name = ""
    async for line in response.aiter_lines():
        if line.startswith("event:"):
            name = line[6:].strip()
        elif line.startswith("data:"):
            yield name, json.loads(line[5:]), len(line)


def _joined(images: Mapping[tuple[str, int], bytes], sets: Mapping[str, Any], size: int) -> Answer:
    """Return the answer that a stream amounts to: the VAE's images first."""
    places = sorted(images, key=lambda place: (place[0] != VAE, place[1]))
    diffusion = sets[DIFFUSION]
    return Answer(
        images=tuple(images[place] for place in places),
        bytes_received=size,
        timings_ms=diffusion["timings_ms"],
        unet_calls=diffusion["unet_calls"],
        encoder_calls=diffusion["encoder_calls"],
    )


def _whole(
    ask: Callable[[httpx.AsyncClient, DiffusionJob], Awaitable[Answer]],
) -> Ask:
    """Return the asking of a service whose images all come together."""

    async def asking(client: httpx.AsyncClient, job: DiffusionJob) -> Asked:
        asked_s = time.perf_counter()
        answer = await ask(client, job)
        return Asked(answer, time.perf_counter() - asked_s)

    return asking


def _body(job: DiffusionJob) -> dict[str, Any]:
    return {
        "image": base64.b64encode(job.picture).decode(),
        "prompt": job.prompt,
        "strength": job.strength,
        "guidance_scale": job.guidance_scale,
        "num_inference_steps": job.num_inference_steps,
        "seeds": list(job.seeds),
    }


_ASKS: Mapping[Form, Ask] = {
    "documented": documented,
    "expert": _whole(expert_set),
    "ours": _whole(twinset_set),
    "pair": _whole(twinset_pair),
}
