"""What is wrong with a field, in a sentence that names it and says what to send."""

from collections.abc import Collection, Mapping
from typing import Any

from pydantic import ValidationError

from deployments.decoding.strict_json import shown
from deployments.errors import InvalidRequestError

_WHOLE_NUMBER, _NUMBER, _TEXT = "send a whole number", "send a number", "send text"
_BOOLEAN, _OBJECT = "send true or false", "send an object"
_SENTENCES = {  # by pydantic's type of error; the names in braces are its own
    "bool_parsing": _BOOLEAN,
    "bool_type": _BOOLEAN,
    "dict_type": _OBJECT,
    "finite_number": "send a finite number",
    "float_parsing": _NUMBER,
    "float_type": _NUMBER,
    "greater_than": "send more than {gt}",
    "greater_than_equal": "send at least {ge}",
    "int_from_float": _WHOLE_NUMBER,
    "int_parsing": _WHOLE_NUMBER,
    "int_parsing_size": "send a whole number with fewer digits",
    "int_type": _WHOLE_NUMBER,
    "less_than": "send less than {lt}",
    "less_than_equal": "send at most {le}",
    "list_type": "send a list",
    "literal_error": "use {expected}",
    "missing": "it is needed: send it",
    "model_attributes_type": _OBJECT,
    "model_type": _OBJECT,
    "string_too_long": "send at most {max_length} characters",
    "string_type": _TEXT,
    "string_unicode": "send text in UTF-8",
    "too_long": "send at most {max_length} values",
    "too_short": "send at least {min_length} value",
}


def invalid_field(error: ValidationError, known: Collection[str]) -> InvalidRequestError:
    """Turn pydantic's first complaint into ours; the value at fault is not repeated."""
    first = error.errors(include_url=False, include_input=False)[0]
    where = _path(first["loc"])
    name = shown(str(first["loc"][0])) if first["loc"] else None
    if first["type"] == "extra_forbidden":
        message = f"{where} is not a field; the fields are {', '.join(known)}"
        return InvalidRequestError(message, param=name)
    sentence = _SENTENCES.get(first["type"])
    if sentence is not None:
        message = sentence.format(**_plain(first.get("ctx", {})))
    else:
        message = first["msg"].removeprefix("Value error, ")
        message = message[:1].lower() + message[1:]
    return InvalidRequestError(f"{where}: {message}" if where else message, param=name)


def _path(location: tuple[Any, ...]) -> str:
    """Write where a value stands as a caller would: parameters.seeds[2]."""
    path = ""
    for part in location:
        path += f"[{part}]" if isinstance(part, int) else f".{shown(part)}"
    return path.removeprefix(".")


def _plain(limits: Mapping[str, Any]) -> dict[str, Any]:
    """Write 10 for a limit of 10.0."""
    return {
        name: int(limit) if isinstance(limit, float) and limit.is_integer() else limit
        for name, limit in limits.items()
    }
