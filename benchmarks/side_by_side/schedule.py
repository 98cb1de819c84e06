"""Who is asked when, with which seeds: shuffled within each repetition, the same for all arms."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from benchmarks.comparison.job import DiffusionJob, demo_job
from benchmarks.side_by_side.arms import Arm

IMAGES = 10
WARM_UP_SETS = 2
_FIRST_SEED = 1000
"""Of what is measured: the warm-up takes seeds below it."""
_ONE_IMAGE_S, _BATCHED_S, _START_S = 2.8, 1.8, 15.0
"""For the estimate alone: sets with and without batches, and the start of a process."""


@dataclass(frozen=True)
class Task:
    """One burst to come: an arm, and how many clients ask it at the same time."""

    arm: Arm
    clients: int


@dataclass(frozen=True)
class Schedule:
    """The whole run.

    Attributes:
        arms: what is timed.
        clients: how many ask a server at the same time, one burst for each count.
        repetitions: how often everything is timed.
        is_smoke: one set for each client, to see that everything works.
        seed: of the order.
    """

    arms: tuple[Arm, ...]
    clients: tuple[int, ...] = (1, 4, 16)
    repetitions: int = 5
    is_smoke: bool = False
    seed: int = 6

    def __post_init__(self) -> None:
        """Refuse what measures nothing or never ends."""
        if not self.arms:
            raise ValueError("there are no arms: name one at least, such as c")
        if not self.clients or not all(1 <= count <= 64 for count in self.clients):
            raise ValueError(f"clients is {self.clients}: give counts from 1 to 64")
        if not 1 <= self.repetitions <= 100:
            raise ValueError(f"repetitions is {self.repetitions}: give 1 to 100")

    def tasks(self, repetition: int) -> list[Task]:
        """Return the bursts of a repetition in its order."""
        found = [Task(arm, clients) for arm in self.arms for clients in self.clients_of(arm)]
        random.Random(self.seed + repetition).shuffle(found)
        return found

    def clients_of(self, arm: Arm) -> tuple[int, ...]:
        """Return the counts of clients of an arm: one for a process and for the pair."""
        return self.clients if arm.is_server and arm.form != "pair" else (1,)

    def sets_each(self, clients: int) -> int:
        """Return how many sets each client asks for, one after the other."""
        return 1 if self.is_smoke or clients > 1 else 2

    def jobs(self, repetition: int, clients: int) -> list[list[DiffusionJob]]:
        """Return the jobs of a burst by client: no seed is used in two bursts of an arm."""
        each = self.sets_each(clients)
        counts = sorted({1, *self.clients})
        before = sum(count * self.sets_each(count) for count in counts if count < clients)
        in_repetition = sum(count * self.sets_each(count) for count in counts)
        first = repetition * in_repetition + before
        return [
            [_job(_FIRST_SEED + IMAGES * (first + client * each + turn)) for turn in range(each)]
            for client in range(clients)
        ]

    def references(self, repetition: int) -> Iterator[DiffusionJob]:
        """Yield every job of a repetition once."""
        for clients in sorted({1, *self.clients}):
            for jobs in self.jobs(repetition, clients):
                yield from jobs

    def sets(self) -> int:
        """Return how many sets are asked for in all, warm-up and references apart."""
        tasks = self.tasks(0)
        one = sum(task.clients * self.sets_each(task.clients) for task in tasks)
        return self.repetitions * one

    def estimated_s(self) -> float:
        """Return about how long it takes, on two cores, starts and references included."""
        once = sum(
            task.clients * self.sets_each(task.clients) * _set_s(task.arm) for task in self.tasks(0)
        )
        references = _BATCHED_S * sum(1 for _ in self.references(0))
        starts = sum(_START_S + WARM_UP_SETS * _set_s(arm) for arm in self.arms)
        return self.repetitions * (once + references) + starts + 2 * _START_S


def warm_up_jobs() -> Sequence[DiffusionJob]:
    """Return the jobs that nobody times."""
    return [_job(IMAGES * number) for number in range(WARM_UP_SETS)]


def _job(seed: int) -> DiffusionJob:
    return demo_job(tuple(range(seed, seed + IMAGES)))


def _set_s(arm: Arm) -> float:
    is_single = arm.form == "documented" or arm.key == "notebook"
    return _ONE_IMAGE_S if is_single else _BATCHED_S
