"""A run from its start to its verdict, in Locust's own process and in those of its workers."""

from __future__ import annotations

import logging
import sys
import time
from argparse import Namespace
from functools import partial
from pathlib import Path
from typing import Any, cast

from locust.env import Environment
from locust.runners import MasterRunner, WorkerRunner

from loadtests.interruption import Interruption
from loadtests.loops import Shared
from loadtests.objectives import read_objectives
from loadtests.options import Options, read_options
from loadtests.records import Record, pack, unpack
from loadtests.replicas import fetch, table
from loadtests.sampling import Sampler
from loadtests.storing import RunFacts, describe_run, store
from loadtests.summary import Summary, summarize
from loadtests.visits import Visits

RECORDS = "twinset_records"

logger = logging.getLogger(__name__)


class Run:
    """What happens at the start and the end of a run, and what is known in between."""

    shared: Shared

    def __init__(self) -> None:
        """Prepare for the first run."""
        self.started_s = time.time()
        self.sampler: Sampler | None = None
        self.interruption: Interruption | None = None
        self._from_workers: list[Record] = []
        self._reported = 0
        self._models: bytes = b""

    def start(self, environment: Environment, **_: object) -> None:
        """Begin a run: start counting anew, and begin to sample the replicas."""
        self.started_s = time.time()
        self._from_workers, self._reported = [], 0
        is_worker = isinstance(environment.runner, WorkerRunner)
        if not is_worker:
            tell_workers(environment)
        options = read_options(environment.parsed_options or Namespace())
        index = int(getattr(environment.runner, "worker_index", 0))
        self.shared = Shared(options, Visits(environment, options), index)
        if environment.runner and not environment.web_ui:
            self.interruption = Interruption(environment.runner)
        if environment.host and not is_worker:
            url = environment.host.rstrip("/") + "/v1/models"
            read_models = partial(self._fetch_models, url, options)
            self.sampler = Sampler(read_models, lambda: count_users(environment))
            self.sampler.start()

    def _fetch_models(self, url: str, options: Options) -> bytes:
        self._models = fetch(url, options.headers())
        return self._models

    def tell_of_waiting(self, environment: Environment, **_: object) -> None:
        """Say that the end of a run takes as long as the answers that are under way."""
        if not isinstance(environment.runner, WorkerRunner):
            patience_s = float(environment.stop_timeout or 0)
            logger.info(
                "Waiting for the answers under way, %.0f s at most. Ctrl-C ends at once.",
                patience_s,
            )

    def stop_sampling(self, **_: object) -> None:
        """Sample no more: after the run the replicas say nothing about it."""
        if self.sampler:
            self.sampler.stop()

    def report_to_master(self, data: dict[str, object], **_: object) -> None:
        """Give the master the records since the last report; a worker does this."""
        if not hasattr(self, "shared"):
            return
        records = self.shared.visits.records
        data[RECORDS] = [pack(record) for record in records[self._reported :]]
        self._reported = len(records)

    def take_report(self, data: dict[str, object], **_: object) -> None:
        """Take the records of a worker; the master does this."""
        rows = cast(list[list[object]], data.get(RECORDS, []))
        self._from_workers += [unpack(row) for row in rows]

    def end(self, environment: Environment, **_: object) -> None:
        """End a run: let users finish what is under way, then decide on the exit code."""
        if environment.runner is None or isinstance(environment.runner, WorkerRunner):
            return
        try:
            # When it is told to end from outside, Locust would judge first and stop users later.
            environment.runner.stop()
            environment.runner.quit()
        except KeyboardInterrupt:
            logger.warning("Interrupted again: answers still under way are not counted.")
        if not hasattr(self, "shared"):
            return
        summary = self._summary(environment)
        environment.process_exit_code = summary.exit_code
        words = [self._replicas(), summary.text(), self._store(environment, summary)]
        # Locust prints its own tables between `quitting` and `quit`; the last words are ours.
        text = "\n" + "\n".join(word for word in words if word)
        hook = cast(Any, environment.events.quit)
        hook.add_listener(partial(write_last_words, text, is_json(environment)))

    def _summary(self, environment: Environment) -> Summary:
        exceptions = environment.runner.exceptions if environment.runner else {}
        objectives = self.shared.options.objectives
        return summarize(
            self._records(),
            read_objectives(Path(objectives)) if objectives else {},
            sum(error["count"] for error in exceptions.values()),
            self.started_s,
        )

    def _records(self) -> list[Record]:
        return self.shared.visits.records + self._from_workers

    def _replicas(self) -> str:
        sampler = self.sampler
        return table(sampler.ticks, self.started_s, sampler.trouble) if sampler else ""

    def _store(self, environment: Environment, summary: Summary) -> str:
        """Write the raw data and the report where they are asked for; say where they are."""
        options = self.shared.options
        if not options.out:
            return ""
        known = vars(environment.parsed_options or Namespace())
        facts = RunFacts(known, self.started_s, time.time(), environment.host or "", self._models)
        ticks = self.sampler.ticks if self.sampler else []
        run = describe_run(facts, summary, options.service_config)
        try:
            return store(Path(options.out), run, self._records(), ticks)
        except OSError as error:
            environment.process_exit_code = 1
            return f"The report could not be written: {error}\n"


def tell_workers(environment: Environment) -> None:
    """Put among the options what every worker must know of the others."""
    runner, known = environment.runner, environment.parsed_options
    if runner is None or known is None:
        return
    is_master = isinstance(runner, MasterRunner)
    known.worker_count = max(1, runner.worker_count) if is_master else 1
    users = runner.target_user_count if environment.shape_class is None else known.num_users
    known.peak_users = users or 1


def count_users(environment: Environment) -> int:
    """Return how many users there are, those of all workers together."""
    return int(environment.runner.user_count) if environment.runner else 0


def is_json(environment: Environment) -> bool:
    """Say whether Locust was asked to write JSON to standard output."""
    return bool(getattr(environment.parsed_options, "json", False))


def write_last_words(text: str, to_stderr: bool, **_: object) -> None:
    """Write the last lines of a run, away from standard output where JSON goes there."""
    stream = sys.stderr if to_stderr else sys.stdout
    stream.write(text)
    stream.flush()
