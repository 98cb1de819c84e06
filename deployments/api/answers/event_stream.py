"""A paired request as an event stream: each image as soon as it exists (WHATWG HTML, section 9.2).

An event has a name and one JSON object, which repeats the name as `type`; the last one is
`completed` or `error`, and there is exactly one of those.
"""

import asyncio
import json
import logging
import time
import uuid
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import aclosing
from typing import Any

from fastapi.sse import KEEPALIVE_COMMENT, format_sse_event
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from deployments.admission.admission import Slot
from deployments.api.answers.json import image_answer, input_answer, resolved, set_answer
from deployments.dispatch.pairing import Outcome, Pairing, PairJob, SetEvent
from deployments.errors import TwinsetError
from deployments.jobs import StepDone
from models.interfaces import Role

EVENT_STREAM = "text/event-stream"
_LOGGER = logging.getLogger("ray.serve")

Event = tuple[str, dict[str, Any]]
Dialect = Callable[[PairJob, Role, SetEvent], Iterator[Event]]
"""What a happening looks like in a dialect: the name and the fields of each event."""
Outcomes = dict[Role, Outcome]


class EventStreamResponse(StreamingResponse):
    """Sends events and gives the request's place back at the end, however it comes."""

    media_type = EVENT_STREAM

    def __init__(self, events: AsyncGenerator[bytes, None], place: Slot) -> None:
        """Take the encoded events and a place that was handed over."""
        # X-Accel-Buffering: a proxy in front must not collect what is meant to arrive at once.
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        self._events = events
        self._place = place
        super().__init__(self._events, headers=headers)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send them; when the caller leaves, the work stops."""
        try:
            async with aclosing(self._events):
                await super().__call__(scope, receive, send)
        finally:
            self._place.release()


async def encoded(
    events: AsyncGenerator[Event, None], end: bytes = b""
) -> AsyncGenerator[bytes, None]:
    """Encode events; those without a name are pings. `end` closes the stream."""
    async with aclosing(events):
        async for name, fields in events:
            if not name:
                yield KEEPALIVE_COMMENT
                continue
            data = json.dumps({"type": name, **fields}, ensure_ascii=False)
            yield format_sse_event(event=name, data_str=data)
    if end:
        yield end


async def happenings(
    pairing: Pairing,
    job: PairJob,
    dialect: Dialect,
    completed: Callable[[Outcomes], Iterator[Event]],
    ping_s: float,
) -> AsyncGenerator[Event, None]:
    """Make the sets of a job and tell what happens; what fails ends in an `error` event.

    Closing the iterator cancels the work.
    """
    queue: asyncio.Queue[tuple[Role, SetEvent] | None] = asyncio.Queue()
    making = asyncio.create_task(
        pairing.make(job, lambda role, happening: queue.put_nowait((role, happening)))
    )
    making.add_done_callback(lambda _: queue.put_nowait(None))
    try:
        for role, error in job.away.items():
            queue.put_nowait((role, error))
        while True:
            try:
                happening = await asyncio.wait_for(queue.get(), ping_s)
            except TimeoutError:
                yield "", {}
                continue
            if happening is None:
                break
            for event in dialect(job, *happening):
                yield event
        for event in completed(making.result()):
            yield event
    except TwinsetError as error:
        yield "error", dict(error.envelope())
    except Exception:
        _LOGGER.exception("an event stream broke")
        yield "error", dict(TwinsetError("something of ours broke").envelope())
    finally:
        making.cancel()


async def pair_events(pairing: Pairing, job: PairJob, ping_s: float) -> AsyncGenerator[Event, None]:
    """Tell of a paired request in our own words: started, image, progress, set, completed."""
    identity = str(uuid.uuid4())
    models = {
        role: {"model": info.id, "revision": info.revision, "simulated": info.simulated}
        for role, info in job.models.items()
    }
    yield (
        "started",
        {
            "id": identity,
            "created": int(time.time()),
            "parameters": resolved(job),
            "input": input_answer(job).model_dump(),
            "models": models,
        },
    )

    def completed(outcomes: Outcomes) -> Iterator[Event]:
        sets = {role: _set(job, role, outcome) for role, outcome in outcomes.items()}
        yield "completed", {"id": identity, "sets": sets}

    async with aclosing(happenings(pairing, job, _pair_dialect, completed, ping_s)) as events:
        async for event in events:
            yield event


def _pair_dialect(job: PairJob, role: Role, happening: SetEvent) -> Iterator[Event]:
    if isinstance(happening, StepDone):
        yield "progress", {"role": role, "step": happening.step, "total": happening.total}
        return
    for index, seed in enumerate(job.seeds):
        image = image_answer(job, happening, index).model_dump()
        yield "image", {"role": role, "index": index, "seed": seed, **image}
    yield "set", {"role": role, **_set(job, role, happening)}


def _set(job: PairJob, role: Role, outcome: Outcome) -> dict[str, Any]:
    return set_answer(job.models.get(role), outcome).model_dump(exclude_unset=True)
