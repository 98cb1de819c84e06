"""1,500 sets of odd sizes, formats and counts: by how much does each process grow?

    python -m tests.faults.leaks --sets 1500

Starts a service of its own on this machine with models that take nearly no time, and asks for sets
on every route; among them are callers who leave, and bad files and bodies. After every round, when
nothing is under way, the memory of each process is sampled, and a line is fitted to it without the
first third. The exit code is 1 when a process of ours grows by more than 20 MiB per 1,000 sets
beyond the standard error of that, or is replaced, or an answer has another status than expected.
"""

import argparse
import asyncio
import itertools
import json
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any

import httpx
from PIL import Image
from tqdm import tqdm

from scripts.signals import stop_on_signals
from tests.faults.memory import Growth, MemoryLog, ProcessMemory
from tests.faults.odd_sets import OddAsk, odd_asks
from tests.faults.processes import ServiceProcesses
from tests.faults.soak_plot import plot
from tests.faults.tally import BROKEN, LEFT, Finished, Tally
from tests.support.services import (
    ROOT,
    SAMPLE_FACE,
    changed_config,
    running_replicas,
    serving,
    wait_for,
)

TARGET_MIB = 20.0
PER_SETS = 1000
ROUND = 20
"""Requests between two samples: one block of `odd_sets`."""
_AT_ONCE = 3
_DEADLINE_S = 60.0


@dataclass
class LeakRun:
    """What a run has shown so far.

    Attributes:
        sets: how many answers held images.
        tally: of all answers.
        processes: with their memory, over sets.
    """

    sets: int = 0
    tally: Tally = field(default_factory=Tally)
    processes: list[ProcessMemory] = field(default_factory=list)

    @property
    def warm_up(self) -> float:
        """Return up to how many sets no line is fitted."""
        return self.sets / 3

    def growth(self, process: ProcessMemory) -> Growth | None:
        """Return by how much the private memory of a process grows per 1,000 sets."""
        return process.growth(process.private_mib, self.warm_up, PER_SETS)

    def failures(self) -> list[str]:
        """Return a sentence for each target that was missed."""
        ours = [process for process in self.processes if process.is_ours]
        failures = [] if ours else ["no process of ours was seen"]
        last = max((process.at[-1] for process in ours), default=0.0)
        for process in ours:
            growth = self.growth(process)
            if growth is not None and growth.mib - growth.error_mib > TARGET_MIB:
                failures.append(f"{process.label} grows by {growth.mib:.1f} MiB per 1,000 sets")
            if process.at[0] > 0:
                failures.append(f"{process.label} began after {process.at[0]:.0f} sets")
            if process.at[-1] < last:
                failures.append(f"{process.label} ended after {process.at[-1]:.0f} sets")
        if self.tally.wrong:
            failures.append(f"{len(self.tally.wrong)} answers were wrong")
        return failures

    def table(self) -> str:
        """Return the growth of each process: private memory, its error, resident memory."""
        head = f"{'MiB, per 1,000 sets':38}{'first':>8}{'last':>8}{'private':>10}{'+-':>7}"
        lines = [f"{head}{'resident':>10}"]
        for one in self.processes:
            sizes = f"{one.private_mib[0]:8.0f}{one.private_mib[-1]:8.0f}"
            private, resident = (
                self.growth(one),
                one.growth(one.resident_mib, self.warm_up, PER_SETS),
            )
            grown = f"{'-':>10}{'-':>7}{'-':>10}"
            if private is not None and resident is not None:
                grown = f"{private.mib:+10.1f}{private.error_mib:7.1f}{resident.mib:+10.1f}"
            lines.append(f"{one.label:38}{sizes}{grown}{'' if one.is_ours else '  (Ray)'}")
        return "\n".join(lines)


