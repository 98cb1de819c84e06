"""JSON bodies read strictly: no name twice, no text that is none, no millions of values."""

import json
import re
from typing import Any

from deployments.errors import InvalidRequestError

MAX_JSON_DEPTH = 32
"""Of lists and objects within each other; no dialect goes beyond six."""
MAX_JSON_MARKS = 60_000
"""Commas and opening brackets. A picture in base64 has none; a list of a million lists, which
would take gigabytes once read, has millions."""
_MAX_DIGITS = 400  # of a whole number; one with more is none that a field takes
_HALF_PAIR = re.compile(r"\\u[dD][89a-fA-F]")


class _TwiceError(ValueError):
    """A name stands twice in one object."""


def read_json(body: bytes) -> dict[str, Any]:
    """Return the object that a body holds.

    Raises:
        InvalidRequestError: it is no JSON object in UTF-8, or names a field twice.
    """
    if sum(body.count(mark) for mark in (b",", b"[", b"{")) > MAX_JSON_MARKS:
        raise InvalidRequestError("the body holds too many values: send the fields of one request")
    try:
        text = body.decode("utf-8-sig")
        fields = json.loads(text, object_pairs_hook=_once, parse_int=_whole_number)
        _check_depth(fields)
        if _HALF_PAIR.search(text):
            json.dumps(fields, ensure_ascii=False).encode()  # raises where its other half is absent
    except _TwiceError as error:
        name = str(error)
        raise InvalidRequestError(f"{name} is given twice: send it once", param=name) from None
    except UnicodeError as error:
        raise InvalidRequestError("the body is not text in UTF-8: send JSON in UTF-8") from error
    except RecursionError as error:
        raise InvalidRequestError("the JSON is nested too deeply: send plain fields") from error
    except ValueError as error:
        raise InvalidRequestError("the body is not valid JSON: check its syntax") from error
    if not isinstance(fields, dict):
        raise InvalidRequestError("the body must be a JSON object")
    return fields


def _check_depth(fields: Any) -> None:
    """Refuse what is nested deeper than those who write JSON again may go."""
    level = [fields] if isinstance(fields, dict | list) else []
    for _ in range(MAX_JSON_DEPTH):
        inner = [value.values() if isinstance(value, dict) else value for value in level]
        level = [item for items in inner for item in items if isinstance(item, dict | list)]
        if not level:
            return
    raise RecursionError


def shown(name: str) -> str:
    """Shorten the name of a field that a caller made up, so that it can be told back."""
    letters = (letter if letter.isprintable() else "?" for letter in name[:60])
    return "".join(letters) or "a field without name"


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    for name, value in pairs:
        if name in fields:
            raise _TwiceError(shown(name))
        fields[name] = value
    return fields


def _whole_number(digits: str) -> float | int:
    # Python refuses to read thousands of digits; as infinity they are refused under their name.
    return int(digits) if len(digits) <= _MAX_DIGITS else float("inf")
