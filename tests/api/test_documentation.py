"""The description of the API is whole, and its page needs nobody else."""

import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from deployments.errors import HTTP_STATUS


@pytest.fixture(scope="module")
def description(demo: httpx.Client) -> dict[str, Any]:
    """Return the OpenAPI description."""
    answer: dict[str, Any] = demo.get("/openapi.json").json()
    return answer


def _fields(where: str, schema: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for name, field in schema.get("properties", {}).items():
        yield f"{where}.{name}", field


def _all_fields(description: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for name, schema in description["components"]["schemas"].items():
        yield from _fields(name, schema)
    for path, operations in description["paths"].items():
        for operation in operations.values():
            for content in operation.get("requestBody", {}).get("content", {}).values():
                yield from _fields(path, content.get("schema", {}))


def test_every_field_has_a_description_and_an_example(description: dict[str, Any]) -> None:
    fields = list(_all_fields(description))
    assert len(fields) > 150
    bare = [where for where, one in fields if not (one.get("description") and one.get("examples"))]
    assert bare == []


def test_every_reference_leads_somewhere(description: dict[str, Any]) -> None:
    names = set(re.findall(r"'#/components/schemas/(\w+)'", str(description)))
    assert names <= set(description["components"]["schemas"])


def test_every_route_says_what_it_does_and_how_it_fails(description: dict[str, Any]) -> None:
    assert set(description["paths"]) == {
        "/v1/pairs",
        "/v1/sweep",
        "/v1/inspect",
        "/v1/models",
        "/v1/images/edits",
        "/v1/images/variations",
        "/sdapi/v1/img2img",
        "/hf/image-to-image",
        "/livez",
        "/readyz",
    }
    for path, operations in description["paths"].items():
        for operation in operations.values():
            assert operation["summary"], path
            assert operation["description"], path
            if path not in ("/livez",):
                assert {str(status) for status in HTTP_STATUS.values()} <= set(
                    operation["responses"]
                )


def test_examples_of_parameters_are_taken(description: dict[str, Any], demo: httpx.Client) -> None:
    schema = description["paths"]["/v1/pairs"]["post"]["requestBody"]["content"]
    properties = schema["multipart/form-data"]["schema"]["properties"]
    assert {"image", "n", "seed", "seeds", "models", "crop", "timeout_s"} <= set(properties)


@pytest.mark.parametrize("page", ["/", "/docs"])
def test_pages_need_nobody_else(demo: httpx.Client, page: str) -> None:
    response = demo.get(page)
    assert response.status_code == 200
    assert response.headers["content-type"].startswith("text/html")
    policy = response.headers["content-security-policy"]
    assert "script-src 'self';" in policy
    assert "default-src 'none'" in policy
    sources = re.findall(r"""(?:src|href)\s*=\s*["']([^"']+)""", response.text)
    assert sources
    for source in sources:
        assert not source.startswith(("http:", "https:", "//")), source
        if not source.startswith(("#", "data:")):
            assert demo.get(source).status_code == 200, source
    assert not re.search(r"<script(?![^>]*\bsrc=)", response.text)
    assert not re.search(r"<style|\sstyle=|\son\w+=", response.text)


def test_swagger_is_served_from_here_and_nothing_beside_it(demo: httpx.Client) -> None:
    assert "SwaggerUIBundle" in demo.get("/docs/swagger-ui-bundle.js").text
    assert demo.get("/docs/swagger-ui.css").status_code == 200
    for path in ("/docs/__init__.py", "/docs/..%2fmain.py", "/web/..%2fapp.py", "/web/"):
        assert demo.get(path).status_code == 404, path


def test_every_answer_carries_the_security_headers(demo: httpx.Client) -> None:
    for path in ("/livez", "/nothing", "/v1/models", "/web/index.html"):
        headers = demo.get(path).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert "content-security-policy" in headers
        assert "access-control-allow-origin" not in headers
