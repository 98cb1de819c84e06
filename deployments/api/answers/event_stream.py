"""Made sets as an event stream: each image as soon as it exists (WHATWG HTML, section 9.2).

An event has a name and one JSON object, which repeats the name as `type`; the last one says that
everything is made, or is an `error`, and there is exactly one of those.
"""

import asyncio
import json
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Mapping
from contextlib import aclosing
from typing import Any, NamedTuple

from fastapi.sse import KEEPALIVE_COMMENT, format_sse_event
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from deployments.admission.admission import Slot
from deployments.errors import TwinsetError
from deployments.jobs import Outcome, PairJob, SetEvent, Watcher
from models.roles import Role

EVENT_STREAM = "text/event-stream"
FIRST_IMAGE = "twinset.first_image"
"""Key of an ASGI scope: of a stream, whether an image is sent now, or was."""
_LOGGER = logging.getLogger("ray.serve")


class StreamEvent(NamedTuple):
    """One event; without a name it is a ping.

    Attributes:
        name: of the event.
        fields: of its JSON object.
        has_image: whether an image is in it.
    """

    name: str
    fields: Mapping[str, Any]
    has_image: bool = False


class EventDialect:
    """What is told of a job in the words of a client; nothing, until a dialect says more."""

    def first_events(self, job: PairJob) -> Iterator[StreamEvent]:
        """Tell what is known before anything is made."""
        return iter(())

    def events(self, job: PairJob, role: Role, event: SetEvent) -> Iterator[StreamEvent]:
        """Tell of a step of a set, or of its end."""
        return iter(())

    def last_events(self, job: PairJob, outcomes: Mapping[Role, Outcome]) -> Iterator[StreamEvent]:
        """Tell that everything is made."""
        return iter(())


class EventStreamResponse(StreamingResponse):
    """Sends events and gives the request's slot back at the end, however it comes."""

    media_type = EVENT_STREAM

    def __init__(self, events: AsyncGenerator[tuple[bytes, bool], None], slot: Slot) -> None:
        """Take encoded events, each with whether an image is in it, and a slot handed over."""
        # X-Accel-Buffering: a proxy in front must not collect what is meant to arrive at once.
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        self._events = events
        self._slot = slot
        self._scope: Scope = {}
        super().__init__(self._pieces(), headers=headers)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send them; when the caller leaves, the work stops."""
        self._scope = scope
        scope[FIRST_IMAGE] = False
        try:
            async with aclosing(self._events):
                await super().__call__(scope, receive, send)
        finally:
            self._slot.release()

    async def _pieces(self) -> AsyncGenerator[bytes, None]:
        async for piece, has_image in self._events:
            if has_image:
                self._scope[FIRST_IMAGE] = True
            yield piece


async def encoded(
    events: AsyncGenerator[StreamEvent, None], end: bytes = b""
) -> AsyncGenerator[tuple[bytes, bool], None]:
    """Encode events, each with whether an image is in it. `end` closes the stream."""
    async with aclosing(events):
        async for event in events:
            if not event.name:
                yield KEEPALIVE_COMMENT, False
                continue
            data = json.dumps({"type": event.name, **event.fields}, ensure_ascii=False)
            yield format_sse_event(event=event.name, data_str=data), event.has_image
    if end:
        yield end, False


async def told(
    job: PairJob,
    dialect: EventDialect,
    make: Callable[[Watcher], Awaitable[Mapping[Role, Outcome]]],
    ping_s: float,
    note: Callable[[object], None],
) -> AsyncGenerator[StreamEvent, None]:
    """Make the sets of a job and tell what happens; what fails ends in an `error` event.

    Closing the iterator cancels the work.

    Args:
        job: what is made.
        dialect: what is told of it.
        make: makes the sets, and tells a watcher of each step and each set.
        ping_s: seconds without an event after which a ping is sent.
        note: is given what ends a set, or all of it, in failure.
    """
    queue: asyncio.Queue[tuple[Role, SetEvent] | None] = asyncio.Queue()

    async def made() -> Mapping[Role, Outcome]:
        return await make(lambda role, event: queue.put_nowait((role, event)))

    making = asyncio.create_task(made())
    making.add_done_callback(lambda _: queue.put_nowait(None))
    try:
        for event in dialect.first_events(job):
            yield event
        for role, error in job.away.items():
            queue.put_nowait((role, error))
        while True:
            try:
                happened = await asyncio.wait_for(queue.get(), ping_s)
            except TimeoutError:
                yield StreamEvent("", {})
                continue
            if happened is None:
                break
            for event in dialect.events(job, *happened):
                yield event
        outcomes = making.result()
        for outcome in outcomes.values():
            note(outcome)
        for event in dialect.last_events(job, outcomes):
            yield event
    except TwinsetError as error:
        note(error)
        yield StreamEvent("error", error.envelope())
    except Exception:
        _LOGGER.exception("an event stream broke")
        yield StreamEvent("error", TwinsetError("something of ours broke").envelope())
    finally:
        making.cancel()
