"""Accept headers as RFC 9110 has them."""

import pytest
from starlette.requests import Request

from deployments.api.accept import negotiate
from deployments.errors import NotAcceptableError

OFFERED = ["application/json", "application/zip", "image/png"]


def _request(*headers: str) -> Request:
    raw = [(b"accept", header.encode()) for header in headers]
    return Request({"type": "http", "headers": raw})


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ([], "application/json"),
        ([""], "application/json"),
        (["*/*"], "application/json"),
        (["image/png"], "image/png"),
        (["IMAGE/PNG"], "image/png"),
        (["text/html", "application/zip"], "application/zip"),
        (["image/*, application/*;q=0.9"], "image/png"),
        (["*/*;q=0.1, application/zip"], "application/zip"),
        (["*/*, application/json;q=0"], "application/zip"),
        (["application/*;q=0.8, application/json;q=0.1, image/png;q=0.5"], "application/zip"),
        (["application/json; charset=utf-8; q=0.4, image/png;q=0.3"], "application/json"),
        (["image/png;q=nonsense, application/zip"], "application/zip"),
    ],
)
def test_the_best_liked_type_wins(headers: list[str], expected: str) -> None:
    assert negotiate(_request(*headers), OFFERED) == expected


@pytest.mark.parametrize("header", ["text/html", "image/webp", "*/*;q=0", "image/png;q=0"])
def test_a_header_that_names_nothing_of_ours_is_refused(header: str) -> None:
    with pytest.raises(NotAcceptableError, match="application/zip"):
        negotiate(_request(header), OFFERED)
