"""Users who ask for paired sets and check every answer they get.

Run it from the root of the repository: `locust --config loadtests/locust.conf`.
"""

from __future__ import annotations

import itertools
import logging
import random
import sys
import threading
from argparse import Namespace
from collections.abc import Callable
from functools import partial
from typing import Any, cast

from locust import HttpUser, events, task
from locust.argument_parser import LocustArgumentParser
from locust.clients import ResponseContextManager
from locust.env import Environment
from locust.event import EventHook
from locust.exception import StopUser
from locust.runners import LocalRunner, WorkerRunner

from loadtests.backpressure import retry_after_s
from loadtests.checks import (
    Checked,
    Expected,
    Failure,
    check_answer,
    check_same_pixels,
    check_status_code,
)
from loadtests.faces import Face, draw_faces
from loadtests.interruption import Interruption
from loadtests.messages import write_message
from loadtests.options import add_options, read_options
from loadtests.replicas import ReplicaSampler, fetch
from loadtests.summary import OVERLOAD_NAMES, PAIRS_NAME, summarize

# A service that cannot be reached fails at once; without a pause a user would only spin.
NO_ANSWER_PAUSE_S = 1.0

# Far enough apart that the request numbers of two worker processes never meet.
NUMBERS_PER_WORKER = 2**20

logger = logging.getLogger(__name__)


class PairsUser(HttpUser):
    """One caller in a closed loop: the next request leaves when the last answer is checked."""

    def on_start(self) -> None:
        """Take over the options of this run."""
        self.options = read_options(self.environment.parsed_options or Namespace())
        self.pause_s = 0.0
        self.done = 0

    def wait_time(self) -> float:
        """Return the seconds until the next request: none, except where the service is full.

        Waiting here, not in the task, lets a user who waits be stopped at once.
        """
        return self.pause_s

    @task
    def ask_for_pairs(self) -> None:
        """Send one request, and on a sample of them the same request again."""
        number = run.next_number(self.environment)
        seed = self.options.seed(number)
        face = draw_faces()[number % len(draw_faces())]
        self.pause_s = 0.0
        first = self.post(face, seed, None)
        if first and run.dice.random() < self.options.repeat_share:
            self.post(face, seed, first)
        self.count_iteration()

    def post(self, face: Face, seed: int, first: Checked | None) -> Checked | None:
        """Send one request and judge its answer; returns what a 200 answer held."""
        with self.client.post(
            PAIRS_NAME,
            name=PAIRS_NAME,
            data=self.options.fields(seed),
            files={"image": (face.filename, face.data, face.content_type)},
            headers=self.options.headers(),
            timeout=self.options.request_timeout_s,
            catch_response=True,
        ) as response:
            return self.judge(response, self.options.expected(seed), first)

    def judge(
        self, response: ResponseContextManager, expected: Expected, first: Checked | None
    ) -> Checked | None:
        """Mark one answer as a success or a failure; `first` is the answer it must resemble."""
        if response.status_code == 0:
            self.pause_s = NO_ANSWER_PAUSE_S
            mark(response, [Failure("no_answer", str(response.error))])
            return None
        if response.status_code in OVERLOAD_NAMES:
            self.judge_overload(response)
            return None
        body = response.content
        if failures := check_status_code(response.status_code, body):
            mark(response, failures)
            return None
        checked = check_answer(body, expected)
        repeated = check_same_pixels(first.pictures, checked.pictures, expected) if first else []
        mark(response, checked.failures + repeated)
        return checked

    def judge_overload(self, response: ResponseContextManager) -> None:
        """Count an overload under a name of its own, and wait as long as the service asks."""
        self.pause_s = retry_after_s(response.headers.get("Retry-After"))
        cast(dict[str, Any], response.request_meta)["name"] = OVERLOAD_NAMES[response.status_code]
        detail = f"{response.status_code}, to be tried again in {self.pause_s:.0f} s"
        failures = [] if self.options.accept_overload else [Failure("overloaded", detail)]
        mark(response, failures)

    def count_iteration(self) -> None:
        """End this user, and with the last one the run, after `--iterations` requests."""
        self.done += 1
        if self.options.iterations and self.done >= self.options.iterations:
            run.end_user(self.environment)
            raise StopUser


