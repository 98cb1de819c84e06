"""Hugging Face's image-to-image task: one picture in, one image out."""

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from pydantic import Field
from starlette.responses import Response

from deployments.api.answers.json import private_response
from deployments.api.body import media_type, read_bytes
from deployments.api.dependencies import (
    ERROR_RESPONSES,
    PROMPT,
    ServiceParameter,
    authenticate,
    body_of,
    example_picture,
)
from deployments.api.dialects import OTHERS
from deployments.api.generation import Dialect, Outcomes, generate, only_set
from deployments.api.schemas.requests import Fields, GenerationFields
from deployments.api.service import ImageRequest, Service
from deployments.errors import (
    ContentFilteredError,
    InvalidRequestError,
    UnsupportedMediaError,
)
from deployments.jobs import PairJob
from models.interfaces import ModelInfo
from models.pixels import OutputFormat
from models.roles import DIFFUSION, Role

router = APIRouter(tags=[OTHERS], dependencies=[Depends(authenticate)])

_IMAGE = {"schema": {"type": "string", "format": "binary"}}
FORMATS: dict[str, OutputFormat] = {
    "image/png": "png",
    "image/webp": "webp",
    "image/jpeg": "jpeg",
}


class TargetSize(Fields):
    """The size of the image: the model's own."""

    width: Annotated[int, Field(description="Pixels", examples=[512])]
    height: Annotated[int, Field(description="Pixels", examples=[512])]


class TaskParameters(GenerationFields):
    """The `parameters` of the task; those that diffusers does not know are ours."""

    target_size: Annotated[
        TargetSize | None,
        Field(
            description="The model's own size, or nothing", examples=[{"width": 512, "height": 512}]
        ),
    ] = None


class TaskFields(Fields):
    """The JSON body of the task; without parameters the picture may be the whole body."""

    inputs: Annotated[
        str, Field(description="The picture in base64", examples=["/9j/4AAQSkZJRg..."])
    ]
    parameters: Annotated[
        TaskParameters,
        Field(description="What to make of it", examples=[{"prompt": "red hair"}]),
    ] = TaskParameters()


class _Task(Dialect):
    """`POST /hf/image-to-image`: the diffusion model, one image, as a file."""

    media_types = tuple(FORMATS)

    async def read(self, request: Request, service: Service) -> ImageRequest:
        """Return the request: JSON, or the bare picture."""
        kind = media_type(request)
        if kind == "application/json":
            body = await service.body(request, {"inputs": "inputs"})
            task = body.checked(TaskFields)
            parameters, picture = task.parameters, body.decoded(task.inputs, "inputs")
        elif kind.startswith("image/") or kind in ("", "application/octet-stream"):
            limit = service.limits.max_bytes
            picture = await service.read(request, lambda sent: read_bytes(sent, limit))
            parameters = TaskParameters()
        else:
            raise UnsupportedMediaError(
                "send the picture as image/..., or application/json with `inputs`"
            )
        images = len(parameters.seeds) if parameters.seeds else parameters.n or 1
        if images != 1:
            raise InvalidRequestError("n: this task returns one image", param="n")
        update: dict[str, Any] = {"output_format": FORMATS[self.media_type]}
        if parameters.seeds is None:
            update["n"] = 1
        self.size = parameters.target_size
        return ImageRequest(parameters.model_copy(update=update), picture, [DIFFUSION])

    def check(self, models: Mapping[Role, ModelInfo]) -> None:
        """Refuse a size that is not the model's own."""
        native, size = models[DIFFUSION].image_size_px, self.size
        if size is not None and (size.width, size.height) != (native, native):
            raise InvalidRequestError(
                f"target_size: this model makes {native}x{native}: send that or nothing",
                param="target_size",
            )

    def answer(self, job: PairJob, outcomes: Outcomes) -> Response:
        """Return the file of the one image."""
        file = only_set(outcomes).result.images[0]
        if file is None:
            raise ContentFilteredError("the safety checker withholds the image: try another seed")
        return private_response(file, self.media_type)


@router.post(
    "/hf/image-to-image",
    summary="Hugging Face's image-to-image task: the diffusion model",
    response_model=None,
    responses={**ERROR_RESPONSES, 200: {"content": dict.fromkeys(FORMATS, _IMAGE)}},
    openapi_extra=body_of(
        TaskFields,
        "application/json",
        picture=None,
        example={"inputs": example_picture(), "parameters": {"prompt": PROMPT}},
    ),
)
async def image_to_image(request: Request, service: ServiceParameter) -> Response:
    """Repaint a face; the answer is the image file. Its seed stands in its metadata."""
    return await generate(request, service, _Task())
