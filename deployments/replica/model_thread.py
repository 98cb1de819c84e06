"""One thread that owns a model, and work in it that can be given up."""

import asyncio
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

from deployments.replica.stall import StallDetector
from deployments.turns import Turns
from models.interfaces import GeneratedSet, StepCallback, ignore_steps

LoadedT = TypeVar("LoadedT")


class SetAbortedError(Exception):
    """Raised inside a model, at the end of a step, when nobody waits for its set any more."""


@dataclass(frozen=True)
class TimedSet:
    """A set, with the seconds it waited for the model and those the model took."""

    generated: GeneratedSet
    wait_s: float
    model_s: float


class ModelThread:
    """Runs a model's calls one after the other in a thread of its own.

    diffusers' schedulers keep state and are not thread-safe, and Serve's own thread pool can
    neither keep to one thread nor stop a call. Cancelling the awaiting task stops a call that
    waits at once, and a call that runs at the end of its step.

    Attributes:
        heartbeat: knows whether the call that runs makes progress.
    """

    def __init__(self, heartbeat: StallDetector) -> None:
        """Start with no thread; the first call starts it."""
        self.heartbeat = heartbeat
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="model")
        self._turns = Turns(1)

    def load(self, call: Callable[[], LoadedT]) -> LoadedT:
        """Return what `call()` returns in the model's thread.

        A model is loaded where it will run: torch keeps its CPU threads and CUDA graphs by the
        thread that calls, and a second one that has called it takes a tenth of the speed.
        """
        return self._executor.submit(call).result()

    async def run(
        self,
        call: Callable[[StepCallback], GeneratedSet],
        budget_s: float,
        watch: StepCallback = ignore_steps,
        caller: str = "",
        cost: float = 1.0,
    ) -> TimedSet:
        """Await `call(on_step)`; past `budget_s` seconds the call ends after its step.

        Args:
            call: into the model.
            budget_s: from now on, the wait for the model included.
            watch: told of each step, in the model's thread.
            caller: whose call it is; of those who wait, callers get the model in turn.
            cost: of the call, in a unit that is the same for all.

        Raises:
            SetAbortedError: the budget ran out.
        """
        abort = threading.Event()
        asked = time.monotonic()

        def on_step(step: int, total: int) -> None:
            if abort.is_set() or time.monotonic() - asked > budget_s:
                raise SetAbortedError(f"given up after step {step} of {total}")
            if step:
                self.heartbeat.beat()
                watch(step, total)

        def timed() -> TimedSet:
            started = time.monotonic()
            on_step(0, 0)
            self.heartbeat.start()
            try:
                generated = call(on_step)
                self.heartbeat.beat()
            finally:
                self.heartbeat.stop()
            return TimedSet(generated, started - asked, time.monotonic() - started)

        try:
            async with self._turns.turn(caller, cost):
                return await asyncio.get_running_loop().run_in_executor(self._executor, timed)
        except asyncio.CancelledError:
            abort.set()
            raise
