"""Shapes, open loops, workers and reports as people run them: real Locust processes."""

from __future__ import annotations

import csv
import json
import re
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.loadtests.test_locustfile import ROOT, run_locust, wait_until


def requests_of(folder: Path) -> list[dict[str, str]]:
    """Return the requests in the raw data of a run."""
    with (folder / "requests.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_all_kinds_of_callers_pass_a_correct_service(service: Any) -> None:
    service.delay_s = 0.05
    mix = "pairs=1,vae=1,diffusion=1,stream=1,sweep=1,cancel=1"
    arguments = ("--mix", mix, "-u", "3", "--iterations", "12", "--repeat-share", "0.3")
    code, output = run_locust(service.url, *arguments, "--leave-after-s", "0.02")
    assert code == 0, output
    assert "Failed checks: none" in output
    assert {"stream", "/v1/sweep", "/v1/pairs"} == set(service.kinds)
    for name in ("(vae)", "(diffusion)", "(stream)", "(leaves)"):
        assert f"/v1/pairs {name}" in output
    assert " 0 left by the caller" not in output
    assert "Repeated to compare the pixels: 0" not in output
    assert "the VAE's first in 100 %" in output


def test_lies_to_streams_and_sweeps_are_named(service: Any) -> None:
    def repeat_and_drop(answer: dict[str, Any]) -> None:
        if "pairs" in answer:
            answer["pairs"][2]["vae"] = answer["pairs"][0]["vae"]
        else:
            answer["sets"].pop()

    service.lie = repeat_and_drop
    code, output = run_locust(service.url, "--mix", "stream=1,sweep=1", "--iterations", "8")
    assert code == 1, output
    assert "distinct: images 0 and 2 of the vae set are the same" in output
    assert "sweep_sets: factors [1.0, 4.0] instead of [1.0, 4.0, 7.0]" in output


def test_a_missed_objective_is_named_with_its_figure(service: Any, tmp_path: Path) -> None:
    service.delay_s = 0.2
    objectives = tmp_path / "objectives.yaml"
    objectives.write_text("p50_s: 0.01\np99_s: 60\n")
    code, output = run_locust(service.url, "--objectives", str(objectives))
    assert code == 1, output
    verdict = output.split("Verdict: ")[1]
    assert "p50_s 0.2" in verdict
    assert "at most 0.01: MISSED" in verdict
    assert "p99_s" not in verdict


def test_a_typo_in_the_objectives_ends_the_run_before_it_begins(
    service: Any, tmp_path: Path
) -> None:
    objectives = tmp_path / "objectives.yaml"
    objectives.write_text("sets_per_minuet: 1\n")
    code, output = run_locust(service.url, "--objectives", str(objectives))
    assert code != 0
    assert "unknown key 'sets_per_minuet': did you mean sets_per_minute?" in output
    assert service.forms == []


def test_an_open_loop_keeps_its_rate_while_the_service_stands_still(
    service: Any, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    service.delay_s = 0.01
    service.stalled_until_s = time.monotonic() + 60
    with subprocess.Popen(
        open_loop(service.url, "6", "even", out), cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as process:
        wait_until(lambda: len(service.forms) >= 12 or process.poll() is not None)
        service.stalled_until_s = 0.0
        output, _ = process.communicate(timeout=40)
    due = [float(one["due_s"]) for one in requests_of(out)]
    gaps = [after - before for before, after in pairwise(due)]
    assert len(due) >= 12, output
    assert max(abs(gap - 1 / 6) for gap in gaps) < 0.001, gaps


def open_loop(url: str, rate: str, spacing: str, out: Path) -> list[str]:
    """Return the command line of a few seconds of an open loop."""
    command = [sys.executable, "-m", "locust", "--config", "loadtests/locust.conf", "--host", url]
    load = ["--arrival-rate", rate, "--spacing", spacing, "-u", "1", "-t", "4s"]
    few = ["--pairs-n", "2", "--mix", "vae", "--repeat-share", "0", "--stop-timeout", "2"]
    return [*command, *load, *few, "--out", str(out)]


def test_arrivals_beyond_the_cap_are_counted_as_dropped(service: Any) -> None:
    service.delay_s = 30.0
    code, output = run_locust(
        *(service.url, "--arrival-rate", "20", "--spacing", "even", "-t", "2s"),
        *("--max-in-flight", "5", "--stop-timeout", "1", "--mix", "vae"),
    )
    assert code == 1, output
    assert len(service.forms) == 5
    assert "/v1/pairs [dropped]" in output
    assert "dropped_arrival: 5 requests were open" in output
    assert "5 cut off by the end of the run" in output
    assert "/v1/pairs [cut off]" in output


@pytest.mark.slow
def test_two_workers_share_the_rate_and_no_record_is_lost(service: Any, tmp_path: Path) -> None:
    out = tmp_path / "run"
    code, output = run_locust(
        *(service.url, "--processes", "2", "-u", "2", "--arrival-rate", "10", "-t", "4s"),
        *("--spacing", "even", "--mix", "vae", "--out", str(out), "--iterations", "0"),
    )
    assert code == 0, output
    records = requests_of(out)
    assert len(records) == len(service.forms)
    assert len({form["seed"] for form in service.forms}) == sum(
        one["repeat"] == "False" for one in records
    )
    span_s = float(records[-1]["due_s"]) - float(records[0]["due_s"])
    first = [one for one in records if one["repeat"] == "False"]
    assert 8 < (len(first) - 1) / span_s < 12


@pytest.mark.slow
def test_a_spike_goes_up_and_down_and_its_report_stands_alone(service: Any, tmp_path: Path) -> None:
    out = tmp_path / "run"
    service.delay_s = 0.1
    code, output = run_locust(
        *(service.url, "--shape", "spike", "-u", "5", "-t", "6s", "--iterations", "0"),
        *("--out", str(out), "--service-config", "configs/simulated.yaml", "--mix", "vae,stream"),
    )
    assert code == 0, output
    with (out / "ticks.csv").open(newline="") as file:
        users = [int(row["users"]) for row in csv.DictReader(file)]
    assert max(users) == 5
    assert users[-1] < 5
    assert re.findall(r"Shape test updating to (\d+) users", output) == ["1", "5", "1"]
    run = json.loads((out / "run.json").read_text())
    assert run["summary"]["verdict"] == "good"
    assert "simulated_vae" in run["service"]["config"]
    assert {"commit", "machine", "versions"} <= set(run)
    assert "api_key" not in run["options"]
    page = (out / "report.html").read_text()
    assert "PASSED" in page
    assert not re.findall(r"""(?:src|href)=["'](?!data:)|url\(|@import""", page)
    with Image.open(out / "report.png") as image:
        assert image.width == 1200
        assert len(image.convert("RGB").getcolors(2**24) or []) > 50
    beside = tmp_path / "beside"
    done = subprocess.run(
        [sys.executable, "-m", "loadtests.compare", str(out), str(out), "--out", str(beside)],
        cwd=ROOT,
        check=False,
    )
    assert done.returncode == 0
    with Image.open(beside / "report.png") as image:
        assert image.width == 2400
