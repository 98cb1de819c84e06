"""The project's own routes: pairs, sweeps, and reading images back."""

import asyncio
from collections.abc import Callable, Mapping

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from deployments.api.accept import negotiate
from deployments.api.answers.contact_sheet import contact_sheet
from deployments.api.answers.event_stream import (
    EVENT_STREAM,
    EventStreamResponse,
    encoded,
    pair_events,
)
from deployments.api.answers.json import json_response, pair_answer, private_response, sweep_answer
from deployments.api.answers.zip import archive
from deployments.api.body import Body
from deployments.api.dependencies import ERROR_RESPONSES, ServiceParameter, authenticate, body_of
from deployments.api.schemas.answers import InspectResponse, PairResponse, SweepResponse
from deployments.api.schemas.requests import (
    GenerationFields,
    InspectRequest,
    PairRequest,
    SweepRequest,
)
from deployments.api.service import ImageRequest, Service
from deployments.dispatch.pairing import Outcome, PairJob
from deployments.errors import InvalidRequestError
from models.interfaces import Role
from models.pixels import has_picture_header
from models.provenance import read_provenance

Answer = Callable[[PairJob, Mapping[Role, Outcome]], Response]
ANSWERS: dict[str, Answer] = {
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

router = APIRouter(tags=["Twinset"], dependencies=[Depends(authenticate)])


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
    media_type = negotiate(request, [*ANSWERS, EVENT_STREAM])
    with service.admit(request) as place:
        job = await service.prepare(_pairs(await _body(request, service)), place)
        if media_type == EVENT_STREAM:
            events = encoded(
                pair_events(service.pairing, job, service.settings.ingress.event_ping_s)
            )
            return EventStreamResponse(events, place.hand_over())
        outcomes = await service.make(job, place)
        return await asyncio.to_thread(ANSWERS[media_type], job, outcomes)


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
    with service.admit(request) as place:
        asked, factors = _sweep(await _body(request, service))
        job = await service.prepare(asked, place, sets=len(factors))
        del asked  # the file need not stay in memory while the sets are made
        sets = await service.sweep(job, factors, place)
        return await asyncio.to_thread(lambda: json_response(sweep_answer(job, factors, sets)))


@router.post(
    "/v1/inspect",
    summary="What an image says of where it comes from",
    responses=ERROR_RESPONSES,
    openapi_extra=body_of(InspectRequest),
)
async def inspect(request: Request, service: ServiceParameter) -> InspectResponse:
    """Read the model, seed and parameters out of an image that Twinset made.

    It is what the file says; nothing proves that nobody changed it.
    """
    negotiate(request, ["application/json"])
    with service.admit(request):
        body = await _body(request, service)
        picture = body.picture()
        body.checked(InspectRequest)
        provenance, is_picture = await asyncio.get_running_loop().run_in_executor(
            service.decoders, lambda: (read_provenance(picture), has_picture_header(picture))
        )
    if not is_picture:
        raise InvalidRequestError(
            "the picture cannot be opened: send a PNG, WebP or JPEG file", param="image"
        )
    if provenance is None:
        raise InvalidRequestError(
            "the picture says nothing of Twinset: it was made by something else, or its metadata "
            "was removed",
            param="image",
        )
    return InspectResponse(**vars(provenance))


async def _body(request: Request, service: Service) -> Body:
    for name in request.query_params:
        message = f"{name} stands in the address: send it as a field of the body"
        raise InvalidRequestError(message, param=name)
    return await service.body(request)


def _sweep(body: Body) -> tuple[ImageRequest, list[float]]:
    picture = body.picture()
    fields = body.checked(SweepRequest, ("seeds", "diversity_factors"))
    common = GenerationFields(**fields.model_dump(exclude={"diversity_factors"}))
    return ImageRequest(common, picture, ["vae"]), fields.diversity_factors


def _pairs(body: Body) -> ImageRequest:
    picture = body.picture()
    fields = body.checked(PairRequest, ("seeds", "models"))
    return ImageRequest(fields, picture, fields.roles(), fields.allow_partial)
