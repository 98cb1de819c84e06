"""What Serve's HTTP proxy answers by itself, in our words, and what it lets in.

The proxy runs in a process of its own, before the ingress. It answers in plain text, not at all
when a replica dies under a request, and keeps requests waiting as long as there is no replica of
the ingress. Serve takes this middleware in by
`RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH=deployments.proxy:middlewares`, in the environment in
which Ray is started. Answers of the ingress pass message by message.
"""

import asyncio
import json
import logging
import re
import uuid
from dataclasses import dataclass, field
from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.middleware import Middleware
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from deployments import errors
from deployments.api.middleware.security_headers import HEADERS
from deployments.proxy.body_bound import BodyBound
from deployments.proxy.unread_answers import IS_OVER_SHARE, UnreadAnswers

MAX_URL_BYTES = 8_192
MAX_HEADERS_BYTES = 65_536
PATIENCE_S = 20.0
"""A request waits so long for a replica of the ingress: a new one takes a few seconds to start."""
_LOOK_S = 1.0
_RETRY_AFTER_S = 5
_SERVES_OWN = ("/-/healthz", "/-/routes")
_REQUEST_ID = re.compile(rb"[A-Za-z0-9._:-]{1,128}")
# With these any caller could switch Serve's deadline or its watch for callers who leave off, or
# choose the replica. Serve reads some of them with `_` as well as `-`.
_OVERRIDES = {
    b"x-request-timeout-seconds",
    b"x-request-disconnect-disabled",
    b"x-session-id",
    b"serve-multiplexed-model-id",
}
_LOST = errors.ModelUnavailableError(
    "a part of the service stopped while it worked for this request: send it again",
    retry_after_s=_RETRY_AFTER_S,
)
_OWN: dict[int, errors.TwinsetError] = {
    404: errors.NotFoundError("nothing is served here, or not yet: see /docs for the routes"),
    408: errors.DeadlineExceededError(
        "the request was not answered in time: ask for fewer images or steps, or send it again"
    ),
    429: errors.OverloadedError(
        "as many requests as allowed are under way: try again later",
        retry_after_s=_RETRY_AFTER_S,
        reason="ingress_queue",
    ),
    503: errors.ModelUnavailableError(
        "nobody is there to answer: try again later", retry_after_s=_RETRY_AFTER_S
    ),
}
_UNREAD = errors.KeyLimitError(
    "this key has more answers under way than its share: read those first",
    retry_after_s=_RETRY_AFTER_S,
    reason="unread_answers",
)
_LOGGER = logging.getLogger("ray.serve")


def around_the_proxy() -> list[Middleware]:
    """Return our middlewares; Serve puts the last one outermost."""
    return [Middleware(ProxyAnswers), Middleware(BodyBound), Middleware(UnreadAnswers)]


