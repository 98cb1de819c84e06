"""Draws the report of a run from its raw data: one HTML file that needs nothing else, and a PNG.

python -m loadtests.report out/loadtest/2026-01-31T12-00-00
"""

from __future__ import annotations

import argparse
import base64
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from loadtests.figures import Figures, measure, percentile
from loadtests.objectives import KEYS
from loadtests.picture import draw, draw_side_by_side
from loadtests.storing import StoredRun, load
from loadtests.style import write_duration
from loadtests.summary import NO_FAULT

HERE = Path(__file__).resolve().parent
REPORT_FILE, PICTURE_FILE = "report.html", "report.png"

FIGURES = (
    ("p50_s", "half of the answers within, s"),
    ("p95_s", "95 % within, s"),
    ("p99_s", "99 % within, s"),
    ("service_p99_s", "99 % within, counted from when they were sent, s"),
    ("first_image_p95_s", "a stream's first image, 95 % within, s"),
    ("vae_first_share", "share of streams that began with the VAE's image"),
    ("sets_per_minute", "correct sets a minute"),
    ("error_share", "share of requests that failed"),
    ("requests", "requests"),
    ("correct", "correct"),
    ("wrong", "wrong"),
    ("failed", "failed"),
    ("overloaded", "turned away as overloaded"),
    ("left", "left by the caller"),
    ("dropped", "arrivals not sent"),
    ("cut_off", "cut off by the end of the run"),
    ("repeats", "sent twice to compare the pixels"),
    ("lateness_p99_s", "lateness of the generator, p99, s"),
)


def main() -> int:
    """Draw the report of one folder again."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("run", type=Path, help="folder of a run")
    sys.stdout.write(f"{write_report(parser.parse_args().run)}\n")
    return 0


def write_report(folder: Path) -> Path:
    """Draw picture and page of a stored run; return where the page lies."""
    run = load(folder)
    picture = draw(run, title_of(run), facts_of(run), faults_of(run))
    (folder / PICTURE_FILE).write_bytes(picture)
    page = folder / REPORT_FILE
    page.write_text(render([run], picture), encoding="utf-8")
    return page


def write_comparison(folders: Sequence[Path], out: Path) -> Path:
    """Draw several runs beside each other into `out`; return where the page lies."""
    runs = [load(folder) for folder in folders]
    columns = [(run, title_of(run), facts_of(run), faults_of(run)) for run in runs]
    picture = draw_side_by_side(columns)
    out.mkdir(parents=True, exist_ok=True)
    (out / PICTURE_FILE).write_bytes(picture)
    page = out / REPORT_FILE
    page.write_text(render(runs, picture), encoding="utf-8")
    return page


def render(runs: Sequence[StoredRun], picture: bytes) -> str:
    """Return the page: nothing in it is fetched from anywhere."""
    environment = Environment(
        loader=FileSystemLoader(HERE), autoescape=True, undefined=StrictUndefined
    )
    return environment.get_template("report.html").render(
        title=" beside ".join(title_of(run) for run in runs),
        picture="data:image/png;base64," + base64.b64encode(picture).decode("ascii"),
        runs=[describe(run) for run in runs],
        no_fault=NO_FAULT,
        rows=[(words, [write(measured(run), key) for run in runs]) for key, words in FIGURES],
    )


def describe(run: StoredRun) -> dict[str, Any]:
    """Return what the page says of one run."""
    facts: Any = run.run
    options = {name: value for name, value in facts["options"].items() if value not in (None, "")}
    return {
        "title": title_of(run),
        "facts": facts_of(run),
        "faults": faults_of(run),
        "warnings": facts["summary"]["warnings"],
        "objectives": [
            {**one, "words": KEYS[one["key"]], "shown": shown(one["seen"])}
            for one in facts["summary"]["objectives"]
        ],
        "kinds": list_kinds(run),
        "failed_checks": facts["summary"]["failed_checks"],
        "options": options,
        "models": list_models(facts["service"]["models"]),
        "config_name": facts["service"]["config_name"],
        "config": facts["service"]["config"],
        "made": {
            "started": facts["started"],
            "commit": facts["commit"],
            "generator": ", ".join(f"{key} {value}" for key, value in facts["machine"].items()),
            "versions": ", ".join(f"{key} {value}" for key, value in facts["versions"].items()),
        },
    }


def list_kinds(run: StoredRun) -> list[dict[str, object]]:
    """Return the figures of each kind of caller."""
    kinds = list(dict.fromkeys(record.kind for record in run.records))
    rows = []
    for kind in sorted(kinds):
        own = [record for record in run.records if record.kind == kind]
        times = [record.latency_s for record in own if record.is_answer]
        failed = sum(record.is_failure for record in own)
        shares = [shown(percentile(times, share)) for share in (0.5, 0.95, 0.99)]
        rows.append({"kind": kind, "requests": len(own), "failed": failed, "times": shares})
    return rows


def list_models(models: Any) -> list[str]:
    """Return what the service said of its models."""
    if not isinstance(models, list):
        return []
    known = [model for model in models if isinstance(model, dict)]
    return [
        f"{model.get('id')}, revision {model.get('revision')}, on {model.get('device')}"
        + (", simulated" if model.get("simulated") else "")
        for model in known
    ]


def title_of(run: StoredRun) -> str:
    """Return the run in a few words."""
    options: Any = run.run["options"]
    duration = write_duration(run.duration_s)
    if options.get("arrival_rate"):
        rate = f"{options['arrival_rate']:g} arrivals a second ({options['spacing']})"
        return f"Load test: open loop, {options['shape']}, {rate}, {duration}"
    users = options.get("num_users") or 1
    first = f"{options['base_users']} to " if options["shape"] == "spike" else ""
    return f"Load test: {options['shape']}, {first}{users} user{'s'[: users != 1]}, {duration}"


def facts_of(run: StoredRun) -> str:
    """Return where, when, with what."""
    facts: Any = run.run
    models = facts["service"]["models"] or []
    names = " and ".join(str(model.get("id")) for model in models if isinstance(model, dict))
    mix = facts["options"]["mix"]
    return f"{facts['started'][:16].replace('T', ' ')} UTC, {names or facts['host']}, mix {mix}"


def faults_of(run: StoredRun) -> list[str]:
    """Return what spoke against the run."""
    summary: Any = run.run["summary"]
    return [str(fault) for fault in summary["faults"]]


def measured(run: StoredRun) -> Figures:
    """Return the figures of a stored run."""
    return measure(run.records)


def write(figures: Figures, key: str) -> str:
    """Return one figure for the table."""
    return shown(getattr(figures, key))


def shown(value: float | None) -> str:
    """Return a number as people read it."""
    if value is None:
        return "not measured"
    return (
        str(value) if isinstance(value, int) else f"{value:.3g}" if value < 100 else f"{value:.0f}"
    )


if __name__ == "__main__":
    sys.exit(main())
