"""OpenAI's image routes: edits by the diffusion model, variations by the VAE or by either."""

import time
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, ClassVar

from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel, Field
from starlette.responses import Response

from deployments.api.answers.event_stream import EVENT_STREAM, StreamEvent
from deployments.api.answers.json import (
    base64_image,
    input_answer,
    json_response,
    resolved,
    set_answer,
)
from deployments.api.body import Body
from deployments.api.dependencies import (
    ERROR_RESPONSES,
    PROMPT,
    ServiceParameter,
    authenticate,
    body_of,
)
from deployments.api.dialects import OTHERS
from deployments.api.dialects.ignored_fields import drop_ignored, ignored_schema
from deployments.api.generation import Dialect, Outcomes, generate, only_set
from deployments.api.schemas.requests import MAX_PROMPT_CHARACTERS, GenerationFields
from deployments.api.service import ImageRequest, Service
from deployments.errors import InvalidRequestError
from deployments.jobs import MadeSet, PairJob, SetEvent
from models.interfaces import ModelInfo
from models.roles import DIFFUSION, ROLE_OF, ROLES, VAE, Role

router = APIRouter(tags=[OTHERS], dependencies=[Depends(authenticate)])

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
_PICTURES = {"image": "image", "image_url": "images"}
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


class _Variations(Dialect):
    """`POST /v1/images/variations`: the VAE, or either model."""

    fields_model: ClassVar[type[VariationFields]] = VariationFields
    default_role: ClassVar[Role] = VAE

    async def read(self, request: Request, service: Service) -> ImageRequest:
        """Return the request."""
        body = await service.body(request, _PICTURES)
        models = await service.known_models()
        picture = _picture(body)
        drop_ignored(body, IGNORED)
        self.fields = fields = body.checked(self.fields_model, LISTS)
        self.role = self.checked_role(_role(fields.model, models, self.default_role))
        if fields.n is None and fields.seeds is None:
            fields = fields.model_copy(update={"n": 1})  # the dialect's default
        return ImageRequest(fields, picture, [self.role])

    def checked_role(self, role: Role) -> Role:
        """Return a role if this route makes its images."""
        return role

    def check(self, models: Mapping[Role, ModelInfo]) -> None:
        """Refuse a size that is not the model's own."""
        native = _size(models[self.role])
        if self.fields.size not in (None, "auto", native):
            raise InvalidRequestError(
                f"size: this model makes {native}: send auto, {native} or nothing", param="size"
            )

    def answer(self, job: PairJob, outcomes: Outcomes) -> Response:
        """Return the set in OpenAI's shape."""
        return json_response(images_answer(job, only_set(outcomes)))


class _Edits(_Variations):
    """`POST /v1/images/edits`: the diffusion model, as JSON or as events."""

    media_types = ("application/json", EVENT_STREAM)
    end_of_stream = b"data: [DONE]\n\n"
    fields_model = EditFields
    default_role = DIFFUSION

    def checked_role(self, role: Role) -> Role:
        """Refuse the model that follows no prompt."""
        if role == VAE:
            raise InvalidRequestError(
                "model: a VAE follows no prompt, use stable-diffusion-v1-5, or "
                "/v1/images/variations",
                param="model",
            )
        return role

    @property
    def is_streamed(self) -> bool:
        """Whether the caller wants events: a field says so, as in the SDK."""
        return isinstance(self.fields, EditFields) and self.fields.stream

    def events(self, job: PairJob, role: Role, event: SetEvent) -> Iterator[StreamEvent]:
        """Tell of a set in the SDK's events: one `image_edit.completed` an image."""
        if not isinstance(event, MadeSet):
            return
        for index, seed in enumerate(job.seeds):
            file = base64_image(event, index)
            yield StreamEvent(
                "image_edit.completed",
                {
                    "b64_json": file,
                    "status": "ok" if file else "filtered",
                    "created_at": int(time.time()),
                    "background": "opaque",
                    "output_format": job.output_format,
                    "quality": "auto",
                    "size": _size(event.result.model),
                    "usage": _ZERO_USAGE,
                    "index": index,
                    "seed": seed,
                },
                has_image=True,
            )


@router.post(
    "/v1/images/edits",
    summary="OpenAI's images.edit: the diffusion model",
    response_model=None,
    responses={
        **ERROR_RESPONSES,
        200: {
            "model": OpenAIImages,
            "content": {EVENT_STREAM: {"schema": {"type": "string"}}},
        },
    },
    openapi_extra=body_of(EditFields, extra=ignored_schema(IGNORED), example={"prompt": PROMPT}),
)
async def edits(request: Request, service: ServiceParameter) -> Response:
    """Repaint a face towards a prompt; one image unless `n` says more.

    The fields of /v1/pairs are taken as well (`extra_body` in the SDK). With `stream` each image
    is an `image_edit.completed` event.
    """
    return await generate(request, service, _Edits())


@router.post(
    "/v1/images/variations",
    summary="OpenAI's images.create_variation: the VAE, or either model",
    response_model=None,
    responses={**ERROR_RESPONSES, 200: {"model": OpenAIImages}},
    openapi_extra=body_of(VariationFields, extra=ignored_schema(IGNORED), example={"n": 4}),
)
async def variations(request: Request, service: ServiceParameter) -> Response:
    """Vary a face; one image unless `n` says more."""
    return await generate(request, service, _Variations())


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


def _picture(body: Body) -> bytes:
    images = body.fields.pop("images", None) if body.is_json else None
    if images is None:
        return body.picture()
    if not isinstance(images, list) or len(images) != 1 or not isinstance(images[0], dict):
        raise InvalidRequestError("images must be a list of one object", param="images")
    url = images[0].get("image_url")
    if not isinstance(url, str):
        raise InvalidRequestError("images[0].image_url must be a data URL", param="images")
    return body.decoded(url, "images")


def _role(name: str | None, models: Mapping[Role, ModelInfo], default: Role) -> Role:
    if name is None:
        return default
    by_id = {info.id: role for role, info in models.items()}
    role = ROLE_OF.get(name) or by_id.get(name)
    if role is None:
        known = ", ".join([*by_id, *(name for name in ROLE_OF if name not in ROLES)])
        raise InvalidRequestError(f"model is not served here; use one of {known}", param="model")
    return role


def _size(info: ModelInfo) -> str:
    return f"{info.image_size_px}x{info.image_size_px}"
