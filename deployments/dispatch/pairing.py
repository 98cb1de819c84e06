"""What makes one paired set out of two handles: both calls at once, progress, set metrics."""

import asyncio
import contextvars
import math
import time
from collections.abc import Callable, Mapping, Sequence

from deployments.dispatch.model_client import ModelClient
from deployments.dispatch.request_router import DESCRIBE
from deployments.dispatch.splitting import Splitting
from deployments.errors import DeadlineExceededError, ModelUnavailableError, TwinsetError
from deployments.jobs import (
    MadeSet,
    Outcome,
    PairJob,
    SetJob,
    SetResult,
    StepDone,
    Watcher,
)
from models.interfaces import ModelInfo
from models.parameters import Parameters
from models.pixels import SquarePicture
from models.roles import Role
from models.set_metrics import SetMetrics, descriptor, measure

DESCRIBE_TIMEOUT_S = 5.0
DESCRIPTION_AGE_S = 10.0


class Pairing:
    """Makes paired sets with the models behind two handles."""

    def __init__(
        self, clients: Mapping[Role, ModelClient], splittings: Mapping[Role, Splitting]
    ) -> None:
        """Take each role's client, and what splits its sets over replicas."""
        self._clients = clients
        self._splittings = splittings
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
            # In a context of its own, else Serve takes it for a part of the request at hand.
            question = asyncio.create_task(self._ask(role), context=contextvars.Context())
            self._asking[role] = question
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
            client = self._clients[role]
            info: ModelInfo = await client.call(DESCRIBE, budget_s=DESCRIBE_TIMEOUT_S)
        except DeadlineExceededError:
            raise ModelUnavailableError(
                f"the {role} model does not answer yet: try again later",
                retry_after_s=math.ceil(DESCRIBE_TIMEOUT_S),
            ) from None
        return info

    async def make(self, job: PairJob, watch: Watcher | None = None) -> dict[Role, Outcome]:
        """Make the sets asked for, all at the same time.

        Args:
            job: what to make.
            watch: told of each step and each set as soon as it happens.

        Raises:
            TwinsetError: a set failed and `allow_partial` is off (the other one is cancelled),
                or all failed.
        """
        tasks = {
            role: asyncio.create_task(self._outcome(role, job, watch)) for role in job.parameters
        }
        waiting = asyncio.gather(*tasks.values(), return_exceptions=job.allow_partial)
        try:
            outcomes = await waiting
        finally:
            for task in tasks.values():
                task.cancel()
        made = {role: _expected(outcome) for role, outcome in zip(tasks, outcomes, strict=True)}
        failures = [outcome for outcome in made.values() if isinstance(outcome, TwinsetError)]
        if len(failures) == len(made):
            raise failures[0]
        return {**made, **job.away}

    async def _outcome(self, role: Role, job: PairJob, watch: Watcher | None) -> MadeSet:
        if watch is None:
            return await self.make_set(role, job, job.parameters[role])
        try:
            made = await self.make_set(
                role, job, job.parameters[role], lambda step: watch(role, step)
            )
        except TwinsetError as error:
            watch(role, error)
            raise
        watch(role, made)
        return made

    async def make_set(
        self,
        role: Role,
        job: PairJob,
        parameters: Parameters,
        watch: Callable[[StepDone], None] | None = None,
    ) -> MadeSet:
        """Make one set of a job with parameters of its own, and measure it.

        Raises:
            TwinsetError: it could not be made in time, or at all.
        """
        set_job = SetJob(
            picture=job.picture,
            seeds=job.seeds,
            parameters=parameters,
            output_format=job.output_format,
            set_seeds=job.seeds,
            caller=job.caller or "",
        )
        result = await self._splittings[role].generate(
            set_job, job.models[role], job.deadline, watch, job.allow_partial
        )
        metrics = await asyncio.to_thread(_measure, job.picture, result)
        return MadeSet(parameters, result, metrics)


def _measure(picture: SquarePicture, result: SetResult) -> SetMetrics | None:
    if not len(result.descriptors):
        return None
    return measure(result.descriptors, descriptor(picture.pixels))


def _expected(outcome: MadeSet | BaseException) -> Outcome:
    if isinstance(outcome, MadeSet | TwinsetError):
        return outcome
    raise outcome