def main() -> int:
    """Parse the command line, run, report."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument(
        "--sets", type=int, default=1500, help="answers with images; a few hundred show the warm-up"
    )
    parser.add_argument("--seed", type=int, default=0, help="of the choice of requests")
    parser.add_argument("--out", type=Path, default=ROOT / "out" / "leaks")
    arguments = parser.parse_args()
    stop_on_signals()
    leaks, is_whole, started_s = LeakRun(), True, time.monotonic()
    try:
        run(leaks, arguments.sets, arguments.seed)
    except KeyboardInterrupt:  # the service gets it, too: what it breaks does not count
        is_whole = False
    if not leaks.processes:
        sys.stderr.write("\nleaks: stopped before the first set\n")
        return 130
    return _report(leaks, is_whole, time.monotonic() - started_s, arguments.out)


def run(leaks: LeakRun, sets: int, seed: int) -> None:
    """Start a service and ask it for so many sets."""
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        config = changed_config(directory, "simulated.yaml", _quick)
        client = stack.enter_context(serving(config, num_gpus=1))
        wait_for(lambda: set(running_replicas(client).values()) == {2}, timeout_s=60)
        asks = odd_asks(seed, _made(client))
        first = next(asks)  # makes the files, before the first sample
        log = MemoryLog(ServiceProcesses.behind(client))
        asyncio.run(_all_rounds(client, itertools.chain([first], asks), leaks, log, sets))


def _quick(application: dict[str, Any]) -> None:
    """Let models take nearly no time, two replicas each; a set of the VAE has up to 10 MB."""
    arguments = application["args"]
    arguments["vae"] = {"factory": "tests.faults.faulty_models:load_noisy_vae"}
    arguments["stable_diffusion"]["options"] = {"fixed_s": 0.0, "step_s": 0.01, "image_step_s": 0.0}
    for deployment in application["deployments"][1:]:
        deployment.pop("autoscaling_config", None)
        deployment["num_replicas"] = 2
        deployment["ray_actor_options"] = {"num_cpus": 0.1, "num_gpus": 0.1}


def _made(client: httpx.Client) -> bytes:
    """Return an image that says it was made by this service."""
    accept = {"Accept": "image/png"}
    face = BytesIO()
    Image.open(SAMPLE_FACE).save(face, "PNG")
    response = client.post("/hf/image-to-image", content=face.getvalue(), headers=accept)
    return response.raise_for_status().content


async def _all_rounds(
    client: httpx.Client, asks: Iterator[OddAsk], leaks: LeakRun, log: MemoryLog, sets: int
) -> None:
    async with httpx.AsyncClient(
        base_url=client.base_url, headers=client.headers, trust_env=False, timeout=_DEADLINE_S
    ) as callers:
        with tqdm(total=sets, unit="set", desc="looking for leaks", disable=None) as bar:
            _sample(leaks, log)
            while leaks.sets < sets:
                await _round(callers, itertools.islice(asks, ROUND), leaks)
                _sample(leaks, log)
                finished, wrong = len(leaks.tally.finished), len(leaks.tally.wrong)
                bar.set_postfix_str(f"{finished} requests, {wrong} wrong")
                bar.update(min(leaks.sets, sets) - bar.n)


def _sample(leaks: LeakRun, log: MemoryLog) -> None:
    log.sample(leaks.sets)
    leaks.processes = log.processes


async def _round(callers: httpx.AsyncClient, asks: Iterator[OddAsk], leaks: LeakRun) -> None:
    """Send some requests, a few at once; returns when nothing is under way."""

    async def caller() -> None:
        for ask in asks:
            finished = await _finish(callers, ask)
            leaks.tally.finished.append(finished)
            leaks.sets += ask.makes_a_set and finished.status == 200

    await asyncio.gather(*(caller() for _ in range(_AT_ONCE)))


async def _finish(callers: httpx.AsyncClient, ask: OddAsk) -> Finished:
    """Send one request and judge the status of its answer."""
    started_s = time.monotonic()
    status, code, wrong = None, "", ""
    try:
        async with asyncio.timeout(ask.leaves_after_s or _DEADLINE_S):
            response = await callers.request(**ask.request)
        status = response.status_code
        if status not in ask.statuses or b"event: error" in response.content:
            wrong = f"{ask.name} was answered {status}: {response.text[-300:]}"
    except TimeoutError:
        code = LEFT if ask.leaves_after_s else ""
        wrong = "" if code else f"no answer to {ask.name} after {_DEADLINE_S:.0f} s"
    except httpx.TransportError as error:
        code, wrong = BROKEN, f"{ask.name}: {type(error).__name__} {error}"
    taken_s = time.monotonic() - started_s
    return Finished(ask.kind, status, code, started_s, taken_s, _DEADLINE_S, wrong, not wrong)


def _report(leaks: LeakRun, is_whole: bool, lasted_s: float, out: Path) -> int:
    """Write the files, print the tables; returns the exit code."""
    out.mkdir(parents=True, exist_ok=True)
    failures = leaks.failures()
    verdict = "\n".join(f"MISSED: {one}" for one in failures) or "all targets are met"
    length = f"{leaks.sets} sets in {lasted_s / 60:.1f} minutes"
    length += "" if is_whole else ", interrupted"
    text = f"leaks: {length}\n\n{leaks.tally}\n\n{leaks.table()}\n\n{verdict}\n"
    (out / "leaks.log").write_text(text)
    facts = {
        "sets": leaks.sets,
        "requests": len(leaks.tally.finished),
        "lasted_s": lasted_s,
        "is_whole": is_whole,
        "wrong": [asdict(one) for one in leaks.tally.wrong],
        "failures": failures,
        "processes": [_facts(leaks, one) for one in leaks.processes],
    }
    (out / "leaks.json").write_text(json.dumps(facts, indent=1))
    plot(leaks.processes, "private", leaks.warm_up, "sets", out / "leaks.png")
    sys.stdout.write(f"{text}written to {out}\n")
    if not is_whole:
        return 130
    return 1 if failures else 0


def _facts(leaks: LeakRun, process: ProcessMemory) -> dict[str, Any]:
    growth = leaks.growth(process)
    grown = None if growth is None else asdict(growth)
    return {**asdict(process), "private_growth_per_1000_sets": grown}


if __name__ == "__main__":
    sys.exit(main())
