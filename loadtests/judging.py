"""Whether one answer is right: which checks it fails, and what that makes of the request."""

from __future__ import annotations

from dataclasses import dataclass, field

from loadtests.asks import Ask
from loadtests.backpressure import retry_after_s
from loadtests.calls import Answer
from loadtests.checks import (
    Checked,
    Failure,
    Pictures,
    check_answer,
    check_same_pixels,
    check_status_code,
)
from loadtests.events import check_beginning, check_events
from loadtests.sweep_checks import check_sweep

OVERLOADS = (429, 503)

# A service that cannot be reached fails at once; without a pause a user would only spin.
NO_ANSWER_PAUSE_S = 1.0


@dataclass
class Verdict:
    """What became of a request.

    `outcome` is `ok`, `wrong` (it came, and a check failed), `failed` (it did not come),
    `overloaded`, `left`, `dropped` (it was never sent), or `cut_off` (the run ended before it
    came). `sets` counts correct sets.
    """

    outcome: str
    failures: list[Failure] = field(default_factory=list)
    pictures: Pictures | None = None
    sets: int = 0
    pause_s: float = 0.0


def judge(
    ask: Ask, answer: Answer, first: Pictures | None = None, accept_overload: bool = False
) -> Verdict:
    """Judge one answer; `first` holds the pictures of an earlier answer to the same request."""
    if answer.status in OVERLOADS:
        return judge_overload(answer, accept_overload)
    if answer.left:
        return judge_left(ask, answer)
    if answer.status == 0:
        failure = Failure("no_answer", answer.error)
        return Verdict("failed", [failure], pause_s=NO_ANSWER_PAUSE_S)
    if failures := check_status_code(answer.status, answer.body):
        return Verdict("failed", failures)
    checked = check(ask, answer)
    failures = list(checked.failures)
    if first is not None:
        failures += check_same_pixels(first, checked.pictures, ask.expected)
    if any(failure.check == "stream_error" for failure in failures):
        # The service says itself that it failed: an error, not a wrong answer.
        return Verdict("failed", failures)
    if failures:
        return Verdict("wrong", failures, checked.pictures)
    return Verdict("ok", [], checked.pictures, sets=len(checked.pictures))


def check(ask: Ask, answer: Answer) -> Checked:
    """Check a 200 answer by its kind."""
    if ask.is_stream:
        return check_events(answer.events, ask.expected)
    if ask.expected.factors:
        return check_sweep(answer.body, ask.expected)
    return check_answer(answer.body, ask.expected)


def judge_overload(answer: Answer, accepted: bool) -> Verdict:
    """Judge a refusal: whoever was refused waits as long as the service asks."""
    pause_s = retry_after_s(answer.retry_after)
    detail = f"{answer.status}, to be tried again in {pause_s:.0f} s"
    failures = [] if accepted else [Failure("overloaded", detail)]
    return Verdict("overloaded", failures, pause_s=pause_s)


def judge_left(ask: Ask, answer: Answer) -> Verdict:
    """Judge what came before the caller left: no error, and nothing out of order."""
    failures = check_status_code(answer.status, answer.body) if answer.status else []
    if ask.is_stream:
        failures = failures + check_beginning(answer.events)
    return Verdict("failed" if failures else "left", failures)
