"""Mixed traffic for half an hour: does anything grow, does any answer go wrong?

    python -m tests.faults.soak --minutes 30

Starts a service of its own on this machine, with two replicas of each simulated model, sends
requests of all kinds, wrong ones and callers who leave among them, and samples the memory of every
process. A line is fitted to each after a warm-up. The exit code is 1 when a replica of ours or the
HTTP proxy grows by 50 MB or more over the run, or an answer was wrong.
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import yaml
from tqdm import tqdm

from scripts.signals import stop_on_signals
from tests.faults.conftest import light, traffic_for
from tests.faults.memory import MemoryLog, ProcessMemory
from tests.faults.processes import ServiceProcesses
from tests.faults.soak_plot import plot
from tests.faults.tally import Tally
from tests.support.services import ROOT, serving

TARGET_MIB = 50.0
SHARE_RIGHT = 0.995
SAMPLE_EVERY_S = 10.0
SIMULATED = ROOT / "configs" / "simulated.yaml"


@dataclass(frozen=True)
class Soaked:
    """What a run has shown.

    Attributes:
        lasted_s: how long the traffic ran.
        warm_up_s: at its beginning, which no line is fitted to.
        tally: of the answers.
        processes: with their memory.
    """

    lasted_s: float
    warm_up_s: float
    tally: Tally
    processes: list[ProcessMemory]

    def growth_mib(self, process: ProcessMemory) -> float | None:
        """Return by how much a process grew over the run, by its fitted line."""
        return _grown(process, process.resident_mib, self.warm_up_s, self.lasted_s)

    def failures(self) -> list[str]:
        """Return a sentence for each target that was missed."""
        failures = []
        for process in self.processes:
            growth_mib = self.growth_mib(process)
            if process.is_ours and growth_mib is not None and growth_mib >= TARGET_MIB:
                failures.append(f"{process.label} grew by {growth_mib:.0f} MB")
            if process.is_ours and process.at[-1] < self.lasted_s - 3 * SAMPLE_EVERY_S:
                failures.append(f"{process.label} ended after {process.at[-1]:.0f} s")
        if self.tally.wrong:
            failures.append(f"{len(self.tally.wrong)} answers were wrong")
        if self.tally.share_right < SHARE_RIGHT:
            failures.append(f"only {100 * self.tally.share_right:.2f} % of the answers were right")
        return failures

    def table(self) -> str:
        """Return each process with its memory and growth."""
        head = f"{'process':38}{'first MB':>10}{'last MB':>10}{'growth MB':>11}{'private':>9}"
        lines = [head]
        for one in self.processes:
            private = _grown(one, one.private_mib, self.warm_up_s, self.lasted_s)
            first, last = one.resident_mib[0], one.resident_mib[-1]
            sizes = f"{first:10.0f}{last:10.0f}"
            grown = f"{_mib(self.growth_mib(one)):>11}{_mib(private):>9}"
            lines.append(f"{one.label:38}{sizes}{grown}{'' if one.is_ours else '  (Ray)'}")
        return "\n".join(lines)


def main() -> int:
    """Parse the command line, run, report."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--users", type=int, default=6)
    parser.add_argument("--config", type=Path, default=SIMULATED)
    parser.add_argument("--num-gpus", type=int, default=1, help="GPUs to pretend to have")
    parser.add_argument("--steps", type=int, default=10, help="denoising steps of each set")
    parser.add_argument("--out", type=Path, default=ROOT / "out" / "soak")
    arguments = parser.parse_args()
    stop_on_signals()
    try:
        soaked, is_whole = soak(arguments)
    except KeyboardInterrupt:
        sys.stderr.write("\nsoak: stopped before the traffic began\n")
        return 130
    return _report(soaked, is_whole, arguments.out)


def soak(arguments: argparse.Namespace) -> tuple[Soaked, bool]:
    """Run the traffic; returns what was seen, and whether nobody interrupted it."""
    lasts_s = arguments.minutes * 60
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        config = _two_of_each(arguments.config, directory)
        client = stack.enter_context(serving(config, arguments.num_gpus))
        # Models that compute round a little differently under load: 1 level of 255.
        tolerance = 0 if arguments.config == SIMULATED else 1
        traffic = traffic_for(client, arguments.steps, tolerance=tolerance, deadline_s=60.0)
        log = MemoryLog(ServiceProcesses.behind(client))
        tally = stack.enter_context(traffic.running(arguments.users, lasts_s))
        started_s, is_whole = time.monotonic(), True
        try:
            _watch(log, tally, lasts_s)
        except KeyboardInterrupt:  # the service gets it, too: what it breaks does not count
            tally, is_whole = Tally(list(tally.finished)), False
        lasted_s = time.monotonic() - started_s
    return Soaked(lasted_s, min(300.0, lasted_s / 5), tally, log.processes), is_whole


def _two_of_each(config: Path, directory: Path) -> Path:
    """Write the simulation with two replicas of each model; another config stays as it is."""
    if config != SIMULATED:
        return config
    content: dict[str, Any] = yaml.safe_load(config.read_text())
    light(content["applications"][0], replicas=2)
    target = directory / config.name
    target.write_text(yaml.safe_dump(content))
    return target


def _watch(log: MemoryLog, tally: Tally, lasts_s: float) -> None:
    started_s = time.monotonic()
    with tqdm(total=round(lasts_s), unit="s", desc="soaking", disable=None) as bar:
        while (passed_s := time.monotonic() - started_s) < lasts_s:
            log.sample(passed_s)
            bar.set_postfix_str(f"{len(tally.finished)} requests, {len(tally.wrong)} wrong")
            bar.update(round(passed_s) - bar.n)
            time.sleep(min(SAMPLE_EVERY_S, max(0.0, lasts_s - passed_s)))
        log.sample(time.monotonic() - started_s)
        bar.update(round(lasts_s) - bar.n)


def _report(soaked: Soaked, is_whole: bool, out: Path) -> int:
    """Write the files, print the tables; returns the exit code."""
    out.mkdir(parents=True, exist_ok=True)
    failures = soaked.failures()
    verdict = "\n".join(f"MISSED: {one}" for one in failures) or "all targets are met"
    minutes = f"{soaked.lasted_s / 60:.1f} minutes" + ("" if is_whole else ", interrupted")
    text = f"soak: {minutes}\n\n{soaked.tally}\n\n{soaked.table()}\n\n{verdict}\n"
    (out / "soak.log").write_text(text)
    facts = {
        "lasted_s": soaked.lasted_s,
        "warm_up_s": soaked.warm_up_s,
        "is_whole": is_whole,
        "requests": len(soaked.tally.finished),
        "share_right": soaked.tally.share_right,
        "wrong": [asdict(one) for one in soaked.tally.wrong],
        "failures": failures,
        "processes": [
            {**asdict(one), "growth_mib": soaked.growth_mib(one)} for one in soaked.processes
        ],
    }
    (out / "soak.json").write_text(json.dumps(facts, indent=1))
    plot(soaked.processes, "resident", soaked.warm_up_s, "seconds", out / "soak.png")
    sys.stdout.write(f"{text}written to {out}\n")
    if not is_whole:
        return 130
    return 1 if failures else 0


def _grown(
    process: ProcessMemory, values: Sequence[float], after_s: float, over_s: float
) -> float | None:
    growth = process.growth(values, after_s, over_s)
    return None if growth is None else growth.mib


def _mib(value: float | None) -> str:
    return "-" if value is None else f"{value:+.1f}"


if __name__ == "__main__":
    sys.exit(main())
