"""Sets are cut where replicas idle, stay whole where they do not, and come back as one."""

import asyncio
import dataclasses
import time
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import pytest

from deployments.admission.wait_estimate import WaitEstimate
from deployments.dispatch.chunks import Progress, chunk_sizes, cut
from deployments.dispatch.splitting import Concurrency, Splitting, Watch
from deployments.errors import ModelFailedError, TwinsetError
from deployments.jobs import Deadline, SetJob, SetResult, StepDone
from deployments.metrics import IngressMetrics
from models.interfaces import ModelInfo
from models.parameters import ImageToImageParameters
from models.pixels import PictureLimits, SquarePicture, read_square
from models.set_metrics import METRIC_SIDE_PX

INFO = ModelInfo("some-model", "stable_diffusion", "one", 64, {})


@pytest.fixture(scope="module")
def picture(face: bytes) -> SquarePicture:
    limits = PictureLimits(20_000_000, 64, 8192, 50_000_000, 4.0)
    return read_square(face, limits, None)


@pytest.fixture
def job(picture: SquarePicture) -> SetJob:
    seeds = list(range(10))
    return SetJob(picture, seeds, ImageToImageParameters("a face"), "png", seeds, 60.0)


class Model:
    """Makes chunks that say what they are; some of them as a test wants."""

    def __init__(self, seconds: float = 0.05) -> None:
        self.jobs: list[SetJob] = []
        self.cancelled = 0
        self.failing_seed: int | None = None
        self.revisions: Iterator[str] = iter(())
        self._seconds = seconds

    async def generate(self, job: SetJob, deadline: Deadline, watch: Watch | None) -> SetResult:
        self.jobs.append(job)
        number = len(self.jobs)
        try:
            if self.failing_seed in job.seeds:
                raise ModelFailedError("it failed")
            await asyncio.sleep(self._seconds)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        for step in (1, 2):
            if watch:
                watch(StepDone(step, 2))
        return _result(job, number, next(self.revisions, INFO.revision))


def _result(job: SetJob, number: int, revision: str) -> SetResult:
    return SetResult(
        model=dataclasses.replace(INFO, revision=revision),
        images=[str(seed).encode() for seed in job.seeds],
        descriptors=np.zeros((len(job.seeds), METRIC_SIDE_PX, METRIC_SIDE_PX, 3), np.uint8),
        encoder_calls=1,
        unet_calls=30,
        notes=["a note"],
        replicas=[f"replica {number}"],
        timings_ms={"wait": 0.0, "model": 10.0 * number, "encode": 1.0},
    )


def spreading(model: Model, running: int = 2, ingresses: int = 1, max_split: int = 2) -> Splitting:
    estimate = WaitEstimate(lambda: 1.0)
    return Splitting(
        model, estimate, lambda: running, lambda: ingresses, max_split, IngressMetrics()
    )


async def _make(
    one: Splitting,
    job: SetJob,
    info: ModelInfo = INFO,
    watch: Callable[[StepDone], None] | None = None,
    allow_partial: bool = False,
) -> SetResult:
    now = time.monotonic()
    return await one.generate(job, info, Deadline(now, now + 60), watch, allow_partial)


@pytest.mark.parametrize(
    ("images", "most", "compiled", "sizes"),
    [
        (10, 2, (), [5, 5]),
        (10, 3, (), [4, 3, 3]),
        (10, 4, (5, 10), [5, 5]),
        (10, 4, (10,), [10]),
        (7, 2, (), [4, 3]),
        (1, 4, (), [1]),
        (2, 4, (), [1, 1]),
        (10, 1, (5,), [10]),
        (10, 0, (), [10]),
    ],
)
def test_chunks_are_equal_and_of_compiled_sizes(
    images: int, most: int, compiled: Sequence[int], sizes: list[int]
) -> None:
    assert chunk_sizes(images, most, compiled) == sizes


def test_a_cut_job_keeps_order_and_the_seeds_of_its_set(job: SetJob) -> None:
    parts = cut(job, [4, 3, 3])
    assert [seed for part in parts for seed in part.seeds] == list(job.seeds)
    assert all(part.set_seeds == job.seeds for part in parts)


def test_a_set_alone_is_made_by_two_and_comes_back_in_order(job: SetJob) -> None:
    model = Model()
    made = asyncio.run(_make(spreading(model), job))
    assert [len(one.seeds) for one in model.jobs] == [5, 5]
    assert made.images == [str(seed).encode() for seed in job.seeds]
    assert made.replicas == ["replica 1", "replica 2"]
    assert (made.encoder_calls, made.unet_calls) == (2, 60)
    assert made.timings_ms["model"] == 20.0
    assert made.notes == ["a note"]
    assert len(made.descriptors) == 10


