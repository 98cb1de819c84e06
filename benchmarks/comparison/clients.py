"""Asks each service for one set, as its own callers would."""

import asyncio
import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx

from benchmarks.comparison.job import DiffusionJob
from models.roles import DIFFUSION, VAE

TIMEOUT_S = 300.0
_KEEP_S = 2.0  # less than the servers keep a connection: none is used in the moment it closes


@dataclass(frozen=True)
class Answer:
    """What came back for one set.

    Attributes:
        images: encoded files, in the order of the seeds; of a pair, first the VAE's.
        bytes_received: of all bodies.
        timings_ms: milliseconds by part, where the service says them, else empty; of a pair,
            the parts of the diffusion set.
        unet_calls: passes of the UNet, where the service says them.
        encoder_calls: passes of the image encoder, where the service says them.
    """

    images: tuple[bytes, ...]
    bytes_received: int
    timings_ms: Mapping[str, float] = field(default_factory=dict)
    unet_calls: int | None = None
    encoder_calls: int | None = None


def client_of(url: str) -> httpx.AsyncClient:
    """Return a client of a service: as many connections as it takes, no proxy on the way."""
    limits = httpx.Limits(max_connections=None, keepalive_expiry=_KEEP_S)
    return httpx.AsyncClient(base_url=url, timeout=TIMEOUT_S, trust_env=False, limits=limits)


async def documented_set(client: httpx.AsyncClient, job: DiffusionJob) -> Answer:
    """Ask a server that makes one image a request: all of a set at once.

    Raises:
        httpx.HTTPStatusError: a request was answered with an error.
    """
    responses = await asyncio.gather(*(_imagine(client, job, seed) for seed in job.seeds))
    images = tuple(response.content for response in responses)
    return Answer(images, sum(map(len, images)))


async def expert_set(client: httpx.AsyncClient, job: DiffusionJob) -> Answer:
    """Ask a server that makes a set a request.

    Raises:
        httpx.HTTPStatusError: the request was answered with an error.
    """
    response = await client.post("/set", json={**_fields(job), "seeds": list(job.seeds)})
    images = response.raise_for_status().json()["images"]
    return Answer(tuple(map(base64.b64decode, images)), len(response.content))


async def twinset_set(client: httpx.AsyncClient, job: DiffusionJob) -> Answer:
    """Ask Twinset for the diffusion set alone.

    Raises:
        httpx.HTTPStatusError: the request was answered with an error.
    """
    return await _pairs(client, job, [DIFFUSION])


async def twinset_pair(client: httpx.AsyncClient, job: DiffusionJob) -> Answer:
    """Ask Twinset for both sets.

    Raises:
        httpx.HTTPStatusError: the request was answered with an error.
    """
    return await _pairs(client, job, [VAE, DIFFUSION])


async def _imagine(client: httpx.AsyncClient, job: DiffusionJob, seed: int) -> httpx.Response:
    fields = {name: str(value) for name, value in _parameters(job).items()}
    response = await client.post(
        "/imagine",
        data={**fields, "seed": str(seed)},
        files={"image": ("face.png", job.picture, "image/png")},
    )
    return response.raise_for_status()


async def _pairs(client: httpx.AsyncClient, job: DiffusionJob, roles: list[str]) -> Answer:
    body = {**_fields(job), "seeds": list(job.seeds), "models": roles}
    response = await client.post("/v1/pairs", json=body)
    answer = response.raise_for_status().json()
    files = [pair[role]["b64_json"] for role in roles for pair in answer["pairs"]]
    diffusion = answer["sets"][DIFFUSION]
    return Answer(
        images=tuple(map(base64.b64decode, files)),
        bytes_received=len(response.content),
        timings_ms=diffusion["timings_ms"],
        unet_calls=diffusion["unet_calls"],
        encoder_calls=diffusion["encoder_calls"],
    )


def _fields(job: DiffusionJob) -> dict[str, Any]:
    return {"image": base64.b64encode(job.picture).decode(), **_parameters(job)}


def _parameters(job: DiffusionJob) -> dict[str, Any]:
    return {
        "prompt": job.prompt,
        "strength": job.strength,
        "guidance_scale": job.guidance_scale,
        "num_inference_steps": job.num_inference_steps,
    }
