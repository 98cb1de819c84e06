"""The last words of a run: what was sent, which checks failed, how long it took, good or bad."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from locust.env import Environment
from locust.stats import RequestStats, StatsEntry, StatsError

from loadtests.messages import read_names

PAIRS_NAME = "/v1/pairs"
OVERLOAD_NAMES = {429: "/v1/pairs [429]", 503: "/v1/pairs [503]"}


@dataclass(frozen=True)
class Summary:
    """The figures of one run; times in seconds.

    `answers` are requests that were not turned away as overloaded. The times are those of all
    the answers, failed ones too.
    """

    answers: int
    failed_answers: int
    overloaded: int
    failed_requests: int
    user_errors: int
    failed_checks: dict[str, int]
    median_s: float
    p95_s: float
    duration_s: float

    @property
    def correct(self) -> int:
        """The number of answers that passed every check."""
        return self.answers - self.failed_answers

    @property
    def exit_code(self) -> int:
        """0 where something succeeded and nothing failed, else 1."""
        return 0 if self.correct and not self.failed_requests and not self.user_errors else 1

    def text(self) -> str:
        """Return the summary as a few lines."""
        checks = ", ".join(f"{name} {count}" for name, count in self.failed_checks.items())
        per_minute = 60 * self.correct / self.duration_s if self.duration_s else 0.0
        lines = [
            f"Requests: {self.answers + self.overloaded} in {self.duration_s:.1f} s "
            f"({self.correct} correct, {self.failed_answers} wrong or failed, "
            f"{self.overloaded} turned away as overloaded)",
            f"Failed checks: {checks or 'none'}",
            f"Seconds per answer: median {self.median_s:.2f}, p95 {self.p95_s:.2f}",
            f"Correct paired sets a minute: {per_minute:.1f}",
        ]
        if self.user_errors:
            lines.append(f"Errors in the load test itself: {self.user_errors}")
        return "\n".join(lines) + "\n"


def summarize(environment: Environment) -> Summary:
    """Read the figures of a run from Locust's own statistics, workers' share included."""
    stats = environment.stats
    pairs = entry_of(stats, PAIRS_NAME)
    overloads = [entry_of(stats, name) for name in OVERLOAD_NAMES.values()]
    exceptions = environment.runner.exceptions if environment.runner else {}
    return Summary(
        answers=pairs.num_requests,
        failed_answers=pairs.num_failures,
        overloaded=sum(entry.num_requests for entry in overloads),
        failed_requests=stats.total.num_failures,
        user_errors=sum(error["count"] for error in exceptions.values()),
        failed_checks=count_failed_checks(stats),
        median_s=pairs.get_response_time_percentile(0.5) / 1000,
        p95_s=pairs.get_response_time_percentile(0.95) / 1000,
        duration_s=duration_s(stats.total),
    )


def entry_of(stats: RequestStats, name: str) -> StatsEntry:
    """Return the figures of one name, an empty entry where there were no such requests."""
    # Not stats.get(): that one would add an empty row to the table that Locust prints.
    empty = StatsEntry(stats, name, "POST")
    return stats.entries.get((name, "POST"), empty)


def duration_s(total: StatsEntry) -> float:
    """Return the time from the start of the run to its last answer, in seconds."""
    last = total.last_request_timestamp
    return max(0.0, last - total.start_time) if last else 0.0


def count_failed_checks(stats: RequestStats) -> dict[str, int]:
    """Return for each check the number of requests that failed it, the most frequent first."""
    counts: Counter[str] = Counter()
    for error in stats.errors.values():
        for name in read_names(message_of(error)):
            counts[name] += error.occurrences
    return dict(counts.most_common())


def message_of(error: StatsError) -> str:
    """Return the text of a failure: an exception here, already text where a worker sent it."""
    return error.error if isinstance(error.error, str) else str(error.error)