def test_sets_that_come_together_are_not_split(job: SetJob) -> None:
    model = Model()

    async def three() -> None:
        one = spreading(model)
        await asyncio.gather(*(_make(one, job) for _ in range(3)))

    asyncio.run(three())
    assert sorted(len(one.seeds) for one in model.jobs) == [5, 5, 10, 10]  # the first came alone


def test_load_of_a_moment_ago_still_counts(job: SetJob) -> None:
    async def share_after(wait_s: float) -> int:
        one = spreading(Model())
        one._sets = Concurrency(memory_s=0.2)
        await asyncio.gather(*(_make(one, job) for _ in range(3)))
        await asyncio.sleep(wait_s)
        with one._sets.one_more():
            return one.share()

    assert asyncio.run(share_after(0.0)) == 1
    assert asyncio.run(share_after(0.4)) == 2


def test_other_ingress_replicas_are_taken_to_send_as_much(job: SetJob) -> None:
    async def shares(ingresses: int) -> list[int]:
        one = spreading(Model(), running=8, ingresses=ingresses, max_split=8)
        seen = []
        with one._sets.one_more():
            seen.append(one.share())
            with one._sets.one_more():
                seen.append(one.share())
        return seen

    assert asyncio.run(shares(1)) == [8, 4]
    assert asyncio.run(shares(3)) == [8, 2]


def test_chunks_under_way_leave_no_replica_idle(job: SetJob) -> None:
    model = Model()

    async def two() -> None:
        one = spreading(model, running=8, max_split=8)
        await asyncio.gather(*(_make(one, job) for _ in range(2)))

    asyncio.run(two())
    assert sorted(len(one.seeds) for one in model.jobs) == [1] * 6 + [2] * 2 + [10]


def test_never_more_than_max_split(job: SetJob) -> None:
    model = Model()
    asyncio.run(_make(spreading(model, running=9, max_split=3), job))
    assert [len(one.seeds) for one in model.jobs] == [4, 3, 3]
    whole = Model()
    asyncio.run(_make(spreading(whole, running=9, max_split=1), job))
    assert len(whole.jobs) == 1


def test_a_set_is_never_of_two_versions_of_the_weights(job: SetJob) -> None:
    model = Model()
    model.revisions = iter(["one", "two", "two"])
    made = asyncio.run(_make(spreading(model), job))
    assert [len(one.seeds) for one in model.jobs] == [5, 5, 10]
    assert made.model.revision == "two"


def test_a_failing_chunk_fails_the_set_and_cancels_the_other(job: SetJob) -> None:
    model = Model(seconds=5.0)
    model.failing_seed = 7

    async def fail() -> None:
        with pytest.raises(ModelFailedError):
            await _make(spreading(model), job)
        await asyncio.sleep(0)
        assert model.cancelled == 1  # before the loop ends, which would cancel everything

    asyncio.run(fail())


def test_a_failing_chunk_is_reported_by_itself_where_that_is_allowed(job: SetJob) -> None:
    model = Model()
    model.failing_seed = 2
    made = asyncio.run(_make(spreading(model), job, allow_partial=True))
    assert [made.status(index) for index in range(10)] == ["failed"] * 5 + ["ok"] * 5
    assert len(made.descriptors) == 5
    assert all(isinstance(made.failed[index], TwinsetError) for index in range(5))


def test_a_set_all_of_whose_chunks_fail_has_failed(picture: SquarePicture) -> None:
    model = Model()
    model.failing_seed = 3
    seeds = [3, 3]
    job = SetJob(picture, seeds, ImageToImageParameters("a face"), "png", seeds, 60.0)
    with pytest.raises(ModelFailedError):
        asyncio.run(_make(spreading(model), job, allow_partial=True))


def test_cancelling_a_set_cancels_all_chunks(job: SetJob) -> None:
    model = Model(seconds=30.0)

    async def leave() -> None:
        one = spreading(model)
        task = asyncio.create_task(_make(one, job))
        await asyncio.sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.sleep(0)
        assert one._chunks.now == one._sets.now == 0

    asyncio.run(leave())
    assert model.cancelled == 2


def test_the_slowest_chunk_sets_the_pace() -> None:
    told: list[StepDone] = []
    progress = Progress(2, told.append)
    fast, slow = progress.of(0), progress.of(1)
    fast(StepDone(1, 3))
    fast(StepDone(2, 3))
    assert told == []
    slow(StepDone(1, 3))
    slow(StepDone(2, 3))
    slow(StepDone(1, 3))  # made again
    assert told == [StepDone(1, 3), StepDone(2, 3), StepDone(1, 3)]


def test_a_step_is_told_once_all_chunks_have_done_it(job: SetJob) -> None:
    told: list[StepDone] = []
    asyncio.run(_make(spreading(Model()), job, watch=told.append))
    assert told == [StepDone(1, 2), StepDone(2, 2)]
