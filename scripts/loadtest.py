"""Runs the Locust kit for a minute: against a service that runs, or one started for it.

The report and the raw data of each run lie in a folder of its own below out/loadtest.
"""

import argparse
import os
import subprocess
import sys
from contextlib import nullcontext
from datetime import UTC, datetime
from pathlib import Path

from scripts.serve import ROOT, RunningService, ServeError, running
from scripts.signals import stop_on_signals

REPORTS = ROOT / "out" / "loadtest"


def main() -> int:
    """Parse the command line, run Locust, return its exit code."""
    parser = argparse.ArgumentParser(
        description=(__doc__ or "").partition("\n")[0],
        epilog="What stands behind -- goes to Locust: -- -u 4 -t 5m. See python -m loadtests",
    )
    parser.add_argument(
        "--host",
        help="base URL of a service that runs; else one is started. Its API key is read from "
        "the environment: TWINSET_API_KEY",
    )
    parser.add_argument("--config", type=Path, default=ROOT / "configs" / "demo.yaml")
    parser.add_argument("--num-gpus", type=int, default=0, help="GPUs to pretend to have")
    parser.add_argument("--out", type=Path, help="folder of the report (default: a new one)")
    parser.add_argument("locust", nargs="*", help="further options of Locust")
    arguments = parser.parse_args()
    stop_on_signals()
    try:
        with (
            nullcontext(RunningService(arguments.host))
            if arguments.host
            else running(arguments.config, port=0, num_gpus=arguments.num_gpus)
        ) as service:
            config = [] if arguments.host else ["--service-config", str(arguments.config.resolve())]
            out = arguments.out or new_folder()
            return run_locust(service, ["--out", str(out.resolve()), *config, *arguments.locust])
    except ServeError as error:
        sys.stderr.write(f"twinset: {error}\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("\ntwinset: stopped\n")
        return 130


def new_folder() -> Path:
    """Return a folder for the report that is named after this moment, UTC."""
    return REPORTS / datetime.now(UTC).strftime("%Y-%m-%dT%H-%M-%S")


def environment_for(service: RunningService) -> dict[str, str]:
    """Return the environment in which the kit finds the service's key.

    On a command line every user of the machine could read it.
    """
    key = {"TWINSET_API_KEY": service.api_key} if service.api_key else {}
    return {**os.environ, **key}


def run_locust(service: RunningService, options: list[str]) -> int:
    """Run Locust with the kit's configuration and pass its exit code on."""
    config = ROOT / "loadtests" / "locust.conf"
    command = [sys.executable, "-m", "locust", "--config", str(config), "--host", service.url]
    process = subprocess.Popen([*command, *options], cwd=ROOT, env=environment_for(service))
    try:
        return process.wait()
    except KeyboardInterrupt:
        # Locust waits for the answers under way and prints its table.
        process.terminate()
        process.wait()
        raise


if __name__ == "__main__":
    sys.exit(main())
