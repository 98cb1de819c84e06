"""Answers that nobody takes do not stay.

uvicorn writes whatever it is given into a connection's buffer, and what a caller does not take
stays there for ever. Here an answer is handed to it in pieces, as they are taken, so that what is
left of all answers is known: it is bounded, it counts against its caller's share, and a connection
whose caller takes nothing for half a minute is closed. A caller who waits for an answer is none of
those: there is nothing yet to take.
"""

import asyncio
import hashlib
import logging
from collections import OrderedDict, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from deployments.api.middleware.caller_header import CALLER_HEADER, caller_id
from deployments.metrics import ProxyMetrics
from deployments.proxy.connections import Bounds, Connection, Connections
from deployments.proxy.uvicorn_connection import protocol_behind

IS_OVER_SHARE = "twinset.is_over_share"
"""In the scope of a request: whether its caller leaves too much of earlier answers untaken."""
_PIECE_BYTES = 65_536
# Between a replica and the proxy nothing holds an answer back: of three hundred requests for a file
# at once all files would lie in both, as fast as they are read from the disk.
_KEYLESS_GETS_AT_ONCE = 16
_SMALL = ("/-/", "/livez", "/readyz")  # their answers are; a probe must not wait behind files
_LOOK_S = 1.0
_MAX_KEY_BYTES = 512
_MAX_CALLERS = 10_000
_LOGGER = logging.getLogger("ray.serve")


