"""Answers that nobody takes, behind a real uvicorn with each of its HTTP implementations."""

import asyncio
import hashlib
import logging
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
import uvicorn

from deployments.api.middleware.caller_header import CALLER_HEADER, caller_id
from deployments.proxy.connections import Bounds
from deployments.proxy.middleware import ProxyAnswers
from deployments.proxy.unread_answers import UnreadAnswers
from tests.support.unread import Reader

BIG_BYTES = 6_000_000
BOUNDS = Bounds(unread_s=2.0, head_s=2.0)
SETTLED_S = 2.5  # until two looks have seen that nothing more is taken
ANSWER = bytes(range(256)) * (BIG_BYTES // 256)

_under_way: list[int] = []  # requests for /slow, after each change


async def _application(scope: Any, receive: Any, send: Any) -> None:
    """Answer /big with 6 MB, /big-later after 1 s, /slow after 4 s, /events by ten pings."""
    if scope["path"] == "/slow":
        _under_way.append(1 + (_under_way[-1] if _under_way else 0))
        await asyncio.sleep(4)
        _under_way.append(_under_way[-1] - 1)
    if scope["path"] == "/big-later":
        await asyncio.sleep(1)
    headers = [(b"content-type", b"application/octet-stream")]
    for name, value in scope["headers"]:
        if name == b"authorization":  # the ingress knows every key but one
            digest = hashlib.sha256(value.removeprefix(b"Bearer ")).hexdigest()
            headers.append((CALLER_HEADER.encode(), caller_id(digest).encode()))
    if scope["path"] == "/events":
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        for number in range(10):
            body = b": ping\n\n" if number < 9 else b"data: end\n\n"
            await send({"type": "http.response.body", "body": body, "more_body": number < 9})
            await asyncio.sleep(0.5)
        return
    body = ANSWER if scope["path"].startswith("/big") else b"ok"
    headers.append((b"content-length", str(len(body)).encode()))
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


@dataclass
class Server:
    """The middleware behind uvicorn, and those who ask it."""

    port: int
    middleware: UnreadAnswers
    readers: list[Reader] = field(default_factory=list)

    @property
    def pending_bytes(self) -> int:
        return self.middleware.connections.pending_bytes

    def reader(self, path: str | None = None, key: str | None = None, **options: int) -> Reader:
        one = Reader(self.port, **options)
        self.readers.append(one)
        if path is not None:
            one.ask(path, key)
        return one


@contextmanager
def serving(
    bounds: Bounds = BOUNDS, http: Any = "httptools", loop: Any = "uvloop"
) -> Iterator[Any]:
    middleware = UnreadAnswers(ProxyAnswers(_application), bounds)
    app: Any = middleware
    with closing(socket.socket()) as listener:
        listener.bind(("127.0.0.1", 0))
        config = uvicorn.Config(
            app, log_level="warning", lifespan="off", http=http, loop=loop, access_log=False
        )
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
        thread.start()
        _until(lambda: server.started, 10)
        made = Server(listener.getsockname()[1], middleware)
        try:
            yield made
        finally:
            for one in made.readers:
                one.close()
            server.should_exit = server.force_exit = True
            thread.join(timeout=10)
            assert not thread.is_alive()


@pytest.fixture(params=[("httptools", "uvloop"), ("h11", "asyncio")], ids="-".join)
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    http, loop = request.param
    with serving(http=http, loop=loop) as one:
        yield one


def _until(condition: Any, timeout_s: float) -> float:
    started = time.monotonic()
    while time.monotonic() - started < timeout_s:
        if condition():
            return time.monotonic() - started
        time.sleep(0.05)
    raise AssertionError(f"not within {timeout_s} s")


def test_an_answer_that_nobody_takes_is_given_up(server: Server) -> None:
    unread = server.reader("/big")
    _until(lambda: server.pending_bytes > BIG_BYTES * 0.9, 3)
    took_s = _until(unread.is_closed, 6)
    assert took_s > BOUNDS.unread_s * 0.9
    _until(lambda: server.pending_bytes == 0, 2)


def test_the_last_part_of_an_answer_that_is_left_is_given_up_too(server: Server) -> None:
    unread = server.reader("/big")
    taken = 0
    while taken < BIG_BYTES - 20_000:
        taken += len(unread.take())
    _until(unread.is_closed, 6)


@pytest.mark.slow
def test_whoever_takes_a_little_all_the_time_gets_the_whole_answer(server: Server) -> None:
    slow = server.reader(receive_buffer_bytes=65_536)
    slow.ask("/big")
    started = time.monotonic()
    body = slow.take_all(pause_s=0.07, piece_bytes=65_536)
    assert time.monotonic() - started > 2 * BOUNDS.unread_s
    assert body == ANSWER
    assert CALLER_HEADER.encode() not in slow.head


def test_whoever_waits_for_an_answer_or_for_events_is_left_alone(server: Server) -> None:
    waiting, events = server.reader("/slow"), server.reader("/events")
    assert waiting.take_all() == b"ok"
    received = b""
    while b"data: end" not in received and (more := events.take()):
        received += more
    assert received.count(b": ping") == 9
    assert b"data: end" in received


def test_a_head_that_never_ends_is_hung_up_on(server: Server) -> None:
    server.reader("/").take_all()  # the watch begins with the first request
    silent, begun, again = server.reader(), server.reader(), server.reader("/")
    begun.socket.sendall(b"GET / HTTP/1.1\r\nHost: twin")
    again.take_all()
    again.socket.sendall(b"GET / HTTP/1.1\r\nHost: twin")
    kept = server.reader("/")
    kept.take_all()
    for _ in range(3):
        time.sleep(0.6)
        begun.socket.sendall(b"s")
    _until(lambda: silent.is_closed() and begun.is_closed() and again.is_closed(), 5)
    kept.ask("/")  # between two requests it is uvicorn that waits, for longer
    assert kept.take_all() == b"ok"


def test_the_kernel_holds_little_of_an_answer() -> None:
    with serving(Bounds(unread_s=30.0)) as server:
        unread = server.reader("/big")
        _until(lambda: server.pending_bytes > 0, 3)
        time.sleep(1.5)
        (connection,) = server.middleware.connections._by_protocol.values()
        assert connection.pending_bytes - connection.held_bytes < 500_000
        assert not unread.is_closed()


def test_a_caller_over_its_share_is_refused_and_others_are_not(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with serving(Bounds(keyed_bytes=BIG_BYTES * 9 // 5)) as server:
        server.reader("/", "greedy").take_all()
        server.reader("/big", "greedy")
        _until(lambda: server.pending_bytes > BIG_BYTES * 0.9, 3)
        with caplog.at_level(logging.WARNING, "ray.serve"):
            refused = server.reader("/", "greedy")
            assert b"key_limit_exceeded" in refused.take_all()
        assert b"429" in refused.head
        assert b"retry-after: 5" in refused.head
        assert "refused, reason unread_answers" in caplog.text
        for key in ("modest", "modest", None):
            assert server.reader("/", key).take_all() == b"ok"
        assert server.reader("/big", "modest").take_all() == ANSWER


def test_unread_answers_without_a_key_take_only_their_own_room() -> None:
    bounds = Bounds(unread_s=60.0, keyless_bytes=3 * BIG_BYTES, keyed_bytes=100 * BIG_BYTES)
    with serving(bounds) as server:
        keyed = [server.reader("/big", "key") for _ in range(2)]
        time.sleep(SETTLED_S)
        unread = [server.reader("/big") for _ in range(12)]
        most = 0

        def are_closed() -> bool:
            nonlocal most
            most = max(most, server.pending_bytes)
            return sum(one.is_closed() for one in unread) >= 9

        _until(are_closed, 10)
        assert most < 8.5 * BIG_BYTES  # two of them with a key
        assert unread[0].is_closed()  # the one that waits longest goes first
        assert server.reader("/big").take_all() == ANSWER
        assert [one.take_all() for one in keyed] == [ANSWER] * 2


def test_answers_that_come_at_once_and_are_taken_are_whole() -> None:
    with serving(Bounds(keyless_bytes=2 * BIG_BYTES)) as server:
        readers = [server.reader("/big-later") for _ in range(4)]
        _until(lambda: server.pending_bytes > 2.5 * BIG_BYTES, 5)
        assert [one.take_all() for one in readers] == [ANSWER] * 4


def test_the_answers_of_one_key_cannot_push_out_those_of_another() -> None:
    bounds = Bounds(unread_s=60.0, keyed_bytes=5 * BIG_BYTES)
    with serving(bounds) as server:
        modest = server.reader("/big", "modest")
        time.sleep(SETTLED_S)
        # Asked at once: none of them is over its share when it comes.
        greedy = [server.reader("/big-later", "greedy") for _ in range(8)]
        _until(lambda: sum(one.is_closed() for one in greedy) >= 4, 8)
        assert server.pending_bytes < 6 * BIG_BYTES
        assert modest.take_all() == ANSWER


def test_connections_without_a_key_cannot_take_the_place_of_others() -> None:
    with serving(Bounds(keyless_connections=10)) as server:
        keyed = server.reader("/", "key")
        assert keyed.take_all() == b"ok"
        waiting = server.reader("/slow")
        idle = [server.reader("/") for _ in range(30)]
        _until(lambda: sum(one.is_closed() for one in idle) >= 20, 5)
        assert len([one for one in idle if not one.is_closed()]) >= 8
        keyed.ask("/", "key")
        assert keyed.take_all() == b"ok"
        assert waiting.take_all() == b"ok"


def test_files_are_fetched_a_few_at_a_time_without_a_key_and_nobody_else_waits() -> None:
    _under_way.clear()
    with serving() as server:
        server.reader("/", "key").take_all()
        many = [server.reader("/slow") for _ in range(40)]
        _until(lambda: len(_under_way) >= 16, 3)
        started = time.monotonic()
        assert server.reader("/", "key").take_all() == b"ok"
        posted = server.reader()
        posted.ask("/", body=b"x")
        assert posted.take_all() == b"ok"
        assert time.monotonic() - started < 2
        assert [one.take_all() for one in many] == [b"ok"] * 40
    assert max(_under_way) == 16


def test_behind_a_server_with_other_names_answers_pass_and_it_is_logged_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def ask_twice() -> None:
        middleware = UnreadAnswers(_application)
        scope = {"type": "http", "path": "/big", "headers": []}
        for _ in range(2):
            await middleware(scope, lambda: asyncio.sleep(60), send)

    with caplog.at_level(logging.ERROR, "ray.serve"):
        asyncio.run(ask_twice())
    assert [message["type"] for message in sent] == [
        "http.response.start",
        "http.response.body",
    ] * 2
    assert len(caplog.records) == 1
