"""What an answer holds: pairs, sweeps, and what an image says of itself."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from deployments.api.schemas.errors import ErrorBody
from models.pixels import OutputFormat
from models.roles import Role

_ID = "3f2b8c1e-5d1c-4a6e-9d55-0c4f2b7f6a10"
_SHA256 = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
_PARAMETERS = {"n": 10, "seeds": [7, 8, 9], "diversity_factor": 7.0, "strength": 0.6}


class ImageAnswer(BaseModel):
    """One image of a set."""

    status: Annotated[
        Literal["ok", "failed", "filtered", "cancelled"],
        Field(description="What became of the image at this index", examples=["ok"]),
    ]
    format: Annotated[
        OutputFormat | None, Field(description="Format of the file", examples=["png"])
    ] = None
    b64_json: Annotated[
        str | None,
        Field(
            description="The file in base64; null unless the status is ok",
            examples=["iVBORw0KGgoAAAANSUhEUg..."],
        ),
    ] = None


class IndexedImageAnswer(ImageAnswer):
    """One image of a set, with its place."""

    index: Annotated[int, Field(description="Place in the list, from 0", examples=[0])]
    seed: Annotated[int, Field(description="Seed of the image", examples=[7])]


class Pair(BaseModel):
    """Image k of each set: same input, same seed, same place in the list."""

    index: Annotated[int, Field(description="Place in the list, from 0", examples=[0])]
    seed: Annotated[int, Field(description="Seed of both images", examples=[7])]
    vae: Annotated[
        ImageAnswer | None,
        Field(
            description="The VAE's image; absent when not asked for", examples=[{"status": "ok"}]
        ),
    ] = None
    stable_diffusion: Annotated[
        ImageAnswer | None,
        Field(
            description="The diffusion model's image; absent when not asked for",
            examples=[{"status": "ok"}],
        ),
    ] = None


class CropAnswer(BaseModel):
    """The square that was used, in pixels of the upright picture."""

    x: Annotated[int, Field(description="Left edge, pixels", examples=[40])]
    y: Annotated[int, Field(description="Upper edge, pixels", examples=[20])]
    side: Annotated[int, Field(description="Side, pixels", examples=[512])]


class InputAnswer(BaseModel):
    """The picture that came in."""

    sha256: Annotated[str, Field(description="Of the uploaded bytes", examples=[_SHA256])]
    width: Annotated[int, Field(description="Of the upright picture, pixels", examples=[640])]
    height: Annotated[int, Field(description="Of the upright picture, pixels", examples=[800])]
    crop: Annotated[
        CropAnswer,
        Field(description="The square that was used", examples=[{"x": 40, "y": 20, "side": 512}]),
    ]


class SetMetricsAnswer(BaseModel):
    """Numbers of a set, on images resized to 128 px with values in [0, 1]."""

    pairwise_rmse: Annotated[
        float, Field(description="Mean difference of its images: diversity", examples=[0.108])
    ]
    input_rmse: Annotated[
        float,
        Field(description="Mean difference to the input: inverse coherence", examples=[0.094]),
    ]
    laplacian_variance: Annotated[
        float, Field(description="Sharpness; it also rises with artefacts", examples=[0.0007])
    ]


class SetAnswer(BaseModel):
    """How one set was made."""

    status: Annotated[
        Literal["ok", "failed"],
        Field(description="failed when no image was made; each has a status", examples=["ok"]),
    ]
    model: Annotated[
        str | None,
        Field(
            description="True id of the weights; absent of a model that is away",
            examples=["demo-vae"],
        ),
    ] = None
    revision: Annotated[
        str | None, Field(description="Of the weights", examples=[f"sha256:{_SHA256}"])
    ] = None
    simulated: Annotated[
        bool, Field(description="Made without a model, for rehearsals", examples=[False])
    ] = False
    replicas: Annotated[
        list[str], Field(description="Which replicas worked on it", examples=[["x7k2m9qd"]])
    ] = []
    timings_ms: Annotated[
        dict[str, float],
        Field(
            description="Milliseconds by part: wait, model, encode",
            examples=[{"wait": 0.2, "model": 81.0, "encode": 9.5}],
        ),
    ] = {}
    encoder_calls: Annotated[
        int | None, Field(description="Passes of the image encoder", examples=[1])
    ] = None
    unet_calls: Annotated[int | None, Field(description="Passes of the UNet", examples=[14])] = None
    metrics: Annotated[
        SetMetricsAnswer | None,
        Field(
            description="The set's numbers; absent of a set that failed",
            examples=[{"pairwise_rmse": 0.108, "input_rmse": 0.094, "laplacian_variance": 0.0007}],
        ),
    ] = None
    notes: Annotated[
        list[str],
        Field(description="Sentences worth reading", examples=[["the prompt was cut off"]]),
    ] = []
    error: Annotated[
        ErrorBody | None,
        Field(
            description="Why the set, or some images, failed",
            examples=[{"message": "...", "type": "..."}],
        ),
    ] = None


class _AnswerHead(BaseModel):
    id: Annotated[str, Field(description="UUID of this answer", examples=[_ID])]
    created: Annotated[int, Field(description="Seconds since 1970, UTC", examples=[1790000000])]
    parameters: Annotated[
        dict[str, Any], Field(description="All parameters, resolved", examples=[_PARAMETERS])
    ]
    input: Annotated[
        InputAnswer,
        Field(description="The picture that came in", examples=[{"sha256": _SHA256}]),
    ]


class PairResponse(_AnswerHead):
    """The answer of `POST /v1/pairs`."""

    pairs: Annotated[
        list[Pair],
        Field(description="In the order of the seeds", examples=[[{"index": 0, "seed": 7}]]),
    ]
    sets: Annotated[
        dict[Role, SetAnswer],
        Field(description="How each set was made", examples=[{"vae": {"status": "ok"}}]),
    ]


class SweepSetAnswer(SetAnswer):
    """One step of a sweep: a VAE set and the factor that made it."""

    diversity_factor: Annotated[float, Field(description="Of this set", examples=[7.0])]
    images: Annotated[
        list[IndexedImageAnswer],
        Field(description="In the order of the seeds", examples=[[{"index": 0, "seed": 7}]]),
    ]


class SweepResponse(_AnswerHead):
    """The answer of `POST /v1/sweep`."""

    sets: Annotated[
        list[SweepSetAnswer],
        Field(
            description="One a factor, in the order asked for", examples=[[{"diversity_factor": 1}]]
        ),
    ]


class InspectResponse(BaseModel):
    """The answer of `POST /v1/inspect`: what an image says of itself; nothing proves it."""

    model: Annotated[str, Field(description="Id of the weights", examples=["demo-diffusion"])]
    revision: Annotated[str, Field(description="Of the weights", examples=[f"sha256:{_SHA256}"])]
    seed: Annotated[int, Field(description="Of this image", examples=[7])]
    parameters: Annotated[
        dict[str, Any],
        Field(description="All parameters of its set", examples=[{"diversity_factor": 7.0}]),
    ]
    input: Annotated[
        dict[str, Any],
        Field(
            description="Digest, size and crop of the input picture", examples=[{"sha256": _SHA256}]
        ),
    ]
    software: Annotated[str, Field(description="What made it", examples=["Twinset 0.1.0"])]
    precision: Annotated[str, Field(description="That the model computed in", examples=["float32"])]
    unet_calls: Annotated[int, Field(description="Passes of the UNet", examples=[14])]
    scheduler: Annotated[
        str,
        Field(
            description="Class of diffusers' that led the steps; empty for a VAE",
            examples=["DPMSolverMultistepScheduler"],
        ),
    ]
