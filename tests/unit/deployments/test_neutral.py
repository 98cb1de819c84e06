"""Fields of other dialects that mean nothing here."""

from typing import Any

import pytest

from deployments.api.body import Body
from deployments.api.dialects.ignored_fields import drop_ignored
from deployments.errors import InvalidRequestError

IGNORED: dict[str, list[Any]] = {
    "tiling": [False],
    "eta": [0],
    "quality": ["auto"],
    "user": [],
    "scripts": [{}],
    "never": [None],
}


@pytest.mark.parametrize(
    "fields",
    [
        {"tiling": False, "eta": 0, "quality": "auto", "user": "me", "scripts": {}},
        {"tiling": None, "eta": None, "quality": None, "user": None, "scripts": None},
        {"eta": 0.0, "never": None},
    ],
)
def test_values_that_ask_for_nothing_pass(fields: dict[str, Any]) -> None:
    body = Body({**fields, "prompt": "x"}, is_json=True)
    drop_ignored(body, IGNORED)
    assert body.fields == {"prompt": "x"}


def test_a_form_has_them_as_text() -> None:
    body = Body({"tiling": ["false"], "eta": ["0"], "quality": ["auto"], "user": ["me"]})
    drop_ignored(body, IGNORED)
    assert body.fields == {}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("tiling", True),
        ("tiling", 0),
        ("eta", 1),
        ("eta", False),
        ("quality", "high"),
        ("scripts", {"controlnet": {}}),
        ("never", "x"),
    ],
)
def test_values_that_ask_for_something_are_named(name: str, value: Any) -> None:
    with pytest.raises(InvalidRequestError, match=name) as caught:
        drop_ignored(Body({name: value}, is_json=True), IGNORED)
    assert caught.value.param == name


def test_a_file_is_never_neutral() -> None:
    with pytest.raises(InvalidRequestError, match="quality"):
        drop_ignored(Body({}, {"quality": [b"x"]}), IGNORED)
