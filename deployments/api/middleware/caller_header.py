"""Whose an answer is, told to Serve's proxy, which counts what its caller has not taken."""

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

CALLER_HEADER = "x-twinset-caller"
"""Of answers; the proxy takes it out."""


def caller_id(digest: str) -> str:
    """Return as much of a key's digest as tells callers apart."""
    return digest[:16]


class CallerHeader:
    """ASGI middleware: names the caller whose key was accepted; nobody where none was."""

    def __init__(self, app: ASGIApp) -> None:
        """Take the application."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on and the answer back, with the header."""
        state = scope.setdefault("state", {})  # the same that a request's `state` writes to

        async def send_named(message: Message) -> None:
            if message["type"] == "http.response.start":
                caller = state.get("caller")  # set by `authenticate`
                if caller is not None:
                    MutableHeaders(scope=message)[CALLER_HEADER] = caller_id(caller)
            await send(message)

        await self._app(scope, receive, send_named)
