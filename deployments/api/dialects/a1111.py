"""A1111's /sdapi/v1/img2img: one picture in, `batch_size` times `n_iter` diffusion images out."""

import base64
import json
from collections.abc import Mapping
from typing import Annotated, Any

import numpy as np
from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel, Field
from starlette.responses import Response

from deployments.api import dependencies as shared
from deployments.api.answers.json import base64_image, json_response
from deployments.api.dependencies import ServiceParameter
from deployments.api.dialects import OTHERS
from deployments.api.dialects.ignored_fields import drop_ignored, ignored_schema
from deployments.api.generation import Dialect, Outcomes, generate, only_set
from deployments.api.schemas.requests import MAX_PROMPT_CHARACTERS, Fields, GenerationFields
from deployments.api.service import ImageRequest, Service
from deployments.errors import InvalidRequestError, UnsupportedMediaError
from deployments.jobs import MadeSet, PairJob
from models.interfaces import ModelInfo
from models.parameters import MAX_GUIDANCE_SCALE, MAX_NUM_INFERENCE_STEPS, ImageToImageParameters
from models.pixels import encode
from models.provenance import SAMPLER_NAMES, SOFTWARE, read_provenance
from models.roles import DIFFUSION, Role
from models.seeds import MAX_IMAGES, SEED_MODULUS

router = APIRouter(tags=[OTHERS], dependencies=[Depends(shared.authenticate)])

_PICTURES = ("init_images", "mask", "latent_mask", "firstpass_image")
_EXAMPLE = {"init_images": [shared.example_picture()], "prompt": shared.PROMPT, "batch_size": 2}
DEFAULT_SIDE_PX = 512
"""What front ends send when nobody chose a size; the answer says which size was made."""
IGNORED: dict[str, list[Any]] = {
    "styles": [[]],
    "subseed": [-1],
    "subseed_strength": [0],
    "seed_resize_from_h": [-1, 0],
    "seed_resize_from_w": [-1, 0],
    "scheduler": ["Automatic", "automatic", ""],
    "restore_faces": [False],
    "tiling": [False],
    "do_not_save_samples": [],
    "do_not_save_grid": [],
    "eta": [0],
    "s_min_uncond": [0],
    "s_churn": [0],
    "s_tmax": [0],
    "s_tmin": [0],
    "s_noise": [1],
    "override_settings": [{}],
    "override_settings_restore_afterwards": [],
    "refiner_checkpoint": ["", "None"],
    "refiner_switch_at": [0, 1],
    "disable_extra_networks": [],
    "firstpass_image": [""],
    "comments": [{}],
    "resize_mode": [0, 1],
    "image_cfg_scale": [1.5, 0],
    "mask": [""],
    "mask_blur": [0, 4],
    "mask_blur_x": [4, 0],
    "mask_blur_y": [4, 0],
    "mask_round": [],
    "inpainting_fill": [0, 1],
    "inpaint_full_res": [],
    "inpaint_full_res_padding": [0, 32],
    "inpainting_mask_invert": [0],
    "initial_noise_multiplier": [1],
    "latent_mask": [""],
    "force_task_id": [],
    "include_init_images": [False],
    "script_name": ["", "None"],
    "script_args": [[]],
    "send_images": [True],
    "save_images": [False],
    "alwayson_scripts": [{}],
    "infotext": [""],
}


_Side = Annotated[int | None, Field(description="The model's own, or the default", examples=[512])]


class Img2ImgFields(Fields):
    """The fields of `POST /sdapi/v1/img2img` that mean something here."""

    init_images: Annotated[
        list[str],
        Field(
            min_length=1,
            max_length=1,
            description="One picture in base64, or a data URL",
            examples=[["iVBORw0KGgo..."]],
        ),
    ]
    prompt: Annotated[
        str | None,
        Field(
            max_length=MAX_PROMPT_CHARACTERS,
            description="What the images should show",
            examples=["red hair"],
        ),
    ] = None
    negative_prompt: Annotated[
        str | None,
        Field(
            max_length=MAX_PROMPT_CHARACTERS,
            description="What they should not show",
            examples=["glasses"],
        ),
    ] = None
    seed: Annotated[
        int, Field(ge=-1, lt=SEED_MODULUS, description="-1 is random", examples=[-1])
    ] = -1
    batch_size: Annotated[int, Field(ge=1, description="Images a batch", examples=[4])] = 1
    n_iter: Annotated[int, Field(ge=1, description="Batches", examples=[1])] = 1
    steps: Annotated[
        int | None,
        Field(
            ge=1,
            le=MAX_NUM_INFERENCE_STEPS,
            description="Steps of the full schedule",
            examples=[20],
        ),
    ] = None
    cfg_scale: Annotated[
        float | None,
        Field(ge=0, le=MAX_GUIDANCE_SCALE, description="Classifier-free guidance", examples=[7.0]),
    ] = None
    denoising_strength: Annotated[
        float | None,
        Field(gt=0, le=1, description="Share of the noise schedule applied", examples=[0.6]),
    ] = None
    width: _Side = None
    height: _Side = None
    sampler_name: Annotated[
        str | None, Field(description="The served sampler, or nothing", examples=["PLMS"])
    ] = None
    sampler_index: Annotated[
        str | None,
        Field(description="The older name of sampler_name; Euler passes", examples=["Euler"]),
    ] = None


class Img2ImgAnswer(BaseModel):
    """A1111's answer: `info` is JSON in a string."""

    images: Annotated[
        list[str], Field(description="Files in base64", examples=[["iVBORw0KGgo..."]])
    ]
    parameters: Annotated[
        dict[str, Any], Field(description="The request, without its picture", examples=[{}])
    ]
    info: Annotated[
        str, Field(description="Seeds, prompts and texts", examples=['{"all_seeds": [7]}'])
    ]


