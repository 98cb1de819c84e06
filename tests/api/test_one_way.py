"""Every request for images goes one way: one deadline, one place where a 429 is told of."""

import asyncio
import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest

from deployments.errors import OverloadedError, TwinsetError
from deployments.jobs import MadeSet, Outcome, PairJob, Watcher
from models.interfaces import ModelInfo
from models.parameters import ImageToImageParameters, Parameters, VariationParameters
from models.roles import VAE, Role
from tests.support.in_process import answering
from tests.support.services import changed_config, post_pairs, read_events

DEFAULTS = {VAE: vars(VariationParameters()), "stable_diffusion": vars(ImageToImageParameters(""))}


class Models:
    """Describes two models and does with a job what a test wants."""

    def __init__(self) -> None:
        self.refusal: TwinsetError | None = None

    async def describe(self, role: Role) -> ModelInfo:
        return ModelInfo(f"some-{role}", role, "one", 64, DEFAULTS[role])

    async def describe_all(
        self, roles: Sequence[Role], allow_partial: bool
    ) -> tuple[dict[Role, ModelInfo], dict[Role, TwinsetError]]:
        return {role: await self.describe(role) for role in roles}, {}

    async def make(self, job: PairJob, watch: Watcher | None = None) -> dict[Role, Outcome]:
        if self.refusal is not None:
            raise self.refusal
        await asyncio.sleep(60)  # whoever dispatches has lost sight of the deadline
        raise AssertionError

    async def make_set(self, role: Role, job: PairJob, parameters: Parameters) -> MadeSet:
        await asyncio.sleep(60)
        raise AssertionError


@pytest.fixture(scope="module")
def models() -> Models:
    return Models()


@pytest.fixture(scope="module")
def client(models: Models, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    def change(application: dict[str, Any]) -> None:
        application["args"]["ingress"]["max_admitted_requests"] = 1

    directory: Path = tmp_path_factory.mktemp("one-way")
    config = changed_config(directory, "simulated.yaml", change)
    with answering(config, pairs=models) as one:
        yield one


@pytest.mark.parametrize("path", ["/v1/pairs", "/v1/sweep", "/v1/images/variations"])
def test_an_answer_ends_at_the_deadline_whatever_the_models_do(
    client: httpx.Client, models: Models, small_face: bytes, path: str
) -> None:
    models.refusal = None
    response = client.post(path, files={"image": small_face}, data={"timeout_s": "0.2", "n": "1"})
    assert response.status_code == 504
    assert response.elapsed.total_seconds() < 5


def test_a_stream_ends_at_the_deadline_whatever_the_models_do(
    client: httpx.Client, models: Models, small_face: bytes
) -> None:
    models.refusal = None
    headers = {"Accept": "text/event-stream"}
    form = {"files": {"image": small_face}, "data": {"timeout_s": "0.2", "n": "1"}}
    response = client.post("/v1/pairs", headers=headers, **form)
    assert response.status_code == 200
    assert response.elapsed.total_seconds() < 5
    events = list(read_events(iter(response.text.splitlines())))
    assert [name for name, _ in events] == ["started", "error"]
    assert events[-1][1]["error"]["code"] == "deadline_exceeded"


@pytest.mark.parametrize("accept", ["application/json", "text/event-stream"])
def test_a_refusal_of_the_models_own_queue_is_told_of_once(
    client: httpx.Client,
    models: Models,
    small_face: bytes,
    accept: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    models.refusal = OverloadedError("the queue is full", None, 5, "model_queue")
    headers = {"Accept": accept, "X-Request-ID": "asked-by-me"}
    with caplog.at_level(logging.WARNING, "ray.serve"):
        response = client.post("/v1/pairs", headers=headers, files={"image": small_face})
    assert ("overloaded" in response.text) == (response.status_code in (200, 429))
    assert [record.getMessage() for record in caplog.records] == [
        "refused, reason model_queue, route /v1/pairs, request_id asked-by-me"
    ]


def test_a_full_service_is_told_of_with_its_reason(
    client: httpx.Client, models: Models, small_face: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    models.refusal = None

    async def at_once() -> list[int]:
        async with httpx.AsyncClient(
            base_url=client.base_url, headers=client.headers, trust_env=False
        ) as several:
            form = {"files": {"image": small_face}, "data": {"timeout_s": "1", "n": "1"}}
            asked = [several.post("/v1/pairs", **form) for _ in range(4)]
            return [answer.status_code for answer in await asyncio.gather(*asked)]

    with caplog.at_level(logging.WARNING, "ray.serve"):
        statuses = asyncio.run(at_once())
    assert sorted(statuses) == [429, 429, 429, 504]
    told = [record.getMessage() for record in caplog.records]
    assert len(told) == 3
    assert {line.split(", ")[1] for line in told} <= {"reason full", "reason share"}
    assert post_pairs(client, small_face, n=1, timeout_s="0.1").status_code == 504
