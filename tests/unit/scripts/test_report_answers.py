"""Every way in which a service can fail the report is a sentence with the fix in it."""

from typing import Any

import httpx
import pytest

from scripts.report_answers import Caller, ReportError


def _caller(monkeypatch: pytest.MonkeyPatch, reply: httpx.Response | Exception) -> Caller:
    def answer(*_: Any, **__: Any) -> httpx.Response:
        if isinstance(reply, Exception):
            raise reply
        return reply

    monkeypatch.setattr(httpx, "request", answer)
    return Caller("http://127.0.0.1:9/", {})


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        (httpx.ConnectError("refused"), "start one with `make serve`"),
        (httpx.ReadTimeout("slow"), "did not answer"),
        (httpx.Response(200, text="<html>"), "is no Twinset of this version"),
        (httpx.Response(404, json={"detail": "Not Found"}), "is no Twinset of this version"),
        (httpx.Response(401, json={"error": {"message": "none"}}), "give it as --api-key"),
        (httpx.Response(400, json={"error": {"message": "too small"}}), r"\(400\): too small"),
    ],
)
def test_every_failure_of_a_call_is_a_sentence(
    monkeypatch: pytest.MonkeyPatch, reply: httpx.Response | Exception, expected: str
) -> None:
    with pytest.raises(ReportError, match=expected):
        _caller(monkeypatch, reply).get("/v1/models")
