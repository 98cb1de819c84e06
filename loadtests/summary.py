"""The last words of a run: what was sent, which checks failed, how long it took, good or bad."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

from loadtests.figures import Figures, measure
from loadtests.objectives import Judged, judge
from loadtests.records import Record

# Beyond this, and this share of the usual time, the times say too much of the generator.
NOTICED_LATENESS_S = 0.1
NOTICED_SHARE = 0.1

NO_FAULT = "no objective missed, nothing wrong"


@dataclass(frozen=True)
class Summary:
    """The figures of one run, its objectives, and how often each check failed."""

    figures: Figures
    judged: list[Judged]
    failed_checks: dict[str, int]
    user_errors: int = 0

    @property
    def faults(self) -> list[str]:
        """What speaks against the run, as sentences; none when it is good."""
        figures = self.figures
        faults = [str(one) for one in self.judged if one.is_met is False]
        if not figures.correct:
            faults.append("no answer was correct")
        if figures.wrong:
            faults.append(f"{figures.wrong} answers were wrong: {self.named_checks()}")
        elif figures.error_share and not any(one.key == "error_share" for one in self.judged):
            faults.append(f"requests failed: {self.named_checks()}")
        if self.user_errors:
            faults.append(f"the load test itself had {self.user_errors} errors")
        return faults

    @property
    def exit_code(self) -> int:
        """0 where no objective was missed and nothing was wrong, else 1."""
        return 1 if self.faults else 0

    def named_checks(self) -> str:
        """Return the failed checks with their counts."""
        return ", ".join(f"{name} {count}" for name, count in self.failed_checks.items()) or "none"

    def text(self) -> str:
        """Return the summary as a few lines."""
        figures = self.figures
        failed = figures.wrong + figures.failed + figures.dropped
        lines = [
            f"Requests: {figures.requests} in {figures.duration_s:.1f} s "
            f"({figures.correct} correct, {failed} wrong or failed, "
            f"{figures.overloaded} turned away as overloaded, {figures.left} left by the caller"
            + (f", {figures.cut_off} cut off by the end of the run" if figures.cut_off else "")
            + ")",
            f"Repeated to compare the pixels: {figures.repeats}",
            f"Failed checks: {self.named_checks()}",
            f"Seconds per answer: median {write_s(figures.p50_s)}, p95 {write_s(figures.p95_s)}, "
            f"p99 {write_s(figures.p99_s)}",
            f"Seconds to a stream's first image: p95 {write_s(figures.first_image_p95_s)}"
            + write_order(figures),
            f"Correct sets a minute: {figures.sets_per_minute:.1f}",
            *self.warnings(),
            *(f"Objective {one}" for one in self.judged),
            "Verdict: " + ("; ".join(self.faults) or NO_FAULT),
        ]
        return "\n".join(lines) + "\n"

    def warnings(self) -> list[str]:
        """Return what makes the figures doubtful."""
        late_s, usual_s = self.figures.lateness_p99_s, self.figures.p50_s or 0.0
        if late_s is None or late_s < max(NOTICED_LATENESS_S, NOTICED_SHARE * usual_s):
            return []
        return [
            f"The generator itself was late: p99 {late_s:.2f} s, which the times contain. "
            "Use more workers."
        ]

    def as_json(self) -> dict[str, object]:
        """Return the summary for the raw data."""
        return {
            "verdict": "good" if not self.faults else "bad",
            "faults": self.faults,
            "figures": asdict(self.figures),
            "objectives": [{**asdict(one), "met": one.is_met} for one in self.judged],
            "failed_checks": self.failed_checks,
            "warnings": self.warnings(),
        }


def write_s(value: float | None) -> str:
    """Return seconds with two digits, or a dash."""
    return "-" if value is None else f"{value:.2f}"


def write_order(figures: Figures) -> str:
    """Return in how many streams the VAE's image came first."""
    share = figures.vae_first_share
    return "" if share is None else f" (the VAE's first in {100 * share:.0f} % of them)"


def summarize(
    records: Sequence[Record],
    objectives: Mapping[str, float],
    user_errors: int = 0,
    start_s: float = 0.0,
) -> Summary:
    """Return the summary of a run."""
    figures = measure(records, start_s)
    return Summary(
        figures=figures,
        judged=judge(objectives, asdict(figures)),
        failed_checks=count_checks(records),
        user_errors=user_errors,
    )


def count_checks(records: Sequence[Record]) -> dict[str, int]:
    """Return for each check the number of requests that failed it, the most frequent first."""
    counts = Counter(name for record in records for name in record.checks)
    return dict(counts.most_common())
