"""OpenAI's image routes: edits by the diffusion model, variations by the VAE or by either."""

import time
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Annotated, Any

from pydantic import BaseModel, Field

from deployments.api.answers.event_stream import Event
from deployments.api.answers.json import base64_image, input_answer, resolved, set_answer
from deployments.api.body import Body, decode_base64
from deployments.api.dialects.ignored_fields import drop_ignored
from deployments.api.schemas.requests import MAX_PROMPT_CHARACTERS, ROLE_NAMES, GenerationFields
from deployments.api.service import ImageRequest
from deployments.dispatch.pairing import MadeSet, PairJob, SetEvent
from deployments.errors import InvalidRequestError
from models.interfaces import ROLES, ModelInfo, Role

IGNORED: dict[str, list[Any]] = {
    "response_format": ["b64_json"],
    "background": ["auto", "opaque"],
    "quality": ["auto", "standard"],
    "input_fidelity": ["low"],
    "moderation": ["auto"],
    "output_compression": [100],
    # The dialect promises "up to": none is made.
    "partial_images": [0, 1, 2, 3],
    "frame_count": [1],
    "complexity": [None],
    "frame_duration_ms": [None],
    "mask": [None],
    "markup": [None],
    "svg": [None],
    "user": [],
    "safety_identifier": [],
}
LISTS = ("seeds",)
_ZERO_USAGE = {
    "input_tokens": 0,
    "input_tokens_details": {"image_tokens": 0, "text_tokens": 0},
    "output_tokens": 0,
    "total_tokens": 0,
}


class VariationFields(GenerationFields):
    """The fields of `POST /v1/images/variations` beside the picture."""

    model: Annotated[
        str | None,
        Field(
            description="celeba-vae, stable-diffusion-v1-5, or a true id of /v1/models",
            examples=["stable-diffusion-v1-5", "celeba-vae"],
        ),
    ] = None
    size: Annotated[
        str | None, Field(description="auto, or the model's own size", examples=["auto"])
    ] = None


class EditFields(VariationFields):
    """The fields of `POST /v1/images/edits` beside the picture."""

    prompt: Annotated[
        str,
        Field(
            max_length=MAX_PROMPT_CHARACTERS,
            description="What the images should show",
            examples=["a portrait of a woman with red hair"],
        ),
    ]
    stream: Annotated[bool, Field(description="Send the images as events", examples=[False])] = (
        False
    )


class OpenAIImage(BaseModel):
    """One image; its seed and status are ours."""

    b64_json: Annotated[
        str | None,
        Field(
            description="The file in base64; null unless the status is ok",
            examples=["iVBORw0KGgo..."],
        ),
    ]
    index: Annotated[int, Field(description="Place in the list, from 0", examples=[0])]
    seed: Annotated[int, Field(description="Of the image", examples=[7])]
    status: Annotated[str, Field(description="What became of it", examples=["ok"])]


class OpenAIImages(BaseModel):
    """OpenAI's answer with images; from `model` on the fields are ours."""

    created: Annotated[int, Field(description="Seconds since 1970, UTC", examples=[1790000000])]
    data: Annotated[
        list[OpenAIImage], Field(description="In the order of the seeds", examples=[[{"seed": 7}]])
    ]
    background: Annotated[str, Field(description="Always opaque", examples=["opaque"])]
    output_format: Annotated[str, Field(description="Format of the files", examples=["png"])]
    size: Annotated[str, Field(description="Width and height", examples=["512x512"])]
    model: Annotated[str, Field(description="True id of the weights", examples=["demo-vae"])]
    parameters: Annotated[
        dict[str, Any], Field(description="All parameters, resolved", examples=[{"seeds": [7]}])
    ]
    input: Annotated[
        dict[str, Any], Field(description="The picture that came in", examples=[{"width": 640}])
    ]
    set: Annotated[
        dict[str, Any], Field(description="How the set was made", examples=[{"status": "ok"}])
    ]


