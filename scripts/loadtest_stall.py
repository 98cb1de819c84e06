"""Shows what a stall of 10 s looks like in a closed and in an open loop: the same service, twice.

The process of the simulated diffusion model is stopped and continued while requests go on. Both
runs are kept below out/stall, beside each other in one report.
"""

import argparse
import json
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psutil

from scripts.loadtest import environment_for
from scripts.run_file import RUN_DIRECTORY
from scripts.serve import ROOT, RunningService, ServeError, running
from scripts.signals import stop_on_signals

CONFIG = ROOT / "configs" / "simulated.yaml"
REPLICA = "StableDiffusionDeployment"
PREPARE_S = 60.0

# Short requests, so that one user alone makes hundreds: then its one stalled request is less than
# a hundredth of all, and the 99th percentile does not see it.
REQUESTS = ("--mix", "diffusion", "--pairs-n", "1", "--num-inference-steps", "2")
# Three a second are thirty in the stall, which the service still lets in.
LOOPS: dict[str, Sequence[str]] = {
    "closed": ("-u", "1"),
    "open": ("-u", "1", "--arrival-rate", "3", "--spacing", "even"),
}


def main() -> int:
    """Parse the command line, run both loops, print what they say of the stall."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--stall-s", type=float, default=10.0)
    parser.add_argument("--run-s", type=int, default=60)
    parser.add_argument("--out", type=Path, default=ROOT / "out" / "stall")
    arguments = parser.parse_args()
    out = arguments.out.resolve()
    stop_on_signals()
    try:
        with running(CONFIG, port=0, num_gpus=1) as service:
            for name in LOOPS:
                run_with_stall(service, name, out / name, arguments.stall_s, arguments.run_s)
    except ServeError as error:
        sys.stderr.write(f"twinset: {error}\n")
        return 1
    except KeyboardInterrupt:
        return 130
    sys.stdout.write(compare(out, arguments.stall_s))
    runs = [str(out / name) for name in LOOPS]
    command = [sys.executable, "-m", "loadtests.compare", *runs, "--out", str(out / "both")]
    return subprocess.run(command, cwd=ROOT, check=False).returncode


def run_with_stall(
    service: RunningService, name: str, out: Path, stall_s: float, run_s: int
) -> None:
    """Run one loop and stop the model's process in the middle of it."""
    config = ["--config", str(ROOT / "loadtests" / "locust.conf"), "--host", service.url]
    load = [*LOOPS[name], *REQUESTS, "--same-parameters", "--repeat-share", "0"]
    command = [sys.executable, "-m", "locust", *config, *load]
    with subprocess.Popen(
        [*command, "-t", f"{run_s}s", "--out", str(out)],
        cwd=ROOT,
        env=environment_for(service),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as locust:
        try:
            time.sleep((run_s - stall_s) / 2)
            stall(find_replicas(), stall_s)
            locust.wait(timeout=run_s + PREPARE_S)
        except BaseException:
            locust.kill()
            raise


def find_replicas() -> list[psutil.Process]:
    """Return the processes of the diffusion model in the Ray of this process."""
    facts = json.loads((RUN_DIRECTORY / f"{psutil.Process().pid}.json").read_text())
    return [one for one in psutil.process_iter() if is_replica(one, facts["directory"])]


def is_replica(process: psutil.Process, directory: str) -> bool:
    """Say whether a process serves the diffusion model, in the Ray of that directory."""
    try:
        words = " ".join(process.cmdline())
        return REPLICA in words and process.environ().get("RAY_TMPDIR") == directory
    except (psutil.Error, OSError):
        return False


def stall(processes: Sequence[psutil.Process], stall_s: float) -> None:
    """Stop processes for a while, as a driver that hangs or a long collection of garbage does."""
    if not processes:
        raise ServeError(f"no process of {REPLICA} was found")
    for process in processes:
        process.send_signal(signal.SIGSTOP)
    try:
        time.sleep(stall_s)
    finally:
        for process in processes:
            process.send_signal(signal.SIGCONT)


def compare(out: Path, stall_s: float) -> str:
    """Return what each loop says of the stall."""
    figures = {name: read_figures(out / name) for name in LOOPS}
    lines = [f"A stall of {stall_s:g} s, seen by"]
    for name, one in figures.items():
        lines.append(
            f"  the {name} loop: p50 {one['p50_s']:.2f} s, p95 {one['p95_s']:.2f} s, "
            f"p99 {one['p99_s']:.2f} s of {one['requests']} requests"
        )
    lines.append("Believe the open loop: callers who come by themselves do not wait for a stall.")
    return "\n".join(lines) + "\n"


def read_figures(folder: Path) -> dict[str, Any]:
    """Return the figures of one run."""
    run = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    return dict(run["summary"]["figures"])


if __name__ == "__main__":
    sys.exit(main())