class _Img2Img(Dialect):
    """`POST /sdapi/v1/img2img`: the diffusion model."""

    async def read(self, request: Request, service: Service) -> ImageRequest:
        """Return the request."""
        body = await service.body(request, {"init_images": "init_images"})
        if not body.is_json:
            raise UnsupportedMediaError("send the request as application/json")
        self.echo = {name: one for name, one in body.fields.items() if name not in _PICTURES}
        drop_ignored(body, IGNORED)
        fields = body.checked(Img2ImgFields)
        count = fields.batch_size * fields.n_iter
        if count > MAX_IMAGES:
            message = f"batch_size times n_iter is {count}: at most {MAX_IMAGES} are made"
            raise InvalidRequestError(message, param="batch_size")
        ours = GenerationFields(
            n=count,
            seed=None if fields.seed == -1 else fields.seed,
            prompt=fields.prompt,
            negative_prompt=fields.negative_prompt,
            strength=fields.denoising_strength,
            guidance_scale=fields.cfg_scale,
            num_inference_steps=fields.steps,
        )
        picture = body.decoded(fields.init_images[0], "init_images")
        self.fields = fields.model_copy(update={"init_images": []})
        return ImageRequest(ours, picture, [DIFFUSION])

    def check(self, models: Mapping[Role, ModelInfo]) -> None:
        """Refuse a size or a sampler that the model has not."""
        _check(self.fields, models[DIFFUSION])

    def answer(self, job: PairJob, outcomes: Outcomes) -> Response:
        """Return the set in A1111's shape."""
        return json_response(img2img_answer(job, only_set(outcomes), self.echo))


@router.post(
    "/sdapi/v1/img2img",
    summary="A1111's img2img: the diffusion model",
    response_model=None,
    responses={**shared.ERROR_RESPONSES, 200: {"model": Img2ImgAnswer}},
    openapi_extra=shared.body_of(
        Img2ImgFields,
        "application/json",
        picture=None,
        extra=ignored_schema(IGNORED),
        example={
            "init_images": [shared.example_picture()],
            "prompt": shared.PROMPT,
            "batch_size": 2,
        },
    ),
)
async def img2img(request: Request, service: ServiceParameter) -> Response:
    """Repaint a face as A1111's web front ends ask for it."""
    return await generate(request, service, _Img2Img())


def img2img_answer(job: PairJob, made: MadeSet, asked: Mapping[str, Any]) -> Img2ImgAnswer:
    """Return a set in A1111's shape; `asked` is the request without its picture.

    The dialect has no word for an image that is withheld: a black one stands at its place, and
    `info` names the indices (`filtered`).
    """
    side_px = made.result.model.image_size_px
    black_file = encode(np.zeros((side_px, side_px, 3), dtype=np.uint8), "png")
    black = base64.b64encode(black_file).decode("ascii")
    images = [base64_image(made, index) or black for index in range(len(job.seeds))]
    info = json.dumps(_info(job, made), ensure_ascii=False)
    return Img2ImgAnswer(images=images, parameters=dict(asked), info=info)


def _info(job: PairJob, made: MadeSet) -> dict[str, Any]:
    parameters, model = made.parameters, made.result.model
    if not isinstance(parameters, ImageToImageParameters):
        raise TypeError("an img2img answer needs a diffusion set")
    count = len(job.seeds)
    return {
        "prompt": parameters.prompt,
        "all_prompts": [parameters.prompt] * count,
        "negative_prompt": parameters.negative_prompt,
        "all_negative_prompts": [parameters.negative_prompt] * count,
        "seed": job.seeds[0],
        "all_seeds": list(job.seeds),
        "subseed": -1,
        "all_subseeds": [-1] * count,
        "subseed_strength": 0,
        "width": model.image_size_px,
        "height": model.image_size_px,
        "sampler_name": _sampler(model),
        "cfg_scale": parameters.guidance_scale,
        "steps": parameters.num_inference_steps,
        "batch_size": count,
        "restore_faces": False,
        "face_restoration_model": None,
        "sd_model_name": model.id,
        "sd_model_hash": model.revision,
        "sd_vae_name": None,
        "sd_vae_hash": None,
        "seed_resize_from_w": -1,
        "seed_resize_from_h": -1,
        "denoising_strength": parameters.strength,
        "extra_generation_params": {},
        "index_of_first_image": 0,
        "infotexts": [_infotext(file, model) for file in made.result.images],
        "filtered": [index for index, file in enumerate(made.result.images) if file is None],
        "styles": [],
        "job_timestamp": "",  # answers hold no more of the time than they need
        "clip_skip": 1,
        "is_using_inpainting_conditioning": False,
        "version": SOFTWARE,
    }


def _infotext(file: bytes | None, model: ModelInfo) -> str:
    provenance = None if file is None else read_provenance(file)
    return provenance.as_text(model.image_size_px, model.image_size_px) if provenance else ""


def _check(fields: Img2ImgFields, model: ModelInfo) -> None:
    for name in ("width", "height"):
        if getattr(fields, name) not in (None, model.image_size_px, DEFAULT_SIDE_PX):
            raise InvalidRequestError(
                f"{name}: this model makes {model.image_size_px} px: send that, or nothing",
                param=name,
            )
    neutral = {"sampler_name": ("", "Automatic"), "sampler_index": ("", "Automatic", "Euler")}
    for name, passing in neutral.items():
        if getattr(fields, name) not in (None, _sampler(model), *passing):
            raise InvalidRequestError(
                f"{name}: this model samples with {_sampler(model)}: send that, or nothing",
                param=name,
            )


def _sampler(model: ModelInfo) -> str:
    return SAMPLER_NAMES.get(model.scheduler, model.scheduler)