class UnreadAnswers:
    """ASGI middleware, the outermost: it needs uvicorn's own `send`.

    Attributes:
        connections: all of the server's.
    """

    def __init__(self, app: ASGIApp, bounds: Bounds | None = None) -> None:
        """Take the proxy."""
        self._app = app
        self.connections = Connections(bounds or Bounds())
        self._keyless_gets = asyncio.Semaphore(_KEYLESS_GETS_AT_ONCE)
        self._callers = KnownCallers()
        self._watch: asyncio.Task[None] | None = None
        self._is_blind = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, and its answer as fast as it is taken."""
        connection = self._connection(send) if scope["type"] == "http" else None
        if connection is None:
            await self._app(scope, receive, send)
            return
        sent_id = _sent_caller_id(scope)
        caller = self._callers.confirmed(sent_id)
        connection.begin(caller)
        over_share = self.connections.is_over_share(caller)
        answer = _HeldAnswer(send, connection)

        async def hold(message: Message) -> None:
            if message["type"] == "http.response.start":
                connection.caller = self._callers.told(message, sent_id)
            answer.hold(message)
            self.connections.note(_body_bytes(message), connection.caller is not None)

        passing = asyncio.create_task(answer.pass_on())
        try:
            async with self._turn(scope, connection):
                if connection.is_closed:  # while it waited
                    return
                await self._app({**scope, IS_OVER_SHARE: over_share}, receive, hold)
            answer.end()
            await passing
        finally:
            passing.cancel()
            answer.drop()

    @asynccontextmanager
    async def _turn(self, scope: Scope, connection: Connection) -> AsyncIterator[None]:
        """Wait for a turn where a file is asked for without a key."""
        is_get = scope["method"] in ("GET", "HEAD") and not scope["path"].startswith(_SMALL)
        if connection.caller is not None or not is_get:
            yield
            return
        connection.is_queued = True
        async with self._keyless_gets:
            connection.is_queued = False
            connection.began()  # it did not stall while it waited
            yield

    def _connection(self, send: Send) -> Connection | None:
        try:
            protocol = protocol_behind(send)
        except AttributeError:
            if not self._is_blind:
                _LOGGER.error("this uvicorn is unknown: answers that nobody takes are kept")
            self._is_blind = True
            return None
        if self._watch is None:
            self._watch = asyncio.create_task(_watch(self.connections))
        return self.connections.of(protocol)


class KnownCallers:
    """Callers whose key the ingress has accepted: the last ten thousand."""

    def __init__(self) -> None:
        """Begin without any."""
        self._ids: OrderedDict[str, None] = OrderedDict()

    def confirmed(self, sent_id: str | None) -> str | None:
        """Return who sends a request, if the ingress has accepted that key before."""
        return sent_id if sent_id in self._ids else None

    def told(self, start: Message, sent_id: str | None) -> str | None:
        """Take out of an answer's head, and remember, whose the ingress says that it is.

        An answer of which it says nothing belongs to whoever was accepted with the same key before.
        """
        headers = MutableHeaders(scope=start)
        caller = headers.get(CALLER_HEADER)
        if caller is not None:
            del headers[CALLER_HEADER]
        if start["status"] == 401:  # an expired key, or one that is known no longer
            self._ids.pop(sent_id or "", None)
            return None
        if caller is not None:
            self._ids[caller] = None
            self._ids.move_to_end(caller)
            if len(self._ids) > _MAX_CALLERS:
                self._ids.popitem(last=False)
        return caller or self.confirmed(sent_id)


class _HeldAnswer:
    """What one answer has left, handed to uvicorn piece by piece."""

    def __init__(self, send: Send, connection: Connection) -> None:
        self._send = send
        self._connection = connection
        self._held: deque[Message] = deque()
        self._has_more = asyncio.Event()
        self._is_ended = False

    def hold(self, message: Message) -> None:
        """Take a message; none when nobody is left to take it."""
        if self._connection.is_closed:
            return
        self._held.append(message)
        self._connection.held_bytes += _body_bytes(message)
        self._has_more.set()

    def end(self) -> None:
        """Nothing more comes."""
        self._is_ended = True
        self._has_more.set()

    def drop(self) -> None:
        """Forget what is left."""
        if not self._connection.is_closed:
            self._connection.held_bytes -= sum(map(_body_bytes, self._held))
        self._held.clear()

    async def pass_on(self) -> None:
        """Hand everything to uvicorn, until the end."""
        while True:
            while self._held and not self._connection.is_closed:
                await self._hand_over(self._held[0])
                self.drop_first()
            if self._is_ended or self._connection.is_closed:
                return
            self._has_more.clear()
            await self._has_more.wait()

    def drop_first(self) -> None:
        """Forget a message that is handed over, or whose connection is closed."""
        if not self._connection.is_closed:
            self._connection.held_bytes -= _body_bytes(self._held.popleft())

    async def _hand_over(self, message: Message) -> None:
        body = message.get("body", b"")
        last = max(0, len(body) - 1) // _PIECE_BYTES * _PIECE_BYTES
        for start in range(0, last, _PIECE_BYTES):
            piece = body[start : start + _PIECE_BYTES]
            await self._send({"type": message["type"], "body": piece, "more_body": True})
            self._connection.gave(len(piece))
            if self._connection.is_closed:
                return
        await self._send({**message, "body": body[last:]} if last else message)
        self._connection.gave(len(body) - last)


async def _watch(connections: Connections) -> None:
    """Look at all connections each second, as long as the loop runs."""
    metrics = ProxyMetrics()
    while True:
        await asyncio.sleep(_LOOK_S)
        try:
            connections.look()
            _tell(connections, metrics)
        except Exception:  # a watch that ends would keep everything, unseen
            _LOGGER.exception("the watch over unread answers failed once")


def _tell(connections: Connections, metrics: ProxyMetrics) -> None:
    metrics.pending_bytes.set(connections.pending_bytes)
    metrics.connections.set(len(connections))
    for reason, number in connections.closed.items():
        metrics.closed.inc(number, tags={"reason": reason})
        _LOGGER.warning("connections closed: %d, reason %s", number, reason)
    connections.closed.clear()


def _body_bytes(message: Message) -> int:
    return len(message.get("body", b""))


def _sent_caller_id(scope: Scope) -> str | None:
    scheme, _, key = Headers(scope=scope).get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not 0 < len(key) <= _MAX_KEY_BYTES:
        return None
    return caller_id(hashlib.sha256(key.strip().encode()).hexdigest())
