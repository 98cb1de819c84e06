"""Routes that other services' clients know: OpenAI's, A1111's, Hugging Face's."""

import asyncio

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from deployments.admission.admission import Slot
from deployments.api.accept import negotiate
from deployments.api.answers.event_stream import (
    EVENT_STREAM,
    EventStreamResponse,
    encoded,
    happenings,
)
from deployments.api.answers.json import json_response, private_response
from deployments.api.body import Body, media_type, read_bytes
from deployments.api.dependencies import (
    ERROR_RESPONSES,
    ServiceParameter,
    authenticate,
    body_of,
    example_picture,
)
from deployments.api.dialects import a1111, huggingface, openai
from deployments.api.dialects.ignored_fields import ignored_schema
from deployments.api.service import Service
from deployments.dispatch.pairing import MadeSet, PairJob
from deployments.errors import ContentFilteredError, ModelFailedError, UnsupportedMediaError
from models.interfaces import ROLES

DONE = b"data: [DONE]\n\n"
_PROMPT = "a portrait of a woman with red hair"  # of the examples
_IMAGE = {"schema": {"type": "string", "format": "binary"}}

router = APIRouter(tags=["Other services' clients"], dependencies=[Depends(authenticate)])


@router.post(
    "/v1/images/edits",
    summary="OpenAI's images.edit: the diffusion model",
    response_model=None,
    responses={
        **ERROR_RESPONSES,
        200: {
            "model": openai.OpenAIImages,
            "content": {EVENT_STREAM: {"schema": {"type": "string"}}},
        },
    },
    openapi_extra=body_of(
        openai.EditFields, extra=ignored_schema(openai.IGNORED), example={"prompt": _PROMPT}
    ),
)
async def edits(request: Request, service: ServiceParameter) -> Response:
    """Repaint a face towards a prompt; one image unless `n` says more.

    The fields of /v1/pairs are taken as well (`extra_body` in the SDK). With `stream` each image
    is an `image_edit.completed` event.
    """
    negotiate(request, ["application/json", EVENT_STREAM])
    with service.admit(request) as place:
        body = await service.body(request)
        models, _ = await service.pairing.describe_all(ROLES, allow_partial=True)
        asked, is_streamed = openai.read_edit(body, models)
        job = await service.prepare(asked, place)
        del asked, body  # the file need not stay in memory while the set is made
        if is_streamed:
            ping_s = service.settings.ingress.event_ping_s
            events = happenings(
                service.pairing, job, openai.edit_events, lambda _: iter(()), ping_s
            )
            return EventStreamResponse(encoded(events, DONE), place.hand_over())
        made = await _one_set(service, job, place)
        return await asyncio.to_thread(lambda: json_response(openai.images_answer(job, made)))


@router.post(
    "/v1/images/variations",
    summary="OpenAI's images.create_variation: the VAE, or either model",
    response_model=None,
    responses={**ERROR_RESPONSES, 200: {"model": openai.OpenAIImages}},
    openapi_extra=body_of(
        openai.VariationFields, extra=ignored_schema(openai.IGNORED), example={"n": 4}
    ),
)
async def variations(request: Request, service: ServiceParameter) -> Response:
    """Vary a face; one image unless `n` says more."""
    negotiate(request, ["application/json"])
    with service.admit(request) as place:
        body = await service.body(request)
        models, _ = await service.pairing.describe_all(ROLES, allow_partial=True)
        job = await service.prepare(openai.read_variation(body, models), place)
        del body  # the file need not stay in memory while the set is made
        made = await _one_set(service, job, place)
        return await asyncio.to_thread(lambda: json_response(openai.images_answer(job, made)))


@router.post(
    "/sdapi/v1/img2img",
    summary="A1111's img2img: the diffusion model",
    response_model=None,
    responses={**ERROR_RESPONSES, 200: {"model": a1111.Img2ImgAnswer}},
    openapi_extra=body_of(
        a1111.Img2ImgFields,
        "application/json",
        picture=None,
        extra=ignored_schema(a1111.IGNORED),
        example={"init_images": [example_picture()], "prompt": _PROMPT, "batch_size": 2},
    ),
)
async def img2img(request: Request, service: ServiceParameter) -> Response:
    """Repaint a face as A1111's web front ends ask for it."""
    negotiate(request, ["application/json"])
    with service.admit(request) as place:
        body = await service.body(request)
        if not body.is_json:
            raise UnsupportedMediaError("send the request as application/json")
        echo = {name: value for name, value in body.fields.items() if name not in _PICTURES}
        job = await service.prepare(a1111.read_img2img(body), place)
        del body  # the file need not stay in memory while the set is made
        made = await _one_set(service, job, place)
        return await asyncio.to_thread(lambda: json_response(a1111.img2img_answer(job, made, echo)))


@router.post(
    "/hf/image-to-image",
    summary="Hugging Face's image-to-image task: the diffusion model",
    response_model=None,
    responses={**ERROR_RESPONSES, 200: {"content": dict.fromkeys(huggingface.FORMATS, _IMAGE)}},
    openapi_extra=body_of(
        huggingface.TaskFields,
        "application/json",
        picture=None,
        example={"inputs": example_picture(), "parameters": {"prompt": _PROMPT}},
    ),
)
async def image_to_image(request: Request, service: ServiceParameter) -> Response:
    """Repaint a face; the answer is the image file. Its seed stands in its metadata."""
    wanted = negotiate(request, list(huggingface.FORMATS))
    with service.admit(request) as place:
        body = await _task_body(request, service)
        asked = huggingface.read_task(body, huggingface.FORMATS[wanted])
        job = await service.prepare(asked, place)
        del asked, body  # the file need not stay in memory while the set is made
        made = await _one_set(service, job, place)
        file = made.result.images[0]
        if file is None:
            raise ContentFilteredError("the safety checker withholds the image: try another seed")
        return private_response(file, wanted)


_PICTURES = ("init_images", "mask", "latent_mask", "firstpass_image")


async def _task_body(request: Request, service: Service) -> bytes | Body:
    kind = media_type(request)
    if kind == "application/json":
        return await service.body(request)
    if kind.startswith("image/") or kind in ("", "application/octet-stream"):
        limit = service.limits.max_bytes
        return await service.read(request, lambda one: read_bytes(one, limit))
    raise UnsupportedMediaError("send the picture as image/..., or application/json with `inputs`")


async def _one_set(service: Service, job: PairJob, place: Slot) -> MadeSet:
    (outcome,) = (await service.make(job, place)).values()
    if not isinstance(outcome, MadeSet):
        raise ModelFailedError("the set could not be made")
    return outcome
