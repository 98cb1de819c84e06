"""One call to a model deployment: within its deadline, tried again when its replica dies."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any

from ray.exceptions import ActorDiedError, ActorUnavailableError, RayError, RayTaskError
from ray.serve.exceptions import BackPressureError, RayServeException
from ray.serve.handle import DeploymentHandle

from deployments.errors import (
    DeadlineExceededError,
    ModelFailedError,
    ModelUnavailableError,
    OverloadedError,
    TwinsetError,
)
from deployments.jobs import Deadline, SetJob, SetResult, StepDone
from deployments.metrics import IngressMetrics
from models.roles import Role

_REPLICA_LOST = (ActorDiedError, ActorUnavailableError)
_RETRY_AFTER_S = 5


@dataclass(frozen=True)
class ModelClient:
    """Calls one model's replicas through its handle and turns what goes wrong into our errors.

    Serve itself tries again only until a replica has accepted a request. Seeded generation is
    idempotent, so a set whose replica dies later is made again with the same seeds.

    Attributes:
        role: of the model, for messages.
        handle: Serve's handle of its deployment.
        max_attempts: tries in all.
        metrics: counts the retries.
    """

    role: Role
    handle: DeploymentHandle
    max_attempts: int
    metrics: IngressMetrics

    async def call(self, method: str, *arguments: object, budget_s: float) -> Any:
        """Await `method(*arguments)` on a replica for at most `budget_s` seconds.

        Raises:
            DeadlineExceededError: no answer in time; the work is cancelled.
            OverloadedError: the deployment's queue is full.
            ModelUnavailableError: no replica could answer.
            ModelFailedError: the model raised.
        """
        return await self._within(
            budget_s, lambda: _answer(getattr(self.handle, method).remote(*arguments))
        )

    async def generate(
        self, job: SetJob, deadline: Deadline, watch: Callable[[StepDone], None] | None
    ) -> SetResult:
        """Await a set; `watch` is told of each step, again from 1 when the set is made again.

        Args:
            job: each try gets it with the budget that is left by then.
            deadline: of the request.
            watch: told of each step, or None.

        Raises:
            TwinsetError: as `call`.
        """
        streaming = self.handle.options(stream=True)

        def left() -> SetJob:
            return replace(job, budget_s=deadline.left_s())

        def send() -> _SentCall:
            if watch is None:  # one message each way, instead of one a step
                return _answer(self.handle.generate.remote(left()))
            return _last(streaming.generate_watched.remote(left()), watch)

        result: SetResult = await self._within(deadline.left_s(), send)
        return result

    async def _within(self, budget_s: float, send: "Callable[[], _SentCall]") -> Any:
        try:
            async with asyncio.timeout(budget_s):
                return await self._try(send)
        except TimeoutError:
            raise DeadlineExceededError(
                f"the {self.role} set was not ready after {budget_s:.1f} s: ask for fewer images "
                "or steps, or allow more time"
            ) from None

    async def _try(self, send: "Callable[[], _SentCall]") -> Any:
        for attempt in range(1, self.max_attempts + 1):
            try:
                return await self._once(send())
            except _REPLICA_LOST:
                if attempt < self.max_attempts:
                    self.metrics.retries.inc(tags={"role": self.role})
        raise ModelUnavailableError(
            f"the {self.role} model lost its replica {self.max_attempts} times: try again later",
            retry_after_s=_RETRY_AFTER_S,
        )

    async def _once(self, sent: "_SentCall") -> Any:
        try:
            return await sent.answer
        except asyncio.CancelledError as error:
            if not _is_cancelled():  # the replica gave up, nobody here did
                raise self._away() from error
            # Cancelling the await does not cancel the work; this does.
            sent.response.cancel()
            raise
        except BackPressureError as error:
            raise OverloadedError(
                f"the queue of the {self.role} model is full: try again later",
                retry_after_s=_RETRY_AFTER_S,
                reason="model_queue",
            ) from error
        except _REPLICA_LOST:
            raise
        except RayTaskError as error:
            if isinstance(error.cause, TwinsetError):
                raise error.cause from None
            raise ModelFailedError(f"the {self.role} model failed") from error
        except (RayError, RayServeException) as error:
            raise self._away() from error

    def _away(self) -> ModelUnavailableError:
        return ModelUnavailableError(
            f"the {self.role} model is away: try again later", retry_after_s=_RETRY_AFTER_S
        )


@dataclass(frozen=True)
class _SentCall:
    """A call that was sent: Serve's response, which can be cancelled, and what to await of it."""

    response: Any
    answer: Awaitable[Any]


def _answer(response: Any) -> _SentCall:
    return _SentCall(response, response)


def _last(responses: Any, watch: Callable[[StepDone], None]) -> _SentCall:
    async def take() -> SetResult:
        async for item in responses:
            if isinstance(item, SetResult):
                return item
            watch(item)
        raise ActorUnavailableError("the stream ended before its result", None)

    return _SentCall(responses, take())


def _is_cancelled() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
