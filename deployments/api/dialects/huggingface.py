"""Hugging Face's image-to-image task: one picture in, one image out."""

from collections.abc import Mapping
from functools import partial
from typing import Annotated, Any

from pydantic import Field

from deployments.api.body import Body, decode_base64
from deployments.api.schemas.requests import Fields, GenerationFields
from deployments.api.service import ImageRequest
from deployments.errors import InvalidRequestError
from models.interfaces import ModelInfo, Role
from models.pixels import OutputFormat

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


def read_task(body: bytes | Body, output_format: OutputFormat) -> ImageRequest:
    """Turn a body of the task, JSON or the bare picture, into a request.

    Raises:
        InvalidRequestError: it cannot be served.
    """
    if isinstance(body, bytes):
        parameters, picture = TaskParameters(), body
    else:
        task = body.checked(TaskFields)
        parameters, picture = task.parameters, decode_base64(task.inputs, "inputs")
    images = len(parameters.seeds) if parameters.seeds else parameters.n or 1
    if images != 1:
        raise InvalidRequestError("n: this task returns one image", param="n")
    update: dict[str, Any] = {"output_format": output_format}
    if parameters.seeds is None:
        update["n"] = 1
    check = partial(_check_size, parameters.target_size)
    fields = parameters.model_copy(update=update)
    return ImageRequest(fields, picture, ["stable_diffusion"], check=check)


def _check_size(size: TargetSize | None, models: Mapping[Role, ModelInfo]) -> None:
    native = models["stable_diffusion"].image_size_px
    if size is not None and (size.width, size.height) != (native, native):
        raise InvalidRequestError(
            f"target_size: this model makes {native}x{native}: send that or nothing",
            param="target_size",
        )
