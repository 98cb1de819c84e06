"""All processes of a run: started once, warmed, asked in bursts, and ended together."""

import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.comparison.job import DiffusionJob
from benchmarks.comparison.servers import ServerProcess, serving
from benchmarks.side_by_side.arms import DIFFUSERS, Arm
from benchmarks.side_by_side.asking import ask_of
from benchmarks.side_by_side.burst import Outcome, run_burst
from benchmarks.side_by_side.children import Child, child_of
from benchmarks.side_by_side.judging import Pixels, References, judged, judged_process, pixels_of
from benchmarks.side_by_side.processes import cpu_s, memory, pause, resume, settle
from benchmarks.side_by_side.records import Burst, SetRecord
from benchmarks.side_by_side.schedule import Task, warm_up_jobs
from benchmarks.side_by_side.telling import Telling

_WAKE_S = 1.5
"""For a service to catch up with the time that it has missed."""


@dataclass
class Participants:
    """The children and services that are up, by what the arms run.

    Services do a little all the time, a cluster of Ray's 2 to 6 % of a core, and several of them
    slow down whoever computes. So each is paused while it is not asked.
    """

    children: dict[str, Child] = field(default_factory=dict)
    services: dict[str, ServerProcess] = field(default_factory=dict)

    def pid_of(self, arm: Arm) -> int:
        """Return the root of an arm's process tree."""
        return self.services[arm.runs].pid if arm.is_server else self.children[arm.runs].pid

    def pids(self) -> list[int]:
        """Return the roots of all process trees."""
        children = [one.pid for one in self.children.values()]
        return children + [one.pid for one in self.services.values()]

    @contextmanager
    def awake(self, arm: Arm) -> Iterator[None]:
        """Let the service of an arm go on while the context lasts; children need no waking."""
        if not arm.is_server:
            yield
            return
        pid = self.pid_of(arm)
        resume(pid)
        time.sleep(_WAKE_S)
        try:
            yield
        finally:
            pause(pid)

    def reference(self, job: DiffusionJob) -> Pixels:
        """Return what diffusers' batched call makes of a job; nobody times it."""
        said = self.children[DIFFUSERS.runs].ask(job.seeds)
        return pixels_of([Path(one).read_bytes() for one in said["files"]])

    def outcomes(self, arm: Arm, jobs: Sequence[Sequence[DiffusionJob]]) -> list[Outcome]:
        """Let a server's clients work through their jobs, and leave the clock aside."""
        return run_burst(self.services[arm.runs].url, ask_of(arm), jobs)[1]

    def burst(
        self,
        task: Task,
        repetition: int,
        jobs: Sequence[Sequence[DiffusionJob]],
        references: References,
    ) -> Burst:
        """Time one burst, then judge its images and look at its processes."""
        pid = self.pid_of(task.arm)
        with self.awake(task.arm):
            before_s = cpu_s(pid)
            wall_s, sets, used_s = self._timed(task.arm, jobs, references, pid)
            if any(one.problem for one in sets):
                settle(pid)
            return Burst(
                arm=task.arm.key,
                clients=task.clients,
                repetition=repetition,
                wall_s=wall_s,
                sets=tuple(sets),
                cpu_s=round(used_s - before_s, 3),
                memory=memory(pid),
            )

    def _timed(
        self, arm: Arm, jobs: Sequence[Sequence[DiffusionJob]], references: References, pid: int
    ) -> tuple[float, list[SetRecord], float]:
        """Return the wall time, the sets, and the CPU seconds that the tree had used after it."""
        if arm.is_server:
            url = self.services[arm.runs].url
            wall_s, outcomes = run_burst(url, ask_of(arm), jobs)
            used_s = cpu_s(pid)
            return wall_s, list(judged(outcomes, references)), used_s
        own = [job for client in jobs for job in client]
        said = [self.children[arm.runs].ask(job.seeds) for job in own]
        used_s = cpu_s(pid)
        pairs = zip(own, said, strict=True)
        sets = [judged_process(job, one, references) for job, one in pairs]
        # Its clock stops before it writes files for us, which no arm over HTTP has to do.
        return sum(one.latency_s for one in sets), sets, used_s


@contextmanager
def participants(arms: Sequence[Arm], telling: Telling) -> Iterator[Participants]:
    """Start what the arms run, and the reference; all of it ends with the context.

    Raises:
        RuntimeError: something did not start, or makes no set; the message says what.
    """
    found = Participants()
    children = dict.fromkeys(arm.runs for arm in (DIFFUSERS, *arms) if not arm.is_server)
    services = dict.fromkeys(arm.runs for arm in arms if arm.is_server)
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="side-by-side-")))
        for name in children:
            telling.say(f"starting {name} in process")
            found.children[name] = stack.enter_context(child_of(name, directory))
        for name in services:
            telling.say(f"starting the service {name}")
            found.services[name] = stack.enter_context(serving(name))
            stack.callback(resume, found.services[name].pid)  # to hear that it shall end
            pause(found.services[name].pid)
        _warm(found, arms, telling)
        yield found


def _warm(found: Participants, arms: Sequence[Arm], telling: Telling) -> None:
    jobs = warm_up_jobs()
    for arm in arms:
        telling.say(f"warming {arm.title}")
        if not arm.is_server:
            for job in jobs:
                found.children[arm.runs].ask(job.seeds)
            continue
        with found.awake(arm):
            for outcome in found.outcomes(arm, [jobs]):
                if outcome.problem:
                    telling.note(f"{arm.title}: {outcome.problem} while warming up")
                    settle(found.pid_of(arm))
