"""What became of each request of the traffic, and the table that says so."""

from collections import Counter
from dataclasses import dataclass, field

BROKEN = "connection_broken"
LEFT = "left"


@dataclass(frozen=True)
class Finished:
    """What became of one request.

    Attributes:
        kind: of request.
        status: of the answer; None without one.
        code: in the envelope or the last event of a stream; `connection_broken`, `left`, or "".
        started_s: on the clock of `time.monotonic()`.
        taken_s: until the last byte of the answer.
        deadline_s: what was asked for.
        wrong: what is wrong with the answer, in words; "" when nothing is.
        is_right: the images, or the refusal, that a service that works answers with.
    """

    kind: str
    status: int | None
    code: str
    started_s: float
    taken_s: float
    deadline_s: float
    wrong: str
    is_right: bool


@dataclass
class Tally:
    """All that finished, growing while the traffic runs; prints as a table."""

    finished: list[Finished] = field(default_factory=list)

    @property
    def wrong(self) -> list[Finished]:
        """Return those that a service may never answer with."""
        return [one for one in self.finished if one.wrong]

    @property
    def answered(self) -> list[Finished]:
        """Return those whose callers stayed."""
        return [one for one in self.finished if one.code != LEFT]

    @property
    def share_right(self) -> float:
        """Return which share of those who stayed got what they should."""
        return sum(one.is_right for one in self.answered) / max(1, len(self.answered))

    def since(self, moment_s: float) -> "Tally":
        """Return the tally of what was started after a moment of `time.monotonic()`."""
        return Tally([one for one in self.finished if one.started_s >= moment_s])

    def __str__(self) -> str:
        """Return counts and times by kind, status and code, and the wrong ones in words."""
        groups = Counter((one.kind, one.status, one.code) for one in self.finished)
        lines = [f"{'kind':12}{'status':>7} {'code':22}{'count':>6}{'p50 s':>8}{'p95 s':>8}"]
        for (kind, status, code), count in sorted(groups.items(), key=str):
            key = (kind, status, code)
            taken = [one.taken_s for one in self.finished if _key(one) == key]
            times = f"{quantile(taken, 0.5):8.2f}{quantile(taken, 0.95):8.2f}"
            lines.append(f"{kind:12}{status or '-':>7} {code:22}{count:6d}{times}")
        right = sum(one.is_right for one in self.answered)
        share = f"{100 * self.share_right:.2f} %"
        lines.append(f"{right} of {len(self.answered)} right ({share}), {len(self.wrong)} wrong")
        lines += [f"  {one.kind} after {one.taken_s:.1f} s: {one.wrong}" for one in self.wrong[:20]]
        return "\n".join(lines)


def _key(one: Finished) -> tuple[str, int | None, str]:
    return one.kind, one.status, one.code


def quantile(values: list[float], share: float) -> float:
    """Return the smallest value that `share` of all do not exceed; 0 without any."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0
