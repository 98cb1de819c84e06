"""What the service says of itself."""

from typing import Annotated, Literal

from pydantic import BaseModel, Field

from models.roles import Role


class StatusAnswer(BaseModel):
    """The answer of `/livez` and `/readyz`."""

    status: Annotated[str, Field(description="ok, or ready", examples=["ready"])]


class ModelCard(BaseModel):
    """One model that is served; `id`, `object`, `created`, `owned_by` are OpenAI's fields."""

    id: Annotated[str, Field(description="True id of the weights", examples=["demo-vae"])]
    object: Annotated[Literal["model"], Field(description="Always `model`", examples=["model"])] = (
        "model"
    )
    created: Annotated[int, Field(description="Always 0: not known", examples=[0])] = 0
    owned_by: Annotated[str, Field(description="Who serves it", examples=["twinset"])] = "twinset"
    role: Annotated[Role, Field(description="Which set it makes", examples=["vae"])]
    revision: Annotated[str, Field(description="Of the weights", examples=["sha256:9f86d0..."])]
    image_size_px: Annotated[int, Field(description="Side of its images", examples=[150])]
    defaults: Annotated[
        dict[str, float | int | str],
        Field(
            description="Parameters used when a caller names none",
            examples=[{"diversity_factor": 7.0}],
        ),
    ]
    licence: Annotated[str, Field(description="Of the weights", examples=["Apache-2.0"])]
    device: Annotated[str, Field(description="Where it runs", examples=["cuda:0"])]
    precision: Annotated[str, Field(description="That it computes in", examples=["float16"])]
    scheduler: Annotated[
        str,
        Field(
            description="Class of diffusers' that leads the steps; empty for a VAE",
            examples=["DPMSolverMultistepScheduler"],
        ),
    ]
    safety_checker: Annotated[
        bool, Field(description="Flagged images are withheld", examples=[True])
    ]
    gpu_memory_limit_gib: Annotated[
        float | None,
        Field(description="What a replica may take of its card, GiB", examples=[36.0]),
    ]
    gpu_memory_peak_gib: Annotated[
        float | None,
        Field(description="What it took at its largest request, GiB", examples=[11.2]),
    ]
    demo: Annotated[bool, Field(description="Made for trying Twinset out", examples=[True])]
    simulated: Annotated[bool, Field(description="Costs time, shows nothing", examples=[False])]
    note: Annotated[str, Field(description="A sentence worth reading", examples=[""])]
    replicas: Annotated[
        dict[str, int],
        Field(
            description="Replicas by state: running, starting, stopping ..., and the target",
            examples=[{"running": 2, "starting": 1, "target": 3}],
        ),
    ]


class LimitsAnswer(BaseModel):
    """What is refused."""

    max_bytes: Annotated[int, Field(description="Of the picture file", examples=[20_000_000])]
    min_side_px: Annotated[int, Field(description="Of its shorter side", examples=[64])]
    max_side_px: Annotated[int, Field(description="Of its longer side", examples=[8192])]
    max_pixels: Annotated[int, Field(description="Width times height", examples=[50_000_000])]
    max_aspect: Annotated[float, Field(description="Longer by shorter side", examples=[4.0])]
    max_images: Annotated[int, Field(description="Images a set", examples=[10])]
    request_timeout_s: Annotated[float, Field(description="Deadline, seconds", examples=[120.0])]


class ModelList(BaseModel):
    """The answer of `GET /v1/models`."""

    object: Annotated[Literal["list"], Field(description="Always `list`", examples=["list"])] = (
        "list"
    )
    data: Annotated[
        list[ModelCard], Field(description="The two models", examples=[[{"id": "demo-vae"}]])
    ]
    limits: Annotated[
        LimitsAnswer, Field(description="What is refused", examples=[{"max_images": 10}])
    ]
