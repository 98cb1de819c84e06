"""One visit: a request sent, judged, noted down, and told to Locust."""

from __future__ import annotations

import time
from importlib import import_module
from typing import Any

import requests
from locust.env import Environment

from loadtests.asks import Ask
from loadtests.calls import Answer, call
from loadtests.checks import Failure, Pictures
from loadtests.judging import Verdict, judge
from loadtests.messages import write_message
from loadtests.options import Options
from loadtests.records import Record
from loadtests.roles import VAE_SET

# Locust's engine. Imported by name, for it carries no types.
gevent: Any = import_module("gevent")

# From readings of the clock that measures to seconds since 1970, once for the whole process: the
# clock of the day may be set while a run goes on.
EPOCH_S = time.time() - time.perf_counter()


class CheckError(Exception):
    """The failed checks of one request, in the words of Locust's failure table."""


class Visits:
    """Makes visits for all users of this process and keeps their records."""

    def __init__(self, environment: Environment, options: Options) -> None:
        """Start with no records."""
        self.records: list[Record] = []
        self._environment = environment
        self._options = options

    def make(
        self, session: requests.Session, ask: Ask, due_s: float, first: Pictures | None = None
    ) -> Verdict:
        """Send one request that was due at `due_s` (a reading of `time.perf_counter`).

        `first` holds the pictures of an earlier answer that this one must equal.
        """
        options, sent_s = self._options, time.perf_counter()
        try:
            answer = call(
                session,
                self._environment.host or "",
                ask,
                options.headers(),
                options.request_timeout_s,
            )
        except gevent.GreenletExit:
            # The run is over: that is no fault of the service, and its age counts as its time.
            answer = Answer(sent_s, time.perf_counter())
            self.note(ask, answer, Verdict("cut_off"), due_s, first is not None)
            raise
        verdict = judge(ask, answer, first, options.accept_overload)
        self.note(ask, answer, verdict, due_s, first is not None)
        return verdict

    def drop(self, ask: Ask, due_s: float) -> None:
        """Note an arrival that was not sent, because too many requests were open."""
        failure = Failure("dropped_arrival", f"{self._options.max_in_flight} requests were open")
        self.note(ask, Answer(due_s, due_s), Verdict("dropped", [failure]), due_s, False)

    def note(
        self, ask: Ask, answer: Answer, verdict: Verdict, due_s: float, is_repeat: bool
    ) -> None:
        """Keep the record of one request and count it in Locust's tables."""
        first_s = answer.first_image_s
        record = Record(
            kind=ask.kind,
            due_s=EPOCH_S + due_s,
            sent_s=EPOCH_S + answer.sent_s,
            done_s=EPOCH_S + answer.done_s,
            outcome=verdict.outcome,
            status=answer.status,
            sets=verdict.sets,
            first_image_s=None if first_s is None else first_s - due_s,
            vae_first=was_vae_first(ask, answer),
            repeat=is_repeat,
            checks=tuple(dict.fromkeys(failure.check for failure in verdict.failures)),
        )
        self.records.append(record)
        self.tell_locust(ask, record, answer, verdict)

    def tell_locust(self, ask: Ask, record: Record, answer: Answer, verdict: Verdict) -> None:
        """Count the request under its name; refusals stand apart, so as not to flatter times."""
        name = ask.name
        if verdict.outcome == "overloaded":
            name = f"{ask.path} [{answer.status}]"
        elif verdict.outcome in ("dropped", "cut_off"):
            name = f"{ask.path} [{verdict.outcome.replace('_', ' ')}]"
        # Locust groups failures by their text.
        error = CheckError(write_message(verdict.failures)) if verdict.failures else None
        self._environment.events.request.fire(
            request_type="POST",
            name=name,
            response_time=1000 * record.latency_s,
            response_length=answer.length_bytes,
            exception=error,
            context={},
            start_time=record.due_s,
            url=ask.path,
        )


def was_vae_first(ask: Ask, answer: Answer) -> bool | None:
    """Say whether the first image of a stream of both sets was the VAE's; None for all else."""
    if not ask.is_stream or len(ask.expected.sets) < 2:
        return None
    roles = [event.fields.get("role") for event in answer.events if event.name == "image"]
    return roles[0] == VAE_SET if roles else None
