"""What makes one paired set out of two handles: admission, both calls at once, set metrics."""

import asyncio
import math
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from deployments.calls import ModelCalls
from deployments.errors import (
    DeadlineExceededError,
    ModelUnavailableError,
    OverloadedError,
    TwinsetError,
)
from deployments.metrics import IngressMetrics
from deployments.sets import Parameters, SetJob, SetResult
from models.interfaces import ModelInfo, Role
from models.pixels import OutputFormat, SquarePicture
from models.set_metrics import SetMetrics, descriptor, measure

DESCRIBE_TIMEOUT_S = 5.0
DESCRIPTION_AGE_S = 10.0


@dataclass(frozen=True)
class PairJob:
    """One paired request, resolved.

    Attributes:
        picture: the input, decoded once.
        seeds: one a pair.
        parameters: by role; a role that is absent is not asked for.
        output_format: of the encoded images.
        deadline: on the clock of `time.monotonic()`, seconds.
        allow_partial: a failed set is reported beside the other instead of failing both.
    """

    picture: SquarePicture
    seeds: Sequence[int]
    parameters: Mapping[Role, Parameters]
    output_format: OutputFormat
    deadline: float
    allow_partial: bool


@dataclass(frozen=True)
class MadeSet:
    """A set with its metrics."""

    result: SetResult
    metrics: SetMetrics


Outcome = MadeSet | TwinsetError


class Admission:
    """Lets a bounded number of requests in; the others are told at once when to come back."""

    def __init__(self, limit: int, metrics: IngressMetrics) -> None:
        """Take the number of requests that may be under way."""
        self._limit = limit
        self._metrics = metrics
        self._under_way = 0
        self._typical_s = 1.0

    @asynccontextmanager
    async def admit(self) -> AsyncIterator[None]:
        """Hold one place.

        Raises:
            OverloadedError: all places are taken.
        """
        if self._under_way >= self._limit:
            raise OverloadedError(
                f"{self._limit} requests are under way, as many as allowed: try again later",
                retry_after_s=max(1, math.ceil(self._typical_s)),
            )
        self._move(+1)
        started = time.monotonic()
        try:
            yield
            # Only those that came to their end tell how long one takes.
            taken_s = time.monotonic() - started
            self._typical_s += 0.1 * (taken_s - self._typical_s)
        finally:
            self._move(-1)

    def _move(self, change: int) -> None:
        self._under_way += change
        self._metrics.admitted.set(self._under_way)


class Pairing:
    """Makes paired sets with the models behind two handles."""

    def __init__(self, calls: Mapping[Role, ModelCalls]) -> None:
        """Take the calls to each role's deployment."""
        self._calls = calls
        self._described: dict[Role, tuple[float, ModelInfo]] = {}
        self._asking: dict[Role, asyncio.Task[ModelInfo]] = {}

    async def describe(self, role: Role) -> ModelInfo:
        """Return what a model said of itself.

        A question waits for a place among the model's requests, so once there is an answer nobody
        waits for the next one: an old answer is given while one question is under way.

        Raises:
            TwinsetError: the model has never answered, and does not now.
        """
        seen = self._described.get(role)
        if seen is not None and time.monotonic() - seen[0] < DESCRIPTION_AGE_S:
            return seen[1]
        question = self._asking.get(role)
        if question is None:
            question = self._asking[role] = asyncio.create_task(self._ask(role))
            question.add_done_callback(lambda task: self._answered(role, task))
        return seen[1] if seen is not None else await asyncio.shield(question)

    async def describe_all(
        self, roles: Sequence[Role], allow_partial: bool
    ) -> tuple[dict[Role, ModelInfo], dict[Role, TwinsetError]]:
        """Return what the models said of themselves, and the failures of those that are away.

        Raises:
            TwinsetError: a model is away and `allow_partial` is off, or all are away.
        """
        questions = (self.describe(role) for role in roles)
        answers = await asyncio.gather(*questions, return_exceptions=True)
        infos: dict[Role, ModelInfo] = {}
        away: dict[Role, TwinsetError] = {}
        for role, answer in zip(roles, answers, strict=True):
            if isinstance(answer, ModelInfo):
                infos[role] = answer
            elif isinstance(answer, TwinsetError):
                away[role] = answer
            else:
                raise answer
        if away and not (allow_partial and infos):
            raise next(iter(away.values()))
        return infos, away

    def _answered(self, role: Role, question: "asyncio.Task[ModelInfo]") -> None:
        del self._asking[role]
        if not question.cancelled() and question.exception() is None:
            self._described[role] = (time.monotonic(), question.result())

    async def _ask(self, role: Role) -> ModelInfo:
        try:
            info: ModelInfo = await self._calls[role].call("describe", budget_s=DESCRIBE_TIMEOUT_S)
        except DeadlineExceededError:
            raise ModelUnavailableError(
                f"the {role} model does not answer yet: try again later",
                retry_after_s=math.ceil(DESCRIBE_TIMEOUT_S),
            ) from None
        return info

    async def make(self, job: PairJob) -> dict[Role, Outcome]:
        """Make the sets asked for, all at the same time.

        Raises:
            TwinsetError: a set failed and `allow_partial` is off (the other one is cancelled),
                or all failed.
        """
        tasks = {role: asyncio.create_task(self._make_set(role, job)) for role in job.parameters}
        waiting = asyncio.gather(*tasks.values(), return_exceptions=job.allow_partial)
        try:
            outcomes = await waiting
        finally:
            for task in tasks.values():
                task.cancel()
        made = {role: _expected(one) for role, one in zip(tasks, outcomes, strict=True)}
        failures = [one for one in made.values() if isinstance(one, TwinsetError)]
        if len(failures) == len(made):
            raise failures[0]
        return made

    async def _make_set(self, role: Role, job: PairJob) -> MadeSet:
        budget_s = max(0.0, job.deadline - time.monotonic())
        set_job = SetJob(job.picture, job.seeds, job.parameters[role], job.output_format, budget_s)
        result: SetResult = await self._calls[role].call("generate", set_job, budget_s=budget_s)
        metrics = await asyncio.to_thread(_measure, job.picture, result)
        return MadeSet(result, metrics)


def _measure(picture: SquarePicture, result: SetResult) -> SetMetrics:
    return measure(result.descriptors, descriptor(picture.pixels))


def _expected(outcome: MadeSet | BaseException) -> Outcome:
    if isinstance(outcome, MadeSet | TwinsetError):
        return outcome
    raise outcome
