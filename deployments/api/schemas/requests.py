"""What a request may hold beside the picture; an unknown field is an error."""

import re
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from models.parameters import MAX_DIVERSITY_FACTOR, MAX_GUIDANCE_SCALE, MAX_NUM_INFERENCE_STEPS
from models.pixels import MIN_CROP_SIDE_PX, OutputFormat
from models.roles import ROLE_OF, ROLES, Role
from models.seeds import MAX_IMAGES, SEED_MODULUS, resolve_seeds

Seed = Annotated[int, Field(ge=0, lt=SEED_MODULUS)]
DiversityFactor = Annotated[float, Field(ge=0, le=MAX_DIVERSITY_FACTOR)]
MAX_PROMPT_CHARACTERS = 2000
_CROP = re.compile(r"center|[0-9]{1,5},[0-9]{1,5},[0-9]{1,5}")
MAX_DIVERSITY_FACTORS = 12
EXPLORED_FACTORS = [float(factor) for factor in range(1, 11)]


class Fields(BaseModel):
    """A group of fields in which an unknown one is an error."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


class SeedFields(Fields):
    """How many images, and from which seeds."""

    n: Annotated[
        int | None,
        Field(ge=1, le=MAX_IMAGES, description="Images a set; 10 by default", examples=[10]),
    ] = None
    seed: Annotated[
        Seed | None,
        Field(description="Image k gets seed + k modulo 2^32; random by default", examples=[7]),
    ] = None
    seeds: Annotated[
        list[Seed] | None,
        Field(
            min_length=1,
            max_length=MAX_IMAGES,
            description="The seed of each image, in place of n and seed",
            examples=[[7, 8, 9]],
        ),
    ] = None

    @model_validator(mode="after")
    def _seeds_agree(self) -> Self:
        resolve_seeds(self.n, self.seed, self.seeds)
        return self


class PictureFields(Fields):
    """What becomes of the picture, how the images are written, and for how long to wait."""

    crop: Annotated[
        str,
        Field(
            description="`center`, or `x,y,side` in pixels of the upright picture; the side has at "
            f"least {MIN_CROP_SIDE_PX}",
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

    @field_validator("crop")
    @classmethod
    def _is_a_square(cls, value: str) -> str:
        if not _CROP.fullmatch(value):
            raise ValueError("use center, or x,y,side in whole pixels, such as 40,20,512")
        return value


class GenerationFields(SeedFields, PictureFields):
    """What all routes that make images of a face understand."""

    diversity_factor: Annotated[
        DiversityFactor | None,
        Field(
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


class PairRequest(GenerationFields):
    """The fields of `POST /v1/pairs` beside the picture."""

    models: Annotated[
        list[str] | None,
        Field(description="Which sets to make", examples=[["vae", "stable_diffusion"], ["vae"]]),
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
        unknown = sorted(set(value) - set(ROLE_OF))
        if unknown or not value:
            raise ValueError(f"use one or both of {', '.join(ROLES)}")
        return value

    def roles(self) -> list[Role]:
        """Return the roles asked for, VAE first."""
        asked = {ROLE_OF[name] for name in self.models or ROLES}
        return [role for role in ROLES if role in asked]


class SweepRequest(SeedFields, PictureFields):
    """The fields of `POST /v1/sweep` beside the picture."""

    diversity_factors: Annotated[
        list[DiversityFactor],
        Field(
            min_length=1,
            max_length=MAX_DIVERSITY_FACTORS,
            description="One VAE set is made for each; 1 to 10 by default",
            examples=[[1, 4, 7, 10]],
        ),
    ] = EXPLORED_FACTORS


class InspectRequest(Fields):
    """`POST /v1/inspect` takes a picture and no other field."""
