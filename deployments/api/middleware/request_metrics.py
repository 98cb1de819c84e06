"""Requests counted and timed by route and status, and by the API key that they were sent with.

A request with a known key leaves a line: `grep 'key alice,'` tells what alice's key was used for.
"""

import logging
import time

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from deployments.api.answers.event_stream import FIRST_IMAGE
from deployments.api.dialects import IMAGE_TAGS
from deployments.metrics import IngressMetrics

CALLER_LEFT = 499
"""What nginx, and Serve's own metrics, call an answer that nobody waited for."""
_LOGGER = logging.getLogger("ray.serve")


class RequestMetrics:
    """ASGI middleware: counts and times answers; paths that are no routes count as one."""

    def __init__(self, app: ASGIApp, metrics: IngressMetrics) -> None:
        """Take the application and its metrics."""
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on and count its answer when it has ended."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        answer = _AnswerTimer(scope, self._metrics)

        async def send_watched(message: Message) -> None:
            await send(message)
            answer.sent(message)

        try:
            await self._app(scope, receive, send_watched)
        except Exception:
            answer.broke()
            raise
        finally:
            answer.count()


class _AnswerTimer:
    """What is known of one answer while it is sent."""

    def __init__(self, scope: Scope, metrics: IngressMetrics) -> None:
        """Start the clock."""
        self._scope = scope
        self._metrics = metrics
        self._started = time.monotonic()
        self._status = CALLER_LEFT
        self._has_images = False
        self._end = CALLER_LEFT  # until the last piece is sent

    def sent(self, message: Message) -> None:
        """Note a message that has gone out."""
        if message["type"] == "http.response.start":
            self._status = message["status"]
            self._has_images = self._status == 200 and self._is_for_images()
        elif message["type"] == "http.response.body":
            # A stream says when it sends an image; any other answer holds them from the start.
            if self._has_images and self._scope.get(FIRST_IMAGE, True):
                self._has_images = False  # of the others nothing is told
                self._metrics.first_image_ms.observe(self._taken_ms(), tags=self._tags())
            if not message.get("more_body", False):
                self._end = self._status

    def broke(self) -> None:
        """Note that no handler took an exception."""
        self._end = 500

    def count(self) -> None:
        """Count the answer as it ended."""
        tags = {**self._tags(), "status": str(self._end)}
        self._metrics.requests.inc(tags=tags)
        self._metrics.request_ms.observe(self._taken_ms(), tags=tags)
        # Set by `authenticate`; not of routes that ask for no key, nor of a key that is not known.
        if (name := self._scope.get("state", {}).get("key_name")) is not None:
            self._note_key(name)

    def _note_key(self, name: str) -> None:
        self._metrics.key_requests.inc(tags={"key": name, "status": str(self._end)})
        _LOGGER.info(
            "key %s, %s %s %s, request_id %s",
            name,
            self._scope["method"],
            self._route(),
            self._end,
            Headers(scope=self._scope).get("x-request-id", "none"),
        )

    def _is_for_images(self) -> bool:
        return bool(IMAGE_TAGS & {*getattr(self._scope.get("route"), "tags", ())})

    def _taken_ms(self) -> float:
        return (time.monotonic() - self._started) * 1000

    def _route(self) -> str:
        return getattr(self._scope.get("route"), "path", "none")

    def _tags(self) -> dict[str, str]:
        return {"route": self._route()}
