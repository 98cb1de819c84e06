"""A set is split over replicas that have nothing else to do, and stays whole under load."""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol

from deployments.admission.wait_estimate import WaitEstimate
from deployments.dispatch.chunks import Progress, chunk_sizes, cut, is_of_one_model, together
from deployments.errors import TwinsetError
from deployments.jobs import Deadline, SetJob, SetResult, StepDone, work_of
from deployments.metrics import IngressMetrics
from models.interfaces import ModelInfo

Watch = Callable[[StepDone], None]
MEMORY_S = 3.0
"""For how long a moment of load counts: users who wait for each other's sets are load, too."""


class SetMaker(Protocol):
    """Makes sets, or chunks of one, as they come: a `ModelClient`."""

    async def generate(self, job: SetJob, deadline: Deadline, watch: Watch | None) -> SetResult:
        """Await a set."""
        ...


class Concurrency:
    """How many things are under way, and how many were at most within the last seconds."""

    def __init__(self, memory_s: float = MEMORY_S) -> None:
        """Take for how long a moment counts, seconds."""
        self.now = 0
        self._memory_s = memory_s
        self._moments: deque[tuple[float, int]] = deque()

    @contextmanager
    def one_more(self) -> Iterator[None]:
        """Count one for as long as the context lasts."""
        self.begin()
        try:
            yield
        finally:
            self.end()

    def begin(self) -> None:
        """Count one more."""
        self.now += 1
        self._moments.append((time.monotonic(), self.now))

    def end(self) -> None:
        """Count one less; what ends now was under way until now."""
        self._moments.append((time.monotonic(), self.now))
        self.now -= 1

    def most(self) -> int:
        """Return how many there were at most, lately or now."""
        since = time.monotonic() - self._memory_s
        while self._moments and self._moments[0][0] < since:
            self._moments.popleft()
        return max([self.now, *(count for _, count in self._moments)])


class Splitting:
    """Sends sets to a model: whole, or in chunks of the same size to replicas that are idle.

    Serve has no list of idle replicas. They are estimated: those that run (of several on one card,
    which take turns, one), less the chunks that are under way here, and divided among the sets that
    were under way here lately. What other ingress replicas send is taken to be as much, except that
    a set which is alone here is taken to be alone.
    """

    def __init__(
        self,
        client: SetMaker,
        estimate: WaitEstimate,
        places: Callable[[], int],
        ingresses: Callable[[], int],
        max_split: int,
        metrics: IngressMetrics,
    ) -> None:
        """Take the model's client, and how many replicas of it and of us there are.

        Args:
            client: of the model.
            estimate: learns how long sets and chunks take.
            places: returns the number of its running replicas that compute at the same time, not in
                turns on one card.
            ingresses: returns the number of running ingress replicas.
            max_split: chunks of one set, at most; 1 never splits.
            metrics: counts the sets that were split.
        """
        self._client = client
        self._backlog = estimate
        self._places = places
        self._ingresses = ingresses
        self._max_split = max_split
        self._metrics = metrics
        self._sets = Concurrency()
        self._chunks = Concurrency()

    async def generate(
        self,
        job: SetJob,
        info: ModelInfo,
        deadline: Deadline,
        watch: Watch | None,
        allow_partial: bool = False,
    ) -> SetResult:
        """Await a set.

        A chunk whose replica dies is made again by itself. When a chunk fails, the others are
        cancelled and so does the set; with `allow_partial` they are kept, and each image of the
        failed one has the reason in its place.

        Args:
            job: the whole set.
            info: of the model.
            deadline: of the request.
            watch: told of each step that all chunks have done, or None.
            allow_partial: whether a part of the set is wanted.

        Raises:
            TwinsetError: as `ModelClient.generate`.
        """
        with self._sets.one_more():
            jobs = cut(job, chunk_sizes(len(job.seeds), self.share(), info.compiled_images))
            if len(jobs) == 1:
                return await self._whole(job, deadline, watch)
            self._metrics.split.inc()
            outcomes = await self._all(jobs, deadline, watch, allow_partial)
            if is_of_one_model([outcome for outcome in outcomes if isinstance(outcome, SetResult)]):
                return together(jobs, outcomes)
            return await self._whole(job, deadline, watch)

    def share(self) -> int:
        """Return how many replicas a set may have that is asked for now."""
        others = self._ingresses()
        places = self._places()
        idle = places - self._chunks.now * others
        fair = places // max(1, (self._sets.most() - 1) * others + 1)
        return max(1, min(self._max_split, idle, fair))

    async def _all(
        self, jobs: Sequence[SetJob], deadline: Deadline, watch: Watch | None, allow_partial: bool
    ) -> list[SetResult | TwinsetError]:
        progress = None if watch is None else Progress(len(jobs), watch)
        tasks = [
            asyncio.create_task(
                self._outcome(
                    job, deadline, None if progress is None else progress.of(chunk), allow_partial
                )
            )
            for chunk, job in enumerate(jobs)
        ]
        for task in tasks:
            # Counted from now on, not from when they run: whoever asks next must see them.
            self._chunks.begin()
            task.add_done_callback(lambda _: self._chunks.end())
        try:
            return await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()

    async def _outcome(
        self, job: SetJob, deadline: Deadline, watch: Watch | None, allow_partial: bool
    ) -> SetResult | TwinsetError:
        try:
            return await self._one(job, deadline, watch)
        except TwinsetError as error:
            if not allow_partial:
                raise
            return error

    async def _whole(self, job: SetJob, deadline: Deadline, watch: Watch | None) -> SetResult:
        with self._chunks.one_more():
            return await self._one(job, deadline, watch)

    async def _one(self, job: SetJob, deadline: Deadline, watch: Watch | None) -> SetResult:
        made = await self._client.generate(job, deadline, watch)
        work = work_of(job.parameters, len(job.seeds))
        self._backlog.observe(work, made.timings_ms["model"] / 1000)
        return made
