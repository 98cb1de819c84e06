"""Defaults filled in, requests checked against what the served weights can do."""

from dataclasses import fields

from deployments.api.schemas.requests import GenerationFields
from deployments.errors import InvalidRequestError
from models.interfaces import ModelInfo
from models.parameters import Parameters
from models.roles import FACTS, Role


def resolve_parameters(role: Role, request: GenerationFields, info: ModelInfo) -> Parameters:
    """Return the parameters of one set: what the caller named, else the served weights' defaults.

    Raises:
        InvalidRequestError: values that do not go together, such as a strength that leaves no step.
    """
    chosen = dict(info.defaults)
    for name in (field.name for field in fields(FACTS[role].parameters)):
        value = getattr(request, name)
        if value is not None:
            chosen[name] = value
    try:
        return FACTS[role].parameters(**chosen)  # type: ignore[arg-type]
    except ValueError as error:
        raise InvalidRequestError(str(error), param=str(error).split(" ", 1)[0]) from error
