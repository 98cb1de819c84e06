"""Made sets to answers in JSON."""

import base64
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from pydantic import BaseModel
from starlette.responses import Response

from deployments.api.schemas.answers import (
    ImageAnswer,
    IndexedImageAnswer,
    InputAnswer,
    Pair,
    PairResponse,
    SetAnswer,
    SetMetricsAnswer,
    SweepResponse,
    SweepSetAnswer,
)
from deployments.api.schemas.errors import ErrorBody
from deployments.errors import TwinsetError
from deployments.jobs import MadeSet, Outcome, PairJob
from models.interfaces import ModelInfo
from models.roles import Role


def json_response(answer: BaseModel) -> Response:
    """Return an answer that nobody keeps; fields that were not set are left out."""
    return private_response(answer.model_dump_json(exclude_unset=True), "application/json")


def private_response(content: str | bytes, media_type: str, **headers: str) -> Response:
    """Return an answer that holds pictures of people: no cache may keep it."""
    return Response(
        content, media_type=media_type, headers={"Cache-Control": "no-store", **headers}
    )


def pair_answer(job: PairJob, outcomes: Mapping[Role, Outcome]) -> PairResponse:
    """Lay the sets side by side: pair k holds image k of each, whatever became of it."""
    return PairResponse(
        id=str(uuid.uuid4()),
        created=int(time.time()),
        parameters=resolved(job),
        input=input_answer(job),
        pairs=[_pair(job, outcomes, index, seed) for index, seed in enumerate(job.seeds)],
        sets={role: set_answer(job.models.get(role), made) for role, made in outcomes.items()},
    )


def sweep_answer(job: PairJob, factors: Sequence[float], sets: Sequence[MadeSet]) -> SweepResponse:
    """Return one set for each factor."""
    return SweepResponse(
        id=str(uuid.uuid4()),
        created=int(time.time()),
        parameters={
            "diversity_factors": list(factors),
            "n": len(job.seeds),
            "seeds": list(job.seeds),
            "output_format": job.output_format,
        },
        input=input_answer(job),
        sets=[_sweep_set(job, factor, made) for factor, made in zip(factors, sets, strict=True)],
    )


def resolved(job: PairJob) -> dict[str, Any]:
    """Return all parameters of a paired request."""
    parameters: dict[str, Any] = {
        "n": len(job.seeds),
        "seeds": list(job.seeds),
        "models": list(job.parameters),
        "output_format": job.output_format,
    }
    for of_set in job.parameters.values():
        parameters.update(asdict(of_set))
    return parameters


def input_answer(job: PairJob) -> InputAnswer:
    """Say what came in."""
    return InputAnswer(**job.picture.facts())


def image_answer(job: PairJob, outcome: Outcome, index: int) -> ImageAnswer:
    """Return image `index` of a set, or what became of it."""
    if isinstance(outcome, TwinsetError):
        return ImageAnswer(status="failed")
    file = base64_image(outcome, index)
    if file is None:
        return ImageAnswer(status=outcome.result.status(index))
    return ImageAnswer(status="ok", format=job.output_format, b64_json=file)


def base64_image(made: MadeSet, index: int) -> str | None:
    """Return the file of one image in base64; None where there is none to show."""
    file = made.result.images[index]
    return None if file is None else base64.b64encode(file).decode("ascii")


def set_answer(info: ModelInfo | None, outcome: Outcome) -> SetAnswer:
    """Say how a set was made, or why it was not; `info` is None of a model that is away."""
    if not isinstance(outcome, TwinsetError):
        return SetAnswer(**_made_set(outcome))
    error = _error_body(outcome)
    if info is None:
        return SetAnswer(status="failed", error=error)
    return SetAnswer(status="failed", model=info.id, revision=info.revision, error=error)


def _error_body(error: TwinsetError) -> ErrorBody:
    return ErrorBody.model_validate(error.envelope()["error"])


def _pair(job: PairJob, outcomes: Mapping[Role, Outcome], index: int, seed: int) -> Pair:
    images = {role: image_answer(job, outcome, index) for role, outcome in outcomes.items()}
    return Pair(index=index, seed=seed, **images)


def _sweep_set(job: PairJob, factor: float, made: MadeSet) -> SweepSetAnswer:
    images = [
        IndexedImageAnswer(index=index, seed=seed, **dict(image_answer(job, made, index)))
        for index, seed in enumerate(job.seeds)
    ]
    return SweepSetAnswer(diversity_factor=factor, images=images, **_made_set(made))


def _made_set(made: MadeSet) -> dict[str, Any]:
    result = made.result
    failure = next(iter(result.failed.values()), None)
    return {
        "status": "ok",
        "model": result.model.id,
        "revision": result.model.revision,
        "simulated": result.model.simulated,
        "replicas": list(result.replicas),
        "timings_ms": {name: round(value, 1) for name, value in result.timings_ms.items()},
        "encoder_calls": result.encoder_calls,
        "unet_calls": result.unet_calls,
        "metrics": SetMetricsAnswer(**asdict(made.metrics)) if made.metrics else None,
        "notes": [*result.notes, *([result.model.note] if result.model.note else [])],
        **({} if failure is None else {"error": _error_body(failure)}),
    }
