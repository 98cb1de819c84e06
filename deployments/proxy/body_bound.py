"""How much of a request's body Serve's proxy reads ahead of the ingress.

Serve's proxy, and its half in the ingress replica, read a body as fast as it comes, whether anybody
takes it or not, until the request is answered: an endless upload at full speed would put hundreds
of megabytes into both before the ingress has said that it is too large.
"""

import asyncio

from starlette.types import ASGIApp, Message, Receive, Scope, Send

MAX_BODY_BYTES = 32_000_000
"""More than the ingress takes of any body (a picture of 20 MB, in base64, with its fields), so that
it is the ingress that refuses; `limits.max_bytes` beyond 23 MB needs more here."""


class BodyBound:
    """ASGI middleware: what stands behind the bound stays in the caller's socket."""

    def __init__(self, app: ASGIApp) -> None:
        """Take the proxy."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, and of its body no more than the bound and one message."""
        passed_bytes = 0

        async def bounded() -> Message:
            nonlocal passed_bytes
            if passed_bytes > MAX_BODY_BYTES:
                await asyncio.Event().wait()  # for ever: the answer ends the request, and this
            message = await receive()
            passed_bytes += len(message.get("body", b""))
            return message

        await self._app(scope, bounded if scope["type"] == "http" else receive, send)
