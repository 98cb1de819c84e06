"""The public contract: what a request may hold and what an answer holds."""

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from models.interfaces import ROLES, Role
from models.parameters import MAX_DIVERSITY_FACTOR, MAX_GUIDANCE_SCALE, MAX_NUM_INFERENCE_STEPS
from models.pixels import OutputFormat
from models.seeds import MAX_IMAGES, SEED_MODULUS, resolve_seeds

Seed = Annotated[int, Field(ge=0, lt=SEED_MODULUS)]
ROLE_NAMES: dict[str, Role] = {
    "vae": "vae",
    "stable_diffusion": "stable_diffusion",
    "celeba-vae": "vae",
    "stable-diffusion-v1-5": "stable_diffusion",
}
MAX_PROMPT_CHARACTERS = 2000


class PairRequest(BaseModel):
    """The fields of `POST /v1/pairs` beside the picture; an unknown one is an error."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    n: Annotated[
        int | None,
        Field(ge=1, le=MAX_IMAGES, description="Pairs to make; 10 by default", examples=[10]),
    ] = None
    seed: Annotated[
        Seed | None,
        Field(description="Pair k gets seed + k modulo 2^32; random by default", examples=[7]),
    ] = None
    seeds: Annotated[
        list[Seed] | None,
        Field(
            min_length=1,
            max_length=MAX_IMAGES,
            description="The seed of each pair, in place of n and seed",
            examples=[[7, 8, 9]],
        ),
    ] = None
    models: Annotated[
        list[str] | None,
        Field(description="Which sets to make: vae, stable_diffusion", examples=[["vae"]]),
    ] = None
    diversity_factor: Annotated[
        float | None,
        Field(
            ge=0,
            le=MAX_DIVERSITY_FACTOR,
            description="Scale of the VAE's latent noise; 0 is the plain reconstruction",
            examples=[7.0],
        ),
    ] = None
    prompt: Annotated[
        str | None,
        Field(
            max_length=MAX_PROMPT_CHARACTERS,
            description="What the diffusion images should show",
            examples=["a portrait of a woman with red hair"],
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
    strength: Annotated[
        float | None,
        Field(gt=0, le=1, description="Share of the noise schedule applied", examples=[0.6]),
    ] = None
    guidance_scale: Annotated[
        float | None,
        Field(
            ge=0,
            le=MAX_GUIDANCE_SCALE,
            description="Classifier-free guidance; at 1 or below it is off",
            examples=[7.5],
        ),
    ] = None
    num_inference_steps: Annotated[
        int | None,
        Field(
            ge=1,
            le=MAX_NUM_INFERENCE_STEPS,
            description="Steps of the full schedule; strength decides how many are run",
            examples=[50],
        ),
    ] = None
    crop: Annotated[
        str,
        Field(
            pattern=r"^(center|\d{1,5},\d{1,5},\d{1,5})$",
            description="`center`, or `x,y,side` in pixels of the upright picture",
            examples=["center", "40,20,512"],
        ),
    ] = "center"
    output_format: Annotated[
        OutputFormat, Field(description="File format of the images", examples=["png"])
    ] = "png"
    timeout_s: Annotated[
        float | None,
        Field(gt=0, description="Deadline in seconds, at most the server's", examples=[30.0]),
    ] = None
    allow_partial: Annotated[
        bool,
        Field(description="When one model fails, return the other set", examples=[False]),
    ] = False

    @field_validator("models")
    @classmethod
    def _known_models(cls, value: list[str] | None) -> list[str] | None:
        if value is None:
            return None
        unknown = sorted(set(value) - set(ROLE_NAMES))
        if unknown or not value:
            raise ValueError(f"use one or both of {', '.join(ROLES)}")
        return value

    @model_validator(mode="after")
    def _seeds_agree(self) -> Self:
        resolve_seeds(self.n, self.seed, self.seeds)
        return self

    def roles(self) -> list[Role]:
        """Return the roles asked for, VAE first."""
        asked = {ROLE_NAMES[name] for name in self.models or ROLES}
        return [role for role in ROLES if role in asked]


class ImageAnswer(BaseModel):
    """One image of a set."""

    status: Annotated[
        Literal["ok", "failed", "filtered", "cancelled"],
        Field(description="What became of the image at this index", examples=["ok"]),
    ]
    format: Annotated[OutputFormat | None, Field(description="Of the file")] = None
    b64_json: Annotated[
        str | None, Field(description="The file in base64; null unless the status is ok")
    ] = None


class Pair(BaseModel):
    """Image k of each set: same input, same seed, same place in the list."""

    index: Annotated[int, Field(description="Place in the list, from 0")]
    seed: Annotated[int, Field(description="Seed of both images")]
    vae: Annotated[ImageAnswer | None, Field(description="Absent when not asked for")] = None
    stable_diffusion: Annotated[
        ImageAnswer | None, Field(description="Absent when not asked for")
    ] = None


class CropAnswer(BaseModel):
    """The square that was used, in pixels of the upright picture."""

    x: int
    y: int
    side: int


class InputAnswer(BaseModel):
    """The picture that came in."""

    sha256: Annotated[str, Field(description="Of the uploaded bytes")]
    width: Annotated[int, Field(description="Of the upright picture, pixels")]
    height: Annotated[int, Field(description="Of the upright picture, pixels")]
    crop: CropAnswer


class SetMetricsAnswer(BaseModel):
    """Numbers of a set, on images resized to 128 px with values in [0, 1]."""

    pairwise_rmse: Annotated[float, Field(description="Mean difference of its images: diversity")]
    input_rmse: Annotated[float, Field(description="Mean difference to the input")]
    laplacian_variance: Annotated[
        float, Field(description="Sharpness; it also rises with artefacts")
    ]


class ErrorBody(BaseModel):
    """What went wrong."""

    message: str
    type: str
    param: str | None = None
    code: str | None = None


class ErrorEnvelope(BaseModel):
    """The body of every answer that is not a success."""

    error: ErrorBody


class SetAnswer(BaseModel):
    """How one set was made."""

    status: Annotated[Literal["ok", "failed"], Field(description="Of the whole set")]
    model: Annotated[
        str | None, Field(description="True id of the weights; absent of a model that is away")
    ] = None
    revision: Annotated[str | None, Field(description="Of the weights")] = None
    simulated: Annotated[bool, Field(description="Made without a model, for rehearsals")] = False
    replicas: Annotated[list[str], Field(description="Which replicas worked on it")] = []
    timings_ms: Annotated[dict[str, float], Field(description="Milliseconds by part")] = {}
    encoder_calls: Annotated[int | None, Field(description="Passes of the image encoder")] = None
    unet_calls: Annotated[int | None, Field(description="Passes of the UNet")] = None
    metrics: SetMetricsAnswer | None = None
    notes: Annotated[list[str], Field(description="Sentences worth reading")] = []
    error: ErrorBody | None = None


class PairResponse(BaseModel):
    """The answer of `POST /v1/pairs`."""

    id: Annotated[str, Field(description="UUID of this answer")]
    created: Annotated[int, Field(description="Seconds since 1970, UTC")]
    parameters: Annotated[dict[str, Any], Field(description="All parameters, resolved")]
    input: InputAnswer
    pairs: list[Pair]
    sets: dict[Role, SetAnswer]


class ModelCard(BaseModel):
    """One model that is served."""

    id: str
    object: Literal["model"] = "model"
    role: Role
    revision: str
    image_size_px: int
    defaults: dict[str, float | int | str]
    licence: str
    device: str
    precision: str
    demo: bool
    simulated: bool
    note: str
    replicas: Annotated[
        dict[str, int], Field(description="Replicas by state: running, starting, stopping ...")
    ]


class LimitsAnswer(BaseModel):
    """What is refused."""

    max_bytes: int
    min_side_px: int
    max_side_px: int
    max_pixels: int
    max_aspect: float
    max_images: int
    request_timeout_s: float


class ModelList(BaseModel):
    """The answer of `GET /v1/models`."""

    object: Literal["list"] = "list"
    data: list[ModelCard]
    limits: LimitsAnswer