def mark(response: ResponseContextManager, failures: list[Failure]) -> None:
    """Mark a request as failed, by the names of its failed checks, or as a success."""
    # Locust's two methods carry no types.
    marked = cast(Any, response)
    if failures:
        marked.failure(write_message(failures))
    else:
        marked.success()


class Run:
    """What the users of one run share, and what happens at its start and its end."""

    def __init__(self) -> None:
        """Prepare for the first run."""
        self.dice = random.Random(0)
        self.sampler: ReplicaSampler | None = None
        self.interruption: Interruption | None = None
        self._numbers = itertools.count()
        self._users_done = 0

    def next_number(self, environment: Environment) -> int:
        """Return the next request number; each worker process counts in a range of its own."""
        worker = max(0, getattr(environment.runner, "worker_index", 0))
        return worker * NUMBERS_PER_WORKER + next(self._numbers)

    def end_user(self, environment: Environment) -> None:
        """Note that a user has done its iterations; quit when it was the last one."""
        runner = environment.runner
        self._users_done += 1
        # In a worker process only the master knows whether others are still at work.
        if isinstance(runner, LocalRunner) and self._users_done >= runner.target_user_count:
            # From a thread of its own: quitting waits for this very user to end.
            threading.Thread(target=runner.quit, daemon=True).start()

    def start(self, environment: Environment) -> None:
        """Begin a run: start counting anew, and begin to sample the replicas."""
        self._numbers = itertools.count()
        self._users_done = 0
        if environment.runner and not environment.web_ui:
            self.interruption = Interruption(environment.runner)
        if environment.host and not isinstance(environment.runner, WorkerRunner):
            url = environment.host.rstrip("/") + "/v1/models"
            headers = read_options(environment.parsed_options or Namespace()).headers()
            self.sampler = ReplicaSampler(partial(fetch, url, headers))
            self.sampler.start()

    def end(self, environment: Environment) -> None:
        """End a run: let users finish what is under way, then decide on the exit code."""
        if environment.runner is None or isinstance(environment.runner, WorkerRunner):
            return
        try:
            # When it is told to end from outside, Locust would judge first and stop users later.
            environment.runner.stop()
            environment.runner.quit()
        except KeyboardInterrupt:
            logger.warning("Interrupted again: answers still under way are not counted.")
        summary = summarize(environment)
        environment.process_exit_code = summary.exit_code
        # Locust prints its own tables between `quitting` and `quit`; the last words are ours.
        report = "\n" + (self.sampler.log.table() if self.sampler else "") + "\n" + summary.text()
        listen(environment.events.quit, partial(write_report, report, is_json(environment)))


def is_json(environment: Environment) -> bool:
    """Say whether Locust was asked to write JSON to standard output."""
    return bool(getattr(environment.parsed_options, "json", False))


def write_report(report: str, to_stderr: bool, **_: object) -> None:
    """Write the last lines of a run, away from standard output where JSON goes there."""
    stream = sys.stderr if to_stderr else sys.stdout
    stream.write(report)
    stream.flush()


def listen(hook: EventHook, listener: Callable[..., None]) -> None:
    """Register a listener with one of Locust's events, whose method carries no types."""
    cast(Any, hook).add_listener(listener)


def on_options(parser: LocustArgumentParser, **_: object) -> None:
    """Add the kit's options."""
    add_options(parser)


def on_start(environment: Environment, **_: object) -> None:
    """Begin a run."""
    run.start(environment)


def on_stop(**_: object) -> None:
    """Sample no more: after the run the replicas say nothing about it."""
    if run.sampler:
        run.sampler.stop()


def on_quitting(environment: Environment, **_: object) -> None:
    """End a run."""
    run.end(environment)


run = Run()
listen(events.init_command_line_parser, on_options)
listen(events.test_start, on_start)
listen(events.test_stop, on_stop)
listen(events.quitting, on_quitting)
