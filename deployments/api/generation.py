"""The one way of a request for images, whatever dialect it speaks and whatever it wants back.

Accept header, a slot among the requests under way, the body, the models' own limits, the picture,
the sets, the answer. A stream of events differs in its last step alone.
"""

import asyncio
from collections.abc import Mapping, Sequence
from typing import ClassVar

from starlette.requests import Request
from starlette.responses import Response

from deployments.admission.admission import Slot
from deployments.api.accept import negotiate
from deployments.api.answers.event_stream import (
    EventDialect,
    EventStreamResponse,
    encoded,
    told,
)
from deployments.api.refusals import Refusals
from deployments.api.service import ImageRequest, Service
from deployments.errors import ModelFailedError
from deployments.jobs import MadeSet, Outcome, PairJob
from models.interfaces import ModelInfo
from models.roles import Role

Outcomes = Mapping[Role, Outcome]


class Dialect(EventDialect):
    """How a client asks and what it expects: read, checked, answered. One object a request.

    Attributes:
        media_types: that its answers can have, the usual one first.
        media_type: the one that this request's caller wants.
        end_of_stream: bytes after the last event.
    """

    media_types: ClassVar[Sequence[str]] = ("application/json",)
    end_of_stream: ClassVar[bytes] = b""
    media_type: str

    async def read(self, request: Request, service: Service) -> ImageRequest:
        """Return the request in our own terms.

        Raises:
            TwinsetError: it cannot be served.
        """
        raise NotImplementedError

    def check(self, models: Mapping[Role, ModelInfo]) -> None:
        """Refuse what the served models cannot do.

        Raises:
            InvalidRequestError: such as a size that is not the model's own.
        """

    def answer(self, job: PairJob, outcomes: Outcomes) -> Response:
        """Return the answer; called in a thread.

        Raises:
            TwinsetError: there is nothing to return.
        """
        raise NotImplementedError

    @property
    def is_streamed(self) -> bool:
        """Whether the caller wants events; known once the request is read."""
        return False


async def generate(request: Request, service: Service, dialect: Dialect) -> Response:
    """Serve one request for images.

    Raises:
        TwinsetError: it is turned away, cannot be served, or something failed.
    """
    dialect.media_type = negotiate(request, dialect.media_types)
    refusals: Refusals = request.app.state.refusals
    with service.admit(request) as slot:
        job = await prepared(request, service, dialect, slot)
        if dialect.is_streamed:
            events = told(
                job,
                dialect,
                lambda watch: service.make(job, watch),
                service.event_ping_s,
                lambda error: refusals.note(error, request),
            )
            return EventStreamResponse(encoded(events, dialect.end_of_stream), slot.hand_over())
        outcomes = await service.make(job)
        for outcome in outcomes.values():
            refusals.note(outcome, request)
        return await asyncio.to_thread(dialect.answer, job, outcomes)


async def prepared(request: Request, service: Service, dialect: Dialect, slot: Slot) -> PairJob:
    """Read a request and return what to make; the picture's file does not stay in memory.

    Raises:
        TwinsetError: it cannot be served.
    """
    asked = await dialect.read(request, service)
    served = await service.served(asked, slot)
    dialect.check(served.models)
    return await service.job(asked, served, slot)


def only_set(outcomes: Outcomes) -> MadeSet:
    """Return the set of a job that asked for one.

    Raises:
        ModelFailedError: it could not be made.
    """
    (outcome,) = outcomes.values()
    if not isinstance(outcome, MadeSet):
        raise ModelFailedError("the set could not be made")
    return outcome
