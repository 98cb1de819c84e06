"""What is in an answer, and what is wrong with it: each function names the fault in a sentence."""

import base64
import json
from collections.abc import Mapping
from io import BytesIO
from typing import Any

import httpx
import numpy as np
from PIL import Image

from tests.faults.asks import Ask
from tests.support.services import read_events

Images = dict[str, list[tuple[int, int, bytes]]]
"""By set, its images in the order of the answer: index, seed, file."""
HONEST = {429: "overloaded", 503: "", 504: "deadline_exceeded"}
"""The statuses of a service that cannot serve just now, and the code of each ("": several)."""
_HONEST_CODES = ("overloaded", "model_unavailable", "out_of_memory", "deadline_exceeded")


def code_of(response: httpx.Response) -> tuple[str, str]:
    """Return the code in the envelope of an error, and what is wrong with the envelope."""
    try:
        envelope = response.json()
        facts = envelope["error"]
    except (ValueError, KeyError, TypeError):
        return "", f"a {response.status_code} that is not an envelope: {response.text[:200]!r}"
    if set(envelope) != {"error"} or set(facts) != {"message", "type", "param", "code"}:
        return "", f"an envelope with the keys {sorted(envelope)}, {sorted(facts)}"
    if not facts["message"] or not facts["code"]:
        return str(facts["code"]), f"an envelope without a sentence or a code: {facts}"
    return str(facts["code"]), _without_retry_after(response)


def _without_retry_after(response: httpx.Response) -> str:
    if response.status_code not in (429, 503):
        return ""
    value = response.headers.get("retry-after", "")
    return "" if value.isdigit() and int(value) >= 1 else f"Retry-After is {value!r}"


def error_in_stream(response: httpx.Response) -> str:
    """Return the code of the error that ended a stream of events, "" when there is none."""
    if not response.headers.get("content-type", "").startswith("text/event-stream"):
        return ""
    events = [data for name, data in _events(response) if name == "error"]
    return str(events[-1]["error"]["code"]) if events else ""


def is_honest(status: int, code: str) -> bool:
    """Say whether an answer without images is one that a caller may get while parts fail."""
    if status == 200:  # a stream that had begun can only end in an error event
        return code in _HONEST_CODES
    return status in HONEST and HONEST[status] in ("", code)


def images_of(ask: Ask, response: httpx.Response) -> Images:
    """Return the images of an answer.

    Raises:
        ValueError, KeyError, TypeError: it is not an answer to this ask.
    """
    if ask.kind == "stream":
        return _streamed(response)
    answer = response.json()
    if ask.kind == "sweep":
        return {
            f"factor {made['diversity_factor']}": [_image(one, one) for one in made["images"]]
            for made in answer["sets"]
        }
    return {role: [_image(pair, pair[role]) for pair in answer["pairs"]] for role in answer["sets"]}


def _streamed(response: httpx.Response) -> Images:
    events = list(_events(response))
    ends = [name for name, _ in events if name in ("completed", "error")]
    if ends != ["completed"] or events[-1][0] != "completed":
        raise ValueError(f"a stream that ends with {events[-1:]} after {len(events)} events")
    images: Images = {}
    for name, data in events:
        if name == "image":
            images.setdefault(data["role"], []).append(_image(data, data))
    return images


def _events(response: httpx.Response) -> list[tuple[str, dict[str, Any]]]:
    return [event for event in read_events(iter(response.text.splitlines())) if event[0]]


def _image(place: Mapping[str, Any], image: Mapping[str, Any]) -> tuple[int, int, bytes]:
    if image["status"] != "ok":
        raise ValueError(f"image {place['index']} is {image['status']}")
    return place["index"], place["seed"], base64.b64decode(image["b64_json"], validate=True)


def difference(found: Images, expected: Images, tolerance: int) -> str:
    """Say what differs from the images of the idle service; `tolerance` in levels of 255."""
    if set(found) != set(expected):
        return f"the sets are {sorted(found)}, not {sorted(expected)}"
    for role, images in expected.items():
        order = [(index, seed) for index, seed, _ in found[role]]
        if order != [(index, seed) for index, seed, _ in images]:
            return f"the {role} set has (index, seed) {order}"
        for (index, seed, file), (_, _, right) in zip(found[role], images, strict=True):
            if file != right and _furthest(file, right) > tolerance:
                return f"image {index} (seed {seed}) of the {role} set is another image"
    return ""


def _furthest(file: bytes, other: bytes) -> int:
    one, two = (np.asarray(Image.open(BytesIO(each)).convert("RGB")) for each in (file, other))
    if one.shape != two.shape:
        return 255
    return int(np.abs(one.astype(np.int16) - two.astype(np.int16)).max())


def what_is_wrong(ask: Ask, response: httpx.Response, right: Images, tolerance: int) -> str:
    """Say what is wrong with a 200; "" when its images are those of the idle service."""
    try:
        return difference(images_of(ask, response), right, tolerance)
    except (ValueError, KeyError, TypeError, json.JSONDecodeError) as error:
        return f"not an answer to {ask.name}: {type(error).__name__} {error}"
