"""Made sets to answers."""

import base64
import time
import uuid
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from deployments.errors import TwinsetError
from deployments.pairing import MadeSet, Outcome, PairJob
from deployments.schemas import (
    CropAnswer,
    ErrorBody,
    ImageAnswer,
    InputAnswer,
    Pair,
    PairResponse,
    SetAnswer,
    SetMetricsAnswer,
)
from models.interfaces import ModelInfo, Role


def pair_response(
    job: PairJob, infos: Mapping[Role, ModelInfo], outcomes: Mapping[Role, Outcome]
) -> PairResponse:
    """Lay the sets side by side: pair k holds image k of each, whatever became of it."""
    return PairResponse(
        id=str(uuid.uuid4()),
        created=int(time.time()),
        parameters=_resolved(job),
        input=_input(job),
        pairs=[_pair(job, outcomes, index, seed) for index, seed in enumerate(job.seeds)],
        sets={role: _set(infos.get(role), outcome) for role, outcome in outcomes.items()},
    )


def _resolved(job: PairJob) -> dict[str, Any]:
    resolved: dict[str, Any] = {
        "n": len(job.seeds),
        "seeds": list(job.seeds),
        "models": list(job.parameters),
        "output_format": job.output_format,
    }
    for parameters in job.parameters.values():
        resolved.update(asdict(parameters))
    return resolved


def _input(job: PairJob) -> InputAnswer:
    picture = job.picture
    return InputAnswer(
        sha256=picture.sha256,
        width=picture.width_px,
        height=picture.height_px,
        crop=CropAnswer(**asdict(picture.crop)),
    )


def _pair(job: PairJob, outcomes: Mapping[Role, Outcome], index: int, seed: int) -> Pair:
    images = {role: _image(job, outcome, index) for role, outcome in outcomes.items()}
    return Pair(index=index, seed=seed, **images)


def _image(job: PairJob, outcome: Outcome, index: int) -> ImageAnswer:
    if isinstance(outcome, TwinsetError):
        return ImageAnswer(status="failed")
    data = base64.b64encode(outcome.result.images[index]).decode("ascii")
    return ImageAnswer(status="ok", format=job.output_format, b64_json=data)


def _set(info: ModelInfo | None, outcome: Outcome) -> SetAnswer:
    if not isinstance(outcome, TwinsetError):
        return _made_set(outcome)
    error = ErrorBody.model_validate(outcome.envelope()["error"])
    if info is None:
        return SetAnswer(status="failed", error=error)
    return SetAnswer(status="failed", model=info.id, revision=info.revision, error=error)


def _made_set(made: MadeSet) -> SetAnswer:
    result = made.result
    return SetAnswer(
        status="ok",
        model=result.model.id,
        revision=result.model.revision,
        simulated=result.model.simulated,
        replicas=[result.replica],
        timings_ms={name: round(value, 1) for name, value in result.timings_ms.items()},
        encoder_calls=result.encoder_calls,
        unet_calls=result.unet_calls,
        metrics=SetMetricsAnswer(**asdict(made.metrics)),
        notes=[*result.notes, result.model.note] if result.model.note else list(result.notes),
    )
