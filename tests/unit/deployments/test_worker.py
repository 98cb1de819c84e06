"""One thread owns the model, and nobody's work goes on for nobody."""

import asyncio
import threading
import time

import numpy as np
import pytest

from deployments.replica.model_thread import ModelThread, SetAbortedError
from deployments.replica.stall import StallDetector
from models.interfaces import GeneratedSet, StepCallback

SET = GeneratedSet(np.zeros((1, 2, 2, 3), np.uint8))


def _steps(count: int, seen: list[int]) -> object:
    def call(on_step: StepCallback) -> GeneratedSet:
        for step in range(1, count + 1):
            time.sleep(0.02)
            seen.append(step)
            on_step(step, count)
        return SET

    return call


def test_calls_run_one_after_the_other_in_one_thread() -> None:
    threads: list[str] = []
    inside = 0

    def call(on_step: StepCallback) -> GeneratedSet:
        nonlocal inside
        inside += 1
        assert inside == 1
        time.sleep(0.01)
        threads.append(threading.current_thread().name)
        inside -= 1
        return SET

    async def five() -> None:
        worker = ModelThread(StallDetector(30.0))
        await asyncio.gather(*(worker.run(call, 10.0) for _ in range(5)))

    asyncio.run(five())
    assert len(threads) == 5
    assert len(set(threads)) == 1


def test_cancelling_stops_the_work_within_one_step() -> None:
    seen: list[int] = []

    async def cancel_soon() -> None:
        task = asyncio.create_task(ModelThread(StallDetector(30.0)).run(_steps(200, seen), 60.0))
        await asyncio.sleep(0.1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        reached = len(seen)
        await asyncio.sleep(0.2)
        assert len(seen) <= reached + 1

    asyncio.run(cancel_soon())
    assert 0 < len(seen) < 20


def test_what_waits_and_is_cancelled_never_starts() -> None:
    seen: list[int] = []

    async def cancel_the_second() -> None:
        worker = ModelThread(StallDetector(30.0))
        first = asyncio.create_task(worker.run(_steps(10, []), 60.0))
        second = asyncio.create_task(worker.run(_steps(10, seen), 60.0))
        await asyncio.sleep(0.05)
        second.cancel()
        await first
        await asyncio.sleep(0.1)

    asyncio.run(cancel_the_second())
    assert seen == []


def test_past_its_budget_a_set_is_given_up() -> None:
    seen: list[int] = []
    with pytest.raises(SetAbortedError):
        asyncio.run(ModelThread(StallDetector(30.0)).run(_steps(200, seen), 0.1))
    assert len(seen) < 20
