"""What the records of a run amount to: one row for each arm and count of clients."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from benchmarks.side_by_side.arms import ARMS, Arm
from benchmarks.side_by_side.ratios import Spread, quantile, spread
from benchmarks.side_by_side.records import Burst, Run, SetRecord

Measure = Literal["sets_per_min", "set_s", "p95_s"]


@dataclass(frozen=True)
class Row:
    """One arm with so many clients; what it does not say or never did is None.

    Attributes:
        arm: which.
        clients: how many asked at the same time.
        set_s: seconds of a burst by its right sets, over the repetitions.
        sets_per_min: right sets a minute, over the repetitions.
        p50_s: of the latencies of all right sets.
        p95_s: likewise.
        first_image_s: median time to the first image of a set.
        encode_ms: median of a set's PNG encoding: CPU where the arm says it, else from end to end.
        cpu_s: CPU seconds of the arm's processes by set, median over the repetitions.
        bytes_received: median of a set.
        peak_rss_mib: the most over the run, of all its processes, shared pages counted in each.
        pss_mib: the most right after a burst, shared pages counted once.
        unet_calls: of a set; several where sets differed.
        encoder_calls: likewise.
        right: sets that count.
        wrong: sets with other pixels.
        failed: sets with an error.
        max_difference: of a pixel's value, over all sets.
    """

    arm: Arm
    clients: int
    set_s: Spread | None
    sets_per_min: Spread | None
    p50_s: float | None
    p95_s: float | None
    first_image_s: float | None
    encode_ms: float | None
    cpu_s: float | None
    bytes_received: float | None
    peak_rss_mib: float | None
    pss_mib: float | None
    unet_calls: tuple[int, ...]
    encoder_calls: tuple[int, ...]
    right: int
    wrong: int
    failed: int
    max_difference: int | None


def rows(run: Run) -> list[Row]:
    """Return a row for each arm and count of clients that was measured, in order."""
    counts = sorted({burst.clients for burst in run.bursts})
    found = [(arm, clients, run.of(arm.key, clients)) for arm in ARMS for clients in counts]
    return [_row(arm, clients, bursts) for arm, clients, bursts in found if bursts]


def by_repetition(bursts: Sequence[Burst], measure: Measure) -> list[float]:
    """Return a measure of each burst; infinite time, no throughput, where no set was right."""
    return [_MEASURES[measure](burst) for burst in bursts]


def _set_s(burst: Burst) -> float:
    return burst.wall_s / len(burst.right) if burst.right else float("inf")


def _p95_s(burst: Burst) -> float:
    taken = quantile([one.latency_s for one in burst.right], 0.95)
    return float("inf") if taken is None else taken


_MEASURES: dict[Measure, Callable[[Burst], float]] = {
    "sets_per_min": lambda burst: burst.sets_per_min,
    "set_s": _set_s,
    "p95_s": _p95_s,
}


def _row(arm: Arm, clients: int, bursts: Sequence[Burst]) -> Row:
    sets = [one for burst in bursts for one in burst.sets]
    right = [one for one in sets if one.is_right]
    latencies = [one.latency_s for one in right]
    memories = [burst.memory for burst in bursts if burst.memory]
    return Row(
        arm=arm,
        clients=clients,
        set_s=spread([_set_s(burst) for burst in bursts if burst.right]),
        sets_per_min=spread(by_repetition(bursts, "sets_per_min")),
        p50_s=quantile(latencies, 0.5),
        p95_s=quantile(latencies, 0.95),
        first_image_s=_median(one.first_image_s for one in right),
        encode_ms=_median(
            one.parts_ms.get("encode_cpu", one.parts_ms.get("encode")) for one in right
        ),
        cpu_s=_median(_cpu_s(burst) for burst in bursts),
        bytes_received=_median(one.bytes_received for one in right),
        peak_rss_mib=max((one.peak_rss_mib for one in memories), default=None),
        pss_mib=max((one.pss_mib for one in memories), default=None),
        unet_calls=_counts(sets, lambda one: one.unet_calls),
        encoder_calls=_counts(sets, lambda one: one.encoder_calls),
        right=len(right),
        wrong=sum(one.is_wrong for one in sets),
        failed=sum(bool(one.problem) for one in sets),
        max_difference=_most(one.max_difference for one in sets),
    )


def _cpu_s(burst: Burst) -> float | None:
    return None if burst.cpu_s is None else burst.cpu_s / len(burst.sets)


def _median(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.median(known)) if known else None


def _most(values: Iterable[int | None]) -> int | None:
    return max((value for value in values if value is not None), default=None)


def _counts(sets: Sequence[SetRecord], count: Callable[[SetRecord], int | None]) -> tuple[int, ...]:
    return tuple(sorted({value for value in map(count, sets) if value is not None}))
