"""Work ends with the caller who asked for it, also when the HTTP proxy died under both."""

import asyncio

from starlette.types import ASGIApp, Message, Receive, Scope, Send


class CancelOnDisconnect:
    """ASGI middleware: cancels a request whose caller is gone.

    Serve's proxy cancels the work of callers who leave; a proxy that is killed cancels nothing, and
    the replicas would work on for connections that broke. What tells of it is the channel that the
    body came through: after the body it says only that the caller left, or that it broke.
    """

    def __init__(self, app: ASGIApp) -> None:
        """Take the application."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on; what runs for it is cancelled when its caller is gone."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        call = _Connection(receive, send)

        async def answer() -> None:
            await self._app(scope, call.receive, call.send)

        call.work = asyncio.create_task(answer())
        try:
            await call.work  # cancelling this cancels the work, too
        except asyncio.CancelledError:
            if not call.is_gone:
                raise
        finally:
            call.end()


class _Connection:
    """The two channels of one request; once the body is there, one is watched for its end."""

    def __init__(self, receive: Receive, send: Send) -> None:
        self.work: asyncio.Task[None] | None = None
        self.is_gone = False
        self._receive = receive
        self._send = send
        self._is_answered = False
        self._watch: asyncio.Task[Message] | None = None

    async def receive(self) -> Message:
        """Return the next piece of the body; after it, wait until the caller is gone."""
        if self._watch is not None:
            return await asyncio.shield(self._watch)
        message = await self._receive()
        if message["type"] == "http.request" and not message.get("more_body", False):
            self._watch = asyncio.create_task(self._until_gone())
            self._watch.add_done_callback(lambda _: self._gone())
        return message

    async def send(self, message: Message) -> None:
        """Pass a message on; after the last one nothing is left to cancel."""
        ends = message["type"] == "http.response.body" and not message.get("more_body", False)
        self._is_answered = self._is_answered or ends
        await self._send(message)

    def end(self) -> None:
        """Watch no longer."""
        if self._watch is not None:
            self._watch.cancel()

    async def _until_gone(self) -> Message:
        try:
            return await self._receive()
        except Exception:  # the proxy died: Ray's error, whatever its type
            return {"type": "http.disconnect"}

    def _gone(self) -> None:
        if self.work is not None and not self.work.done() and not self._is_answered:
            self.is_gone = True
            self.work.cancel()
