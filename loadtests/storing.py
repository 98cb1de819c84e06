"""The raw data of a run, kept so that its report can be drawn again and compared with another's."""

from __future__ import annotations

import importlib.metadata
import json
import platform
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import psutil

from loadtests.checks import parse_object
from loadtests.options import Options
from loadtests.records import (
    REQUESTS_FILE,
    RUN_FILE,
    TICKS_FILE,
    Record,
    Tick,
    read_requests,
    read_ticks,
    write_requests,
    write_ticks,
)
from loadtests.summary import Summary

SECRETS = ("api_key",)
LOCUSTS_OWN = ("num_users", "run_time", "spawn_rate", "processes", "stop_timeout")
PACKAGES = ("locust", "gevent", "requests", "pillow", "numpy", "matplotlib")
COMMAND_TIMEOUT_S = 10.0


@dataclass(frozen=True)
class RunFacts:
    """What is known of a run beside its requests; moments are seconds since 1970."""

    options: Mapping[str, object]
    started_s: float
    ended_s: float
    host: str
    models_body: bytes


@dataclass(frozen=True)
class StoredRun:
    """A run read back: its facts, its requests and ticks in seconds since it began."""

    run: dict[str, object]
    records: list[Record]
    ticks: list[Tick]

    @property
    def duration_s(self) -> float:
        """Seconds from the start to the last answer or tick."""
        moments = [record.done_s for record in self.records] + [one.at_s for one in self.ticks]
        return max(moments, default=0.0)


def describe_run(facts: RunFacts, summary: Summary, service_config: str) -> dict[str, object]:
    """Return what stands in `run.json`: nothing in it is secret."""
    names = [*Options.__dataclass_fields__, *LOCUSTS_OWN]
    options = {name: facts.options.get(name) for name in names if name not in SECRETS}
    config = Path(service_config)
    return {
        "started": datetime.fromtimestamp(facts.started_s, UTC).isoformat(timespec="seconds"),
        "started_s": facts.started_s,
        "ended_s": facts.ended_s,
        "host": facts.host,
        "options": options,
        "summary": summary.as_json(),
        "service": {
            "models": (parse_object(facts.models_body) or {}).get("data"),
            "config_name": config.name if service_config else None,
            "config": config.read_text(encoding="utf-8") if service_config else None,
        },
        "commit": describe_commit(),
        "versions": describe_versions(),
        "machine": describe_machine(),
    }


def describe_commit() -> str:
    """Return the commit of this checkout, and whether it was changed; "unknown" without git."""
    commit = run_git("rev-parse", "HEAD")
    if not commit:
        return "unknown"
    return commit + (" with changes" if run_git("status", "--porcelain") else "")


def run_git(*arguments: str) -> str:
    """Return what git says, "" where it says nothing or is not there."""
    try:
        done = subprocess.run(
            ["git", *arguments],
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            timeout=COMMAND_TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def describe_versions() -> dict[str, str]:
    """Return the versions of what generates the load."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def describe_machine() -> dict[str, object]:
    """Return what the load was generated on; the service may run elsewhere."""
    return {
        "system": f"{platform.system()} {platform.release()}",
        "processor": platform.machine(),
        "cores": psutil.cpu_count(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
    }


def store(
    folder: Path, run: Mapping[str, object], records: Sequence[Record], ticks: Sequence[Tick]
) -> str:
    """Write the raw data and draw the report; return a line that says where it lies."""
    start_s = float(str(run["started_s"]))
    folder.mkdir(parents=True, exist_ok=True)
    write_requests(folder / REQUESTS_FILE, records, start_s)
    write_ticks(folder / TICKS_FILE, ticks, start_s)
    (folder / RUN_FILE).write_text(json.dumps(run, indent=2) + "\n", encoding="utf-8")
    # Imported here: a run without a report does not wait for the drawing library.
    from loadtests.report import write_report

    return f"Report: {write_report(folder)}\n"


def load(folder: Path) -> StoredRun:
    """Read a run back.

    Raises:
        OSError: there is none in the folder.
    """
    return StoredRun(
        run=json.loads((folder / RUN_FILE).read_text(encoding="utf-8")),
        records=read_requests(folder / REQUESTS_FILE),
        ticks=read_ticks(folder / TICKS_FILE),
    )