class ProxyAnswers:
    """ASGI middleware: the envelope for what the proxy says itself, and nothing that it obeys."""

    def __init__(self, app: ASGIApp) -> None:
        """Take the proxy."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, without what strangers may not decide, and the answer back."""
        if scope["type"] == "websocket":  # nothing here speaks it
            await send({"type": "websocket.close", "code": 1000})
            return
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers, request_id = _taken(scope["headers"])
        answer = _ProxyAnswer(scope, receive, send, request_id)
        if refusal := _refusal(scope):
            await answer.give(*refusal)
            return
        passing = asyncio.create_task(
            self._pass_on({**scope, "headers": headers}, receive, answer.send)
        )
        try:
            if await self._nobody_comes(passing, scope["path"], answer):
                passing.cancel()
            await asyncio.wait({passing})
        finally:
            passing.cancel()
        await answer.finish()

    async def _pass_on(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self._app(scope, receive, send)
        except Exception as error:  # its message may repeat what the caller sent
            _LOGGER.error("the proxy raised %s", type(error).__qualname__)

    async def _nobody_comes(
        self, passing: "asyncio.Task[None]", path: str, answer: "_ProxyAnswer"
    ) -> bool:
        """Return once an answer begins or ends, False; or when there was nobody for long, True."""
        absent_s = 0.0
        while not passing.done() and not answer.is_started:
            await asyncio.wait({passing}, timeout=_LOOK_S)
            absent_s = absent_s + _LOOK_S if _replicas(self._app, path) == 0 else 0.0
            if absent_s >= PATIENCE_S and not answer.is_started:
                answer.lost = _OWN[503]
                return True
        return False


@dataclass
class _ProxyAnswer:
    """One answer on its way to the caller."""

    scope: Scope
    receive: Receive
    to_caller: Send
    request_id: bytes
    lost: errors.TwinsetError = _LOST
    is_started: bool = field(default=False, init=False)
    is_complete: bool = field(default=False, init=False)
    is_stream: bool = field(default=False, init=False)
    is_replaced: bool = field(default=False, init=False)

    async def send(self, message: Message) -> None:
        """Pass a message on, unless it belongs to an answer of the proxy's own."""
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            if own := self._own(message["status"], headers):
                self.is_replaced = True
                await self.give(*own)
                return
            self.is_started = True
            self.is_stream = headers.get("content-type", "").startswith("text/event-stream")
            for name, value in HEADERS.items():
                headers.setdefault(name, value)
        elif self.is_replaced:
            return
        elif message["type"] == "http.response.body":
            self.is_complete = not message.get("more_body", False)
        await self.to_caller(message)

    async def finish(self) -> None:
        """Say what the proxy did not: that nothing came, or that a stream broke off."""
        if not self.is_started:
            await self.give(self.lost, errors.http_status(self.lost))
        elif self.is_stream and not self.is_complete:
            event = json.dumps({"type": "error", **_LOST.envelope()})
            body = f"event: error\ndata: {event}\n\n".encode()
            await self.to_caller({"type": "http.response.body", "body": body})
        # Any other answer that broke off stays so: its length tells, and uvicorn hangs up.

    async def give(self, error: errors.TwinsetError, status: int) -> None:
        """Answer with the envelope of an error."""
        if isinstance(error, errors.RefusedError):  # as deployments/api/refusals.py says it
            _LOGGER.warning(
                "refused, reason %s, route none, request_id %s",
                error.reason,
                self.request_id.decode(),
            )
        self.is_started = self.is_complete = True
        headers = {**HEADERS, "Cache-Control": "no-store", "X-Request-ID": self.request_id.decode()}
        if error.retry_after_s is not None:
            headers["Retry-After"] = str(error.retry_after_s)
        response = JSONResponse(error.envelope(), status, headers)
        await response(self.scope, self.receive, self.to_caller)

    def _own(self, status: int, headers: Headers) -> tuple[errors.TwinsetError, int] | None:
        """Return what to say in the place of an answer of the proxy's; None leaves it alone."""
        is_text = headers.get("content-type", "").startswith("text/plain")
        if status < 400 or not is_text or self.scope["path"] in _SERVES_OWN:
            return None
        if known := _OWN.get(status):
            return known, errors.http_status(known)
        if status < 500:  # such as a range that a static file does not have
            return errors.InvalidRequestError("the request cannot be answered"), status
        return errors.TwinsetError("something of ours broke"), status


def _taken(headers: list[tuple[bytes, bytes]]) -> tuple[list[tuple[bytes, bytes]], bytes]:
    """Return the headers that go on, with one usable request id among them, and that id."""
    given = [value for name, value in headers if name == b"x-request-id"]
    usable = len(given) == 1 and _REQUEST_ID.fullmatch(given[0])
    request_id = given[0] if usable else str(uuid.uuid4()).encode()
    dropped = {*_OVERRIDES, b"x-request-id"}
    kept = [(name, value) for name, value in headers if name.replace(b"_", b"-") not in dropped]
    return [*kept, (b"x-request-id", request_id)], request_id


def _replicas(app: Any, path: str) -> int | None:
    """Return how many replicas the proxy knows for a path; None where Ray does not tell.

    Ray has no public name for it: as in `ProxyActor._dump_ingress_replicas_for_testing` (2.60).
    """
    while hasattr(app, "_app"):
        app = app._app
    try:
        _, handle, _ = app.proxy_router.match_route(path)
        return len(handle._router._asyncio_router._request_router._replica_id_set)
    except (AttributeError, TypeError, ValueError):
        return None


def _refusal(scope: Scope) -> tuple[errors.TwinsetError, int] | None:
    """Refuse whoever does not take answers, and a head that is longer than uvicorn should take."""
    if scope.get(IS_OVER_SHARE, False):
        return _UNREAD, errors.http_status(_UNREAD)
    url_bytes = len(scope.get("raw_path") or b"") + len(scope.get("query_string", b""))
    if url_bytes > MAX_URL_BYTES:
        message = f"the address has over {MAX_URL_BYTES} bytes: send fields in the body"
        return errors.TooLargeError(message), 414
    if sum(len(name) + len(value) for name, value in scope["headers"]) > MAX_HEADERS_BYTES:
        message = f"the headers have over {MAX_HEADERS_BYTES} bytes: send fewer"
        return errors.TooLargeError(message), 431
    return None
