"""The figures of a run, from its records: whole-run numbers and series over time."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from loadtests.records import Record

BINS_S = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600)
MOST_SPANS, FEWEST_SPANS = 80, 15
ENOUGH_REQUESTS = 6


def percentile(values: Sequence[float], share: float) -> float | None:
    """Return the smallest value that this share of all values does not exceed."""
    if not values:
        return None
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


@dataclass(frozen=True)
class Figures:
    """The numbers of a run; times in seconds, None where nothing was measured.

    The times are those of whole answers of all kinds, failed ones too, from when each was due, and
    the ages of the requests that the end of the run cut off: they would have taken longer still.
    `lateness_p99_s` is how late the generator itself sent.
    """

    requests: int
    correct: int
    wrong: int
    failed: int
    overloaded: int
    left: int
    dropped: int
    cut_off: int
    duration_s: float
    p50_s: float | None
    p95_s: float | None
    p99_s: float | None
    service_p99_s: float | None
    first_image_p95_s: float | None
    vae_first_share: float | None
    lateness_p99_s: float | None
    error_share: float
    sets_per_minute: float
    repeats: int


def measure(records: Sequence[Record], start_s: float = 0.0) -> Figures:
    """Return the figures of a run that began at `start_s`, on the records' clock."""
    times = [record.latency_s for record in records if record.is_answer]
    firsts = [one.first_image_s for one in whole_streams(records) if one.first_image_s is not None]
    orders = [one.vae_first for one in whole_streams(records) if one.vae_first is not None]
    sent = [record for record in records if record.outcome != "dropped"]
    duration_s = max((record.done_s for record in records), default=start_s) - start_s
    sets = sum(record.sets for record in records)
    return Figures(
        requests=len(records),
        correct=count(records, "ok"),
        wrong=count(records, "wrong"),
        failed=count(records, "failed"),
        overloaded=count(records, "overloaded"),
        left=count(records, "left"),
        dropped=count(records, "dropped"),
        cut_off=count(records, "cut_off"),
        duration_s=duration_s,
        p50_s=percentile(times, 0.5),
        p95_s=percentile(times, 0.95),
        p99_s=percentile(times, 0.99),
        service_p99_s=percentile([one.service_s for one in records if one.is_answer], 0.99),
        first_image_p95_s=percentile(firsts, 0.95),
        vae_first_share=sum(orders) / len(orders) if orders else None,
        lateness_p99_s=percentile([one.sent_s - one.due_s for one in sent], 0.99),
        error_share=sum(one.is_failure for one in records) / len(records) if records else 0.0,
        sets_per_minute=60 * sets / duration_s if duration_s > 0 else 0.0,
        repeats=sum(record.repeat for record in records),
    )


def whole_streams(records: Iterable[Record]) -> list[Record]:
    """Return the streams that were waited for to the end."""
    return [record for record in records if record.kind == "stream" and record.is_answer]


def count(records: Iterable[Record], outcome: str) -> int:
    """Return how many requests ended so."""
    return sum(record.outcome == outcome for record in records)


@dataclass(frozen=True)
class Series:
    """What happened in each span of time; `edges_s` has one more value than the others.

    A request counts where it was due: its arrival and its time. Answers and failures count where
    they came.
    """

    edges_s: list[float]
    arrivals_per_s: list[float]
    correct_per_s: list[float]
    failures: list[int]
    p50_s: list[float | None]
    p95_s: list[float | None]

    @property
    def widths_s(self) -> list[float]:
        """The length of each span; the last one takes what is left of the run."""
        return [end - start for start, end in pairwise(self.edges_s)]


def series(records: Sequence[Record], duration_s: float) -> Series:
    """Return a run's series; moments are seconds since its start."""
    width_s = choose_width(duration_s, len(records))
    spans = max(1, round(duration_s / width_s))
    due: list[list[Record]] = [[] for _ in range(spans)]
    done: list[list[Record]] = [[] for _ in range(spans)]
    for record in records:
        due[place(record.due_s, width_s, spans)].append(record)
        done[place(record.done_s, width_s, spans)].append(record)
    times = [[one.latency_s for one in span if one.is_answer] for span in due]
    edges_s = [index * width_s for index in range(spans)]
    edges_s.append(max(duration_s, edges_s[-1] + width_s / 2))
    widths_s = [end - start for start, end in pairwise(edges_s)]
    return Series(
        edges_s=edges_s,
        arrivals_per_s=[len(span) / wide for span, wide in zip(due, widths_s, strict=True)],
        correct_per_s=[count(span, "ok") / wide for span, wide in zip(done, widths_s, strict=True)],
        failures=[sum(one.is_failure for one in span) for span in done],
        p50_s=[percentile(span, 0.5) for span in times],
        p95_s=[percentile(span, 0.95) for span in times],
    )


def choose_width(duration_s: float, requests: int) -> float:
    """Return a round length for one span: with enough requests in it, yet short enough."""
    for width_s in BINS_S:
        spans = duration_s / width_s
        if spans <= MOST_SPANS and (requests / spans >= ENOUGH_REQUESTS or spans <= FEWEST_SPANS):
            return float(width_s)
    return float(BINS_S[-1])


def place(moment_s: float, width_s: float, spans: int) -> int:
    """Return the span of a moment; what lies outside counts in the nearest one."""
    return min(max(0, int(moment_s // width_s)), spans - 1)


def in_flight(records: Sequence[Record], moments_s: Sequence[float]) -> list[int]:
    """Return how many requests were open at each moment."""
    sent = sorted(record.sent_s for record in records if record.outcome != "dropped")
    done = sorted(record.done_s for record in records if record.outcome != "dropped")
    counts, opened, closed = [], 0, 0
    for moment_s in moments_s:
        while opened < len(sent) and sent[opened] <= moment_s:
            opened += 1
        while closed < len(done) and done[closed] <= moment_s:
            closed += 1
        counts.append(opened - closed)
    return counts
