"""Our own routes: paired sets, and sweeps over the diversity factor."""

import asyncio
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from deployments.api.accept import negotiate
from deployments.api.answers.contact_sheet import contact_sheet
from deployments.api.answers.event_stream import EVENT_STREAM, StreamEvent
from deployments.api.answers.json import (
    image_answer,
    input_answer,
    json_response,
    pair_answer,
    private_response,
    resolved,
    set_answer,
    sweep_answer,
)
from deployments.api.answers.zip import archive
from deployments.api.body import Body
from deployments.api.dependencies import (
    ERROR_RESPONSES,
    ServiceParameter,
    authenticate,
    body_of,
    our_body,
)
from deployments.api.dialects import OURS
from deployments.api.generation import Dialect, Outcomes, generate, prepared
from deployments.api.schemas.answers import PairResponse, SweepResponse
from deployments.api.schemas.requests import GenerationFields, PairRequest, SweepRequest
from deployments.api.service import ImageRequest, Service
from deployments.jobs import Outcome, PairJob, SetEvent, StepDone
from models.roles import VAE, Role

ANSWERS: dict[str, Callable[[PairJob, Outcomes], Response]] = {
    "application/json": lambda job, outcomes: json_response(pair_answer(job, outcomes)),
    "application/zip": lambda job, outcomes: private_response(
        archive(job, outcomes),
        "application/zip",
        **{"Content-Disposition": 'attachment; filename="twinset.zip"'},
    ),
    "image/png": lambda job, outcomes: private_response(contact_sheet(job, outcomes), "image/png"),
}
_OTHER_MEDIA = {
    "application/zip": {"schema": {"type": "string", "format": "binary"}},
    "image/png": {"schema": {"type": "string", "format": "binary"}},
    EVENT_STREAM: {"schema": {"type": "string"}},
}

router = APIRouter(tags=[OURS], dependencies=[Depends(authenticate)])


class Pairs(Dialect):
    """`POST /v1/pairs`: JSON, a zip file, one contact sheet, or events."""

    media_types = (*ANSWERS, EVENT_STREAM)

    def __init__(self) -> None:
        """Choose the id of the answer."""
        self._id = str(uuid.uuid4())

    async def read(self, request: Request, service: Service) -> ImageRequest:
        """Return the request."""
        body = await our_body(request, service)
        picture = body.picture()
        fields = body.checked(PairRequest, ("seeds", "models"))
        return ImageRequest(fields, picture, fields.roles(), fields.allow_partial)

    def answer(self, job: PairJob, outcomes: Outcomes) -> Response:
        """Return the answer in the media type that the caller wants."""
        return ANSWERS[self.media_type](job, outcomes)

    @property
    def is_streamed(self) -> bool:
        """Whether the caller wants events."""
        return self.media_type == EVENT_STREAM

    def first_events(self, job: PairJob) -> Iterator[StreamEvent]:
        """Tell what will be made, of what, by what."""
        models = {
            role: {"model": info.id, "revision": info.revision, "simulated": info.simulated}
            for role, info in job.models.items()
        }
        yield StreamEvent(
            "started",
            {
                "id": self._id,
                "created": int(time.time()),
                "parameters": resolved(job),
                "input": input_answer(job).model_dump(),
                "models": models,
            },
        )

    def events(self, job: PairJob, role: Role, event: SetEvent) -> Iterator[StreamEvent]:
        """Tell of a step, or of each image and then of the whole set."""
        if isinstance(event, StepDone):
            yield StreamEvent("progress", {"role": role, "step": event.step, "total": event.total})
            return
        for index, seed in enumerate(job.seeds):
            image = image_answer(job, event, index).model_dump()
            yield StreamEvent(
                "image", {"role": role, "index": index, "seed": seed, **image}, has_image=True
            )
        yield StreamEvent("set", {"role": role, **_set(job, role, event)})

    def last_events(self, job: PairJob, outcomes: Mapping[Role, Outcome]) -> Iterator[StreamEvent]:
        """Tell how both sets were made."""
        sets = {role: _set(job, role, outcome) for role, outcome in outcomes.items()}
        yield StreamEvent("completed", {"id": self._id, "sets": sets})


class _Sweep(Dialect):
    """`POST /v1/sweep`: one VAE set for each diversity factor."""

    async def read(self, request: Request, service: Service) -> ImageRequest:
        """Return the request."""
        body: Body = await our_body(request, service)
        picture = body.picture()
        fields = body.checked(SweepRequest, ("seeds", "diversity_factors"))
        self.factors = fields.diversity_factors
        common = GenerationFields(**fields.model_dump(exclude={"diversity_factors"}))
        return ImageRequest(common, picture, [VAE], sets=len(self.factors))


@router.post(
    "/v1/pairs",
    summary="One face in, two paired sets out",
    response_model=None,
    responses={**ERROR_RESPONSES, 200: {"model": PairResponse, "content": _OTHER_MEDIA}},
    openapi_extra=body_of(PairRequest, example={"seed": 7}),
)
async def pairs(request: Request, service: ServiceParameter) -> Response:
    """Make up to ten images of a face with each model, paired by index and seed.

    By `Accept`: JSON; a zip file of the images with a manifest; one contact sheet; or a stream of
    events, each image as soon as it exists.
    """
    return await generate(request, service, Pairs())


@router.post(
    "/v1/sweep",
    summary="One VAE set for each diversity factor",
    response_model=None,
    responses={**ERROR_RESPONSES, 200: {"model": SweepResponse}},
    openapi_extra=body_of(SweepRequest, example={"seed": 7}),
)
async def sweep(request: Request, service: ServiceParameter) -> Response:
    """Repeat the report's experiment: the same face and seeds at growing diversity factors."""
    negotiate(request, ["application/json"])
    with service.admit(request) as slot:
        asked = _Sweep()
        job = await prepared(request, service, asked, slot)
        sets = await service.sweep(job, asked.factors)
        return await asyncio.to_thread(
            lambda: json_response(sweep_answer(job, asked.factors, sets))
        )


def _set(job: PairJob, role: Role, outcome: Outcome) -> dict[str, Any]:
    return set_answer(job.models.get(role), outcome).model_dump(exclude_unset=True)
