"""What one run has measured, raw, and the way to a JSON file and back."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

MAX_DIFFERENCE = 1
"""Of a pixel's value, of 255: what arithmetic in another order may do to the same image."""


@dataclass(frozen=True)
class SetRecord:
    """One set that was asked for.

    Attributes:
        latency_s: until all of it was there.
        problem: why it is no right set; "" for a right one.
        first_image_s: until the first of its images was there.
        bytes_received: of the answers' bodies; of the files, in process.
        max_difference: of a pixel's value to that of the reference; None where nothing came.
        parts_ms: milliseconds by part, where the arm says them: `wait`, `model`, `encode`, and
            `encode_cpu`, what encoding took of the processor.
        unet_calls: forward passes of the UNet, where the arm says them.
        encoder_calls: forward passes of the image encoder, where the arm says them.
    """

    latency_s: float
    problem: str = ""
    first_image_s: float | None = None
    bytes_received: int = 0
    max_difference: int | None = None
    parts_ms: Mapping[str, float] = field(default_factory=dict)
    unet_calls: int | None = None
    encoder_calls: int | None = None

    @property
    def is_right(self) -> bool:
        """Say whether all images came, with the pixels of the reference."""
        return not self.problem and not self.is_wrong

    @property
    def is_wrong(self) -> bool:
        """Say whether images came with other pixels."""
        return self.max_difference is not None and self.max_difference > MAX_DIFFERENCE


@dataclass(frozen=True)
class Memory:
    """What the processes of an arm held after a burst.

    Attributes:
        pss_mib: at that moment, pages that processes share counted once.
        peak_rss_mib: the most that each process ever held resident, summed; shared pages count
            in each of them.
        processes: how many there were.
    """

    pss_mib: float
    peak_rss_mib: float
    processes: int


@dataclass(frozen=True)
class Burst:
    """Some clients who each ask for their next set once they have the last.

    Attributes:
        arm: its key.
        clients: how many ask at the same time.
        repetition: from 0.
        wall_s: from the first question to the last answer.
        cpu_s: of the arm's processes, meanwhile.
        memory: of the arm's processes, after it.
        sets: in the order of the jobs.
    """

    arm: str
    clients: int
    repetition: int
    wall_s: float
    sets: tuple[SetRecord, ...]
    cpu_s: float | None = None
    memory: Memory | None = None

    @property
    def right(self) -> list[SetRecord]:
        """Return the sets that count."""
        return [one for one in self.sets if one.is_right]

    @property
    def sets_per_min(self) -> float:
        """Return the throughput: of right sets alone."""
        return 60 * len(self.right) / self.wall_s


@dataclass(frozen=True)
class Floor:
    """What the hardware would need at least.

    Attributes:
        set_flop: floating point operations of one set, by part.
        rates_gflop_s: what two threads reached here, by kind of work and shape.
    """

    set_flop: Mapping[str, float]
    rates_gflop_s: Mapping[str, float]

    @property
    def best_gflop_s(self) -> float:
        """Return the best rate, whatever reached it."""
        return max(self.rates_gflop_s.values())

    @property
    def set_s(self) -> float:
        """Return the seconds of a set at the best rate."""
        return sum(self.set_flop.values()) / (1e9 * self.best_gflop_s)


@dataclass(frozen=True)
class Probes:
    """Parts of an answer over HTTP, each timed alone on the idle service.

    Attributes:
        livez_ms: `GET /livez` on an open connection: HTTP and Serve's way to the ingress.
        read_picture_ms: reading the uploaded picture, in this process.
        read_answer_ms: reading the answer's JSON and base64, in this process.
    """

    livez_ms: float
    read_picture_ms: float
    read_answer_ms: float


@dataclass(frozen=True)
class Run:
    """Everything that one run has measured.

    Attributes:
        settings: the job and how it was measured.
        circumstances: commit, versions, machine and moment.
        floor: None where it was not measured.
        probes: None where Twinset was not asked over HTTP.
        idle_cpu_percent: of one core, what all services took together while nobody asked.
        bursts: in the order in which they were run.
    """

    settings: Mapping[str, Any]
    circumstances: Mapping[str, Any]
    bursts: tuple[Burst, ...]
    floor: Floor | None = None
    probes: Probes | None = None
    idle_cpu_percent: float | None = None

    @property
    def repetitions(self) -> int:
        """Return how many repetitions there are, the last of which may not be whole."""
        return 1 + max((one.repetition for one in self.bursts), default=-1)

    def of(self, arm: str, clients: int = 1) -> list[Burst]:
        """Return the bursts of an arm and count of clients, by repetition."""
        found = [one for one in self.bursts if (one.arm, one.clients) == (arm, clients)]
        return sorted(found, key=lambda one: one.repetition)


def write(run: Run, path: Path, **shown: Any) -> None:
    """Write a run as JSON, and beside it what is `shown` of it, for readers alone."""
    path.parent.mkdir(parents=True, exist_ok=True)
    document = {**shown, **asdict(run)}
    path.write_text(json.dumps(document, indent=1, allow_nan=False) + "\n")


def read(path: Path) -> Run:
    """Read a run back; figures and verdicts in the file are left aside, to be computed anew."""
    document = json.loads(path.read_text())
    floor, probes = document["floor"], document["probes"]
    return Run(
        settings=document["settings"],
        circumstances=document["circumstances"],
        bursts=tuple(map(_burst, document["bursts"])),
        floor=Floor(**floor) if floor else None,
        probes=Probes(**probes) if probes else None,
        idle_cpu_percent=document["idle_cpu_percent"],
    )


def _burst(fields: Mapping[str, Any]) -> Burst:
    memory = fields["memory"]
    parsed = {
        "sets": tuple(SetRecord(**one) for one in fields["sets"]),
        "memory": Memory(**memory) if memory else None,
    }
    return Burst(**{**fields, **parsed})


def problems(bursts: Iterable[Burst]) -> dict[str, int]:
    """Return how often each problem occurred."""
    counts: dict[str, int] = {}
    for one in (one for burst in bursts for one in burst.sets if one.problem):
        counts[one.problem] = counts.get(one.problem, 0) + 1
    return counts
