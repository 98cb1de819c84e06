"""Users who ask for paired sets, streams and sweeps, and check every answer they get.

Run it from the root of the repository: `locust --config loadtests/locust.conf`.
"""

from __future__ import annotations

import sys
import threading
from argparse import Namespace
from collections.abc import Callable
from typing import Any, cast

from locust import LoadTestShape, User, events, task
from locust.argument_parser import LocustArgumentParser
from locust.env import Environment
from locust.event import EventHook
from locust.exception import StopUser
from locust.runners import LocalRunner, WorkerRunner

from loadtests.flags import add_options
from loadtests.loops import ClosedLoop, Loop, OpenLoop
from loadtests.options import read_options
from loadtests.preflight import objection
from loadtests.run import Run
from loadtests.shapes import plan, users_at

DEFAULT_RUN_TIME_S = 60.0
MOST_SPAWNED_PER_S = 100


class Caller(User):
    """One caller of a closed loop, or one source of arrivals of an open loop."""

    loop: Loop

    def on_start(self) -> None:
        """Take up the conduct that the options ask for."""
        shared = run.shared
        self.loop = OpenLoop(shared) if shared.options.is_open else ClosedLoop(shared)

    def wait_time(self) -> float:
        """Return the seconds until the next step."""
        return self.loop.wait_s()

    @task
    def step(self) -> None:
        """Do what is due."""
        try:
            self.loop.step()
        except StopUser:
            end_when_all_are_done(self.environment)
            raise

    def on_stop(self) -> None:
        """See to what is under way."""
        # Locust's own patience does not count here: it waits for this method without end.
        self.loop.finish(float(self.environment.stop_timeout or 0))


class Shape(LoadTestShape):
    """The stages that `--shape`, `--users` and `--run-time` amount to."""

    use_common_options = True
    is_over = False

    def tick(self) -> tuple[int, float] | None:
        """Return the users of this moment and how many start or stop a second; None at the end."""
        known = self.runner.environment.parsed_options if self.runner else Namespace()
        options = read_options(known)
        stages = plan(
            options.shape,
            known.num_users or 1,
            float(known.run_time or DEFAULT_RUN_TIME_S),
            options.base_users,
            options.stairs,
        )
        users = users_at(stages, self.get_run_time())
        if users is None or self.is_over:
            return None
        # A step is a step: all at once, as far as Locust can.
        return (users, min(known.num_users or 1, MOST_SPAWNED_PER_S))


def end_when_all_are_done(environment: Environment) -> None:
    """Quit when every user has done its `--iterations`."""
    runner = environment.runner
    # In a worker process only the master knows whether others are still at work.
    if isinstance(runner, LocalRunner) and run.shared.users_done >= runner.target_user_count:
        # From a thread of its own: quitting waits for this very user to end.
        threading.Thread(target=runner.quit, daemon=True).start()


def listen(hook: EventHook, listener: Callable[..., None]) -> None:
    """Register a listener with one of Locust's events, whose method carries no types."""
    cast(Any, hook).add_listener(listener)


def on_options(parser: LocustArgumentParser, **_: object) -> None:
    """Add the kit's options."""
    add_options(parser)


def on_init(environment: Environment, **_: object) -> None:
    """Leave a constant load to Locust itself: its web page, its counts and its end.

    Raises:
        SystemExit: there is nobody to test.
    """
    options = read_options(environment.parsed_options or Namespace())
    if options.shape == "constant":
        environment.shape_class = None
    # On Locust's web page the host can still be changed; workers are told where to go.
    if environment.web_ui or isinstance(environment.runner, WorkerRunner) or not environment.host:
        return
    if words := objection(environment.host, options):
        sys.stderr.write(f"twinset: {words}\n")
        raise SystemExit(1)


run = Run()
listen(events.init_command_line_parser, on_options)
listen(events.init, on_init)
listen(events.test_start, run.start)
listen(events.test_stopping, run.tell_of_waiting)
listen(events.test_stop, run.stop_sampling)
listen(events.report_to_master, run.report_to_master)
listen(events.worker_report, run.take_report)
listen(events.quitting, run.end)
