"""What was promised, beside what was measured: met or missed, by rules alone."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from benchmarks.side_by_side.arms import ARMS, DIFFUSERS, NOTEBOOK, TWINSET, TWINSET_HTTP, Arm
from benchmarks.side_by_side.figures import Measure, by_repetition, rows
from benchmarks.side_by_side.ratios import Ratio, quantile, ratio
from benchmarks.side_by_side.records import MAX_DIFFERENCE, Burst, Run

Sense = Literal["at least", "at most", "below"]
Judgement = Literal["met", "missed", "not measured"]
_NAMES: dict[Measure, str] = {
    "sets_per_min": "sets a minute",
    "set_s": "seconds a set",
    "p95_s": "p95",
}


@dataclass(frozen=True)
class Target:
    """A ratio of medians and its bound.

    Attributes:
        above: the arm whose measure is divided.
        above_clients: how many of its clients ask at the same time.
        below: the arm by whose measure it is divided.
        below_clients: likewise.
        measure: of both.
        sense: which side of the bound is right; "below" leaves the bound itself out.
        bound: of the ratio.
    """

    above: Arm
    above_clients: int
    below: Arm
    below_clients: int
    measure: Measure
    sense: Sense
    bound: float

    @property
    def words(self) -> str:
        """Return the target as a sentence without the bound."""
        sides = [(self.above, self.above_clients), (self.below, self.below_clients)]
        named = [f"{arm.title}{_at(arm, clients)}" for arm, clients in sides]
        return f"{_NAMES[self.measure]}: {named[0]} / {named[1]}"

    def holds(self, figure: float) -> bool:
        """Say whether a ratio is on the right side."""
        if self.sense == "at least":
            return figure >= self.bound
        return figure < self.bound if self.sense == "below" else figure <= self.bound


@dataclass(frozen=True)
class Verdict:
    """One line of the table.

    Attributes:
        target: in words.
        bound: in words.
        figure: in words.
        interval: in words, "" where the figure is counted.
        judgement: by the figure.
        is_clear: the whole interval is on the same side as the figure.
    """

    target: str
    bound: str
    figure: str
    interval: str
    judgement: Judgement
    is_clear: bool = True


def targets() -> Iterator[Target]:
    """Yield every ratio that was promised."""
    yield Target(TWINSET, 1, NOTEBOOK, 1, "sets_per_min", "at least", 1.8)
    yield Target(TWINSET, 1, DIFFUSERS, 1, "sets_per_min", "at least", 1.0)
    yield Target(TWINSET_HTTP, 1, TWINSET, 1, "set_s", "at most", 1.10)
    yield Target(TWINSET_HTTP, 16, TWINSET, 1, "sets_per_min", "at least", 0.90)
    for arm in ARMS:
        if arm.form == "documented":
            for clients in (4, 16):
                yield _against(arm, clients, "sets_per_min", "at least", 1.3)
                yield _against(arm, clients, "p95_s", "below", 1.0)
    for arm in ARMS:
        if arm.form == "expert":
            for clients in (1, 4, 16):
                yield _against(arm, clients, "sets_per_min", "at least", 1.0)
                yield _against(arm, clients, "p95_s", "at most", 1.0)


def verdicts(run: Run) -> list[Verdict]:
    """Judge a run by every target."""
    return [
        *(_judge(run, target) for target in targets()),
        _encoder_calls(run),
        _pixels(run),
    ]


def _against(arm: Arm, clients: int, measure: Measure, sense: Sense, bound: float) -> Target:
    return Target(TWINSET_HTTP, clients, arm, clients, measure, sense, bound)


def _judge(run: Run, target: Target) -> Verdict:
    bound = f"{target.sense} {target.bound:.2f}"
    above = run.of(target.above.key, target.above_clients)
    below = run.of(target.below.key, target.below_clients)
    if not above or not below:
        return Verdict(target.words, bound, "-", "", "not measured")
    if not any(burst.right for burst in above):
        return Verdict(target.words, bound, "no right set", "", "missed")
    if not any(burst.right for burst in below):
        return Verdict(target.words, bound, "the other made no right set", "", "met")
    found = _ratio(above, below, target.measure)
    holds = target.holds(found.figure)
    return Verdict(
        target=target.words,
        bound=bound,
        figure=f"{found.figure:.3f}",
        interval=f"{found.low:.3f} to {found.high:.3f}",
        judgement="met" if holds else "missed",
        is_clear=target.holds(found.low) == target.holds(found.high) == holds,
    )


def _ratio(above: Sequence[Burst], below: Sequence[Burst], measure: Measure) -> Ratio:
    whole = min(len(above), len(below))  # a run that was stopped may have half a repetition
    found = ratio(by_repetition(above[:whole], measure), by_repetition(below[:whole], measure))
    if measure != "p95_s":
        return found
    # The figure is of all sets together: the few of one repetition have no 95th percentile.
    return Ratio(_p95_s(above) / _p95_s(below), found.low, found.high)


def _p95_s(bursts: Sequence[Burst]) -> float:
    taken = quantile([one.latency_s for burst in bursts for one in burst.right], 0.95)
    return float("inf") if taken is None else taken


def _encoder_calls(run: Run) -> Verdict:
    counts = {row.arm: row.encoder_calls for row in rows(run) if row.arm in (DIFFUSERS, TWINSET)}
    ours, theirs = counts.get(TWINSET, ()), counts.get(DIFFUSERS, ())
    words = f"image encoder's calls a set: {TWINSET.title} against {DIFFUSERS.title}"
    if not ours or not theirs:
        return Verdict(words, "1 against 10", "-", "", "not measured")
    is_met = ours == (1,) and theirs == (10,)
    figure = " against ".join(", ".join(map(str, one)) for one in (ours, theirs))
    return Verdict(words, "1 against 10", figure, "", "met" if is_met else "missed")


def _pixels(run: Run) -> Verdict:
    mine = [row for row in rows(run) if row.arm.runs == TWINSET.runs]
    found = [row.max_difference for row in mine if row.max_difference is not None]
    words = f"pixels of every set of Twinset's against {DIFFUSERS.title}"
    bound = f"at most {MAX_DIFFERENCE} of 255"
    if not found:
        return Verdict(words, bound, "-", "", "not measured")
    is_met = max(found) <= MAX_DIFFERENCE and not any(row.failed for row in mine)
    failed = sum(row.failed for row in mine)
    figure = f"{max(found)} of 255" + (f", {failed} sets failed" if failed else "")
    return Verdict(words, bound, figure, "", "met" if is_met else "missed")


def _at(arm: Arm, clients: int) -> str:
    return f" at {clients}" if arm.is_server else ""