def read_edit(body: Body, models: Mapping[Role, ModelInfo]) -> tuple[ImageRequest, bool]:
    """Turn a body of /v1/images/edits into a request, and say whether a stream is wanted.

    Raises:
        InvalidRequestError: it cannot be served.
    """
    picture = _picture(body)
    drop_ignored(body, IGNORED)
    fields = body.checked(EditFields, LISTS)
    role = _role(fields.model, models, "stable_diffusion")
    if role == "vae":
        raise InvalidRequestError(
            "model: a VAE follows no prompt, use stable-diffusion-v1-5, or /v1/images/variations",
            param="model",
        )
    return _asked(fields, picture, role), fields.stream


def read_variation(body: Body, models: Mapping[Role, ModelInfo]) -> ImageRequest:
    """Turn a body of /v1/images/variations into a request.

    Raises:
        InvalidRequestError: it cannot be served.
    """
    picture = _picture(body)
    drop_ignored(body, IGNORED)
    fields = body.checked(VariationFields, LISTS)
    return _asked(fields, picture, _role(fields.model, models, "vae"))


def images_answer(job: PairJob, made: MadeSet) -> OpenAIImages:
    """Return a set in OpenAI's shape."""
    info = made.result.model
    data = [
        OpenAIImage(b64_json=file, index=index, seed=seed, status="ok" if file else "filtered")
        for index, seed in enumerate(job.seeds)
        for file in [base64_image(made, index)]
    ]
    return OpenAIImages(
        created=int(time.time()),
        data=data,
        background="opaque",
        output_format=job.output_format,
        size=_size(info),
        model=info.id,
        parameters=resolved(job),
        input=input_answer(job).model_dump(),
        set=set_answer(info, made).model_dump(exclude_unset=True),
    )


def edit_events(job: PairJob, role: Role, happening: SetEvent) -> Iterator[Event]:
    """Tell of a set in the SDK's events: one `image_edit.completed` an image."""
    if not isinstance(happening, MadeSet):
        return
    for index, seed in enumerate(job.seeds):
        file = base64_image(happening, index)
        yield (
            "image_edit.completed",
            {
                "b64_json": file,
                "status": "ok" if file else "filtered",
                "created_at": int(time.time()),
                "background": "opaque",
                "output_format": job.output_format,
                "quality": "auto",
                "size": _size(happening.result.model),
                "usage": _ZERO_USAGE,
                "index": index,
                "seed": seed,
            },
        )


def _picture(body: Body) -> bytes:
    images = body.fields.pop("images", None) if body.is_json else None
    if images is None:
        return body.picture()
    if not isinstance(images, list) or len(images) != 1 or not isinstance(images[0], dict):
        raise InvalidRequestError("images must be a list of one object", param="images")
    url = images[0].get("image_url")
    if not isinstance(url, str):
        raise InvalidRequestError("images[0].image_url must be a data URL", param="images")
    return decode_base64(url, "images")


def _role(name: str | None, models: Mapping[Role, ModelInfo], default: Role) -> Role:
    if name is None:
        return default
    by_id = {info.id: role for role, info in models.items()}
    role = ROLE_NAMES.get(name) or by_id.get(name)
    if role is None:
        known = ", ".join([*by_id, *(one for one in ROLE_NAMES if one not in ROLES)])
        raise InvalidRequestError(f"model is not served here; use one of {known}", param="model")
    return role


def _asked(fields: VariationFields, picture: bytes, role: Role) -> ImageRequest:
    if fields.n is None and fields.seeds is None:
        fields = fields.model_copy(update={"n": 1})  # the dialect's default
    return ImageRequest(fields, picture, [role], check=partial(_check_size, fields.size, role))


def _check_size(size: str | None, role: Role, models: Mapping[Role, ModelInfo]) -> None:
    native = _size(models[role])
    if size not in (None, "auto", native):
        raise InvalidRequestError(
            f"size: this model makes {native}: send auto, {native} or nothing", param="size"
        )


def _size(info: ModelInfo) -> str:
    return f"{info.image_size_px}x{info.image_size_px}"
