"""The commands of the Makefile, run as a person runs them."""

import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import psutil
import pytest
import yaml
from PIL import Image

from scripts.local_ray import free_port
from tests.support.services import ROOT, wait_for

RUN = secrets.token_hex(8)
SIMULATED = str(ROOT / "configs" / "simulated.yaml")


def _run(module: str, *arguments: str, **options: object) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", f"scripts.{module}", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=200, **options)


@pytest.fixture(autouse=True)
def _marked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Mark what is started here: others may start and stop services at the same time."""
    monkeypatch.setenv("TWINSET_TEST_RUN", RUN)


def _ray_directories() -> set[str]:
    """Return the temporary directories of all services that this test run started and that live."""
    found = set()
    for process in psutil.process_iter():
        try:
            environment = process.environ()
        except (psutil.Error, OSError):
            continue
        ours = environment.get("TWINSET_TEST_RUN") == RUN
        if ours and "twinset-" in environment.get("RAY_TMPDIR", ""):
            found.add(environment["RAY_TMPDIR"])
    return found


def _assert_nothing_new(before: set[str]) -> None:
    wait_for(lambda: _ray_directories() <= before, timeout_s=15)


def test_demo_makes_twenty_images_a_sheet_and_leaves_nothing_behind(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    # An address of somebody's cluster that must not be used; an empty home that must stay empty.
    environment = {**os.environ, "HOME": str(home), "RAY_ADDRESS": "127.0.0.1:1"}
    before = _ray_directories()
    done = _run("demo", "--out", str(tmp_path / "out"), env=environment)
    assert done.returncode == 0, done.stderr
    images = sorted(path.name for path in (tmp_path / "out").glob("*-seed-*.png"))
    assert len(images) == 20
    assert "vae-0-seed-7.png" in images
    sheet = np.asarray(Image.open(tmp_path / "out" / "contact-sheet.png"))
    assert sheet.shape[1] > 800
    assert "contact sheet" in done.stdout
    assert "curl" in done.stdout
    assert list(home.rglob("*")) == []
    _assert_nothing_new(before)


@pytest.mark.slow
def test_demo_says_what_is_wrong_with_a_face(tmp_path: Path) -> None:
    missing = _run("demo", "--face", str(tmp_path / "no.jpg"))
    assert missing.returncode == 1
    assert "cannot read" in missing.stderr
    text = tmp_path / "text.jpg"
    text.write_text("not a face")
    refused = _run("demo", "--face", str(text), "--out", str(tmp_path / "out"))
    assert refused.returncode == 1
    assert "did not take the picture" in refused.stderr
    assert "cannot be decoded" in refused.stderr
    assert list((tmp_path / "out").iterdir()) == []


def test_a_busy_port_and_a_missing_config_get_a_sentence() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = str(listener.getsockname()[1])
        busy = _run("serve", "--port", port)
    assert busy.returncode == 1
    assert f"port {port} is busy, process {os.getpid()} of " in busy.stderr
    impossible = _run("serve", "--port", "80000")
    assert impossible.returncode == 1
    assert "port 80000 cannot be used" in impossible.stderr
    missing = _run("serve", "--config", "nowhere.yaml")
    assert missing.returncode == 1
    assert "there is no nowhere.yaml" in missing.stderr


@pytest.mark.slow
def test_a_wrong_setting_ends_with_its_name(tmp_path: Path) -> None:
    config = yaml.safe_load(Path(SIMULATED).read_text())
    config["applications"][0]["args"]["ingress"]["max_admited"] = 3
    broken = tmp_path / "broken.yaml"
    broken.write_text(yaml.safe_dump(config))
    failed = _run("serve", "--config", str(broken), "--port", "0", "--num-gpus", "1")
    assert failed.returncode == 1
    assert "max_admited" in failed.stderr


@pytest.mark.parametrize(
    "number", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)]
)
def test_serve_stops_cleanly_on_signals(number: signal.Signals) -> None:
    before = _ray_directories()
    port = str(free_port())
    command = [sys.executable, "-m", "scripts.serve", "--config", SIMULATED, "--port", port]
    process = subprocess.Popen(
        [*command, "--num-gpus", "1"], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None
    assert b"Twinset serves at" in process.stdout.readline()
    process.send_signal(number)
    _, complaint = process.communicate(timeout=30)
    assert process.returncode == 0
    assert b"stopped" in complaint
    assert b"Traceback" not in complaint
    _assert_nothing_new(before)


@pytest.mark.slow
def test_stop_ends_a_service_whose_process_was_killed(tmp_path: Path) -> None:
    # A checkout of its own, so that a service of this one that runs meanwhile is left alone.
    checkout = tmp_path / "copy"
    shutil.copytree(ROOT / "scripts", checkout / "scripts")
    for name in ("models", "deployments", "configs"):
        (checkout / name).symlink_to(ROOT / name)
    before = _ray_directories()
    command = [sys.executable, "-m", "scripts.serve", "--config", SIMULATED, "--port", "0"]
    process = subprocess.Popen(
        [*command, "--num-gpus", "1"], cwd=checkout, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None
    assert b"Twinset serves at" in process.stdout.readline()
    process.kill()
    process.communicate()
    stopped = subprocess.run(
        [sys.executable, "-m", "scripts.stop"], cwd=checkout, capture_output=True, text=True
    )
    assert stopped.returncode == 0, stopped.stderr
    assert "stopped http://127.0.0.1" in stopped.stdout
    _assert_nothing_new(before)
    assert not list((checkout / ".run").glob("*"))


def test_two_services_on_one_port_are_one_service_and_one_sentence() -> None:
    port = str(free_port())
    command = [sys.executable, "-m", "scripts.serve", "--config", SIMULATED, "--port", port]
    both = [
        subprocess.Popen(
            [*command, "--num-gpus", "1"],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    try:
        wait_for(lambda: any(one.poll() is not None for one in both), timeout_s=120)
        loser = next(one for one in both if one.poll() is not None)
        assert loser.returncode == 1
        winner = next(one for one in both if one is not loser)
        complaint = loser.communicate()[1]
        assert f"port {port} is busy, process {winner.pid} of " in complaint
        assert "scripts.serve" in complaint
        assert winner.stdout is not None
        assert f":{port} " in winner.stdout.readline()
    finally:
        for one in both:
            one.terminate()
            one.communicate()


def test_a_file_that_is_no_serve_config_gets_a_sentence(tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text("applications: 5\n")
    failed = _run("serve", "--config", str(wrong), "--port", "0")
    assert failed.returncode == 1
    assert f"could not start {wrong}" in failed.stderr
    assert "Traceback" not in failed.stderr
