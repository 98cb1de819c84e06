"""Fields that mean nothing here: they pass at the values that ask for nothing."""

from collections.abc import Mapping, Sequence
from typing import Any

from deployments.api.body import Body
from deployments.errors import InvalidRequestError

Neutral = Mapping[str, Sequence[Any]]
"""By the name of the field, the values that pass beside null; none at all means any value."""


def drop_ignored(body: Body, neutral: Neutral) -> None:
    """Take the fields that mean nothing here out of a body.

    Raises:
        InvalidRequestError: one of them asks for something.
    """
    for name in neutral.keys() & body.fields.keys():
        given = body.fields.pop(name)
        for value in [given] if body.is_json else given:
            _check(name, value, neutral[name])
    for name in neutral.keys() & body.files.keys():
        raise InvalidRequestError(f"{name} has no meaning here: leave it out", param=name)


def ignored_schema(neutral: Neutral) -> dict[str, Any]:
    """Return JSON Schema properties that describe the fields."""
    return {
        name: {
            "description": "Accepted for compatibility, without meaning here",
            "examples": [values[0] if values else None],
            **(
                {"enum": [*(value for value in values if value is not None), None]}
                if values
                else {}
            ),
        }
        for name, values in neutral.items()
    }


def _check(name: str, value: Any, allowed: Sequence[Any]) -> None:
    if not allowed or value is None:
        return
    # A form has text only: "false" is False there, "1.0" is 1.
    if any(_same(value, passing) for passing in allowed):
        return
    shown = " or ".join(str(passing) for passing in allowed)
    raise InvalidRequestError(
        f"{name} has no meaning here: leave it out, or send {shown}", param=name
    )


def _same(value: Any, neutral: Any) -> bool:
    if isinstance(value, str) and not isinstance(neutral, str):
        return value.strip().lower() in (str(neutral).lower(), "")
    return bool(value == neutral) and isinstance(value, bool) == isinstance(neutral, bool)
