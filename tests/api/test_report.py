"""The report of a running service, and the example that sweeps: their numbers are the service's."""

import json
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image

from tests.support.services import ROOT, SAMPLE_FACE

pytestmark = [pytest.mark.heavy, pytest.mark.slow]

SEED = 11
METRICS = ("pairwise_rmse", "input_rmse", "laplacian_variance")
# Under load the same request gives the same pixels within 1/255.
TOLERANCE = {"pairwise_rmse": 1e-3, "input_rmse": 1e-3, "laplacian_variance": 2e-5}


def _command(client: httpx.Client, out: Path, *more: str) -> list[str]:
    key = client.headers.get("Authorization", "").removeprefix("Bearer ")
    options = ["--url", str(client.base_url), "--out", str(out), *(["--api-key", key] * bool(key))]
    return [sys.executable, "-m", "scripts.report", *options, *more]


def _run(command: list[str]) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=200)


@pytest.fixture(scope="module")
def out(demo: httpx.Client, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a report of the demo."""
    folder = tmp_path_factory.mktemp("report")
    done = _run(_command(demo, folder, "--seed", str(SEED)))
    assert done.returncode == 0, done.stderr
    assert "report.html" in done.stdout
    return folder


@pytest.fixture(scope="module")
def numbers(out: Path) -> dict[str, Any]:
    report: dict[str, Any] = json.loads((out / "report.json").read_text())
    return report


def _assert_equal_metrics(ours: dict[str, float], theirs: dict[str, float]) -> None:
    for name in METRICS:
        assert ours[name] == pytest.approx(theirs[name], abs=TOLERANCE[name]), name


def test_its_sweep_is_that_of_the_service(
    demo: httpx.Client, face: bytes, numbers: dict[str, Any]
) -> None:
    answer = demo.post("/v1/sweep", files={"image": face}, data={"seed": SEED}).json()
    assert len(answer["sets"]) == len(numbers["sweep"]["sets"]) == 10
    for ours, theirs in zip(numbers["sweep"]["sets"], answer["sets"], strict=True):
        assert ours["diversity_factor"] == theirs["diversity_factor"]
        _assert_equal_metrics(ours["metrics"], theirs["metrics"])
    assert numbers["sweep"]["parameters"] == answer["parameters"]
    assert numbers["input"]["sha256"] == answer["input"]["sha256"]
    assert numbers["repeated_within_255ths"] <= 1


def test_its_sets_and_parameters_are_those_of_the_service(
    demo: httpx.Client, face: bytes, numbers: dict[str, Any]
) -> None:
    answer = demo.post("/v1/pairs", files={"image": face}, data={"seed": SEED}).json()
    for role in ("vae", "stable_diffusion"):
        _assert_equal_metrics(numbers["sets"][role]["metrics"], answer["sets"][role]["metrics"])
        assert numbers["sets"][role]["revision"] == answer["sets"][role]["revision"]
        # Taken again, image by image, it is the service's measure.
        again = np.mean(numbers["image_sharpness"][role])
        assert again == pytest.approx(numbers["sets"][role]["metrics"]["laplacian_variance"], 1e-5)
    assert numbers["parameters"] == answer["parameters"]
    assert numbers["sets"]["stable_diffusion"]["unet_calls"] == 14
    reconstruction = numbers["reconstruction"]["metrics"]
    assert reconstruction["pairwise_rmse"] == 0
    assert reconstruction["input_rmse"] < numbers["sets"]["vae"]["metrics"]["input_rmse"]
    assert numbers["image_sharpness"]["reconstruction"] == pytest.approx(
        [reconstruction["laplacian_variance"]], 1e-5
    )
    assert reconstruction["laplacian_variance"] < numbers["input"]["laplacian_variance"] / 2


def test_its_figures_are_files_that_differ(out: Path, numbers: dict[str, Any]) -> None:
    files = sorted(path.name for path in out.glob("*.png"))
    assert files == sorted(numbers["figures"])
    assert len({(out / name).read_bytes() for name in files}) == 8
    for name in files:
        pixels = np.asarray(Image.open(out / name).convert("RGB"))
        assert pixels.shape[1] > 900
        assert pixels.std() > 10


def test_its_page_shows_these_numbers_and_the_chosen_factor(
    out: Path, numbers: dict[str, Any]
) -> None:
    page = (out / "report.html").read_text()
    assert "7, served default" in page
    assert numbers["chosen_factor"] == 7.0
    for made in numbers["sweep"]["sets"]:
        assert f"<td>{made['metrics']['pairwise_rmse']:.4f}</td>" in page
    for topic in numbers["comparison"]:
        assert topic["sentences"]
    assert numbers["input"]["sha256"] in page
    assert "demo weights" in page
    assert "people who agreed" in page
    assert not re.search(r"https?://|<script", page)


@pytest.mark.slow
def test_simulated_pictures_are_reported_as_simulated(
    simulated: httpx.Client, tmp_path: Path
) -> None:
    done = _run(_command(simulated, tmp_path))
    assert done.returncode == 0, done.stderr
    assert "simulated" in done.stdout
    assert "These pictures are simulated" in (tmp_path / "report.html").read_text()
    key = simulated.headers["Authorization"].removeprefix("Bearer ")
    for file in ("report.html", "report.json"):
        assert key not in (tmp_path / file).read_text()
    keyless = _command(simulated, tmp_path)
    place = keyless.index("--api-key")
    refused = _run(keyless[:place] + keyless[place + 2 :])
    assert refused.returncode == 1
    assert "--api-key" in refused.stderr


def test_what_goes_wrong_gets_a_sentence(demo: httpx.Client, tmp_path: Path) -> None:
    text = tmp_path / "text.jpg"
    text.write_text("no face")
    refused = _run(_command(demo, tmp_path / "out", "--face", str(text)))
    assert refused.returncode == 1
    assert "cannot be decoded" in refused.stderr
    assert list((tmp_path / "out").iterdir()) == []
    nowhere = _run(_command(demo, tmp_path, "--url", "http://127.0.0.1:9"))
    assert nowhere.returncode == 1
    assert "make serve" in nowhere.stderr
    for done in (refused, nowhere):
        assert "Traceback" not in done.stderr


def test_ctrl_c_while_a_set_is_made_ends_it_cleanly(tmp_path: Path) -> None:
    limits = json.dumps({"data": [], "limits": {"request_timeout_s": 60, "max_images": 10}})
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(60)
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        command = [sys.executable, "-m", "scripts.report", "--url", url, "--out", str(tmp_path)]
        process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True)
        first, _ = listener.accept()
        with first:
            first.recv(65536)
            head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(limits)}\r\nConnection: close\r\n\r\n"
            first.sendall(f"{head}{limits}".encode())
        second, _ = listener.accept()  # the picture comes; nobody answers
        with second:
            process.send_signal(signal.SIGINT)
            _, complaint = process.communicate(timeout=30)
    assert process.returncode == 130
    assert complaint.strip() == "twinset: stopped"
    assert list(tmp_path.iterdir()) == []


def _example(demo: httpx.Client, face: Path, out: Path, *more: str) -> Any:
    command = [sys.executable, str(ROOT / "examples" / "sweep.py"), str(face)]
    address = str(demo.base_url).rstrip("/")
    return subprocess.run(
        [*command, "--url", address, "--out", str(out), *more],
        cwd=out.parent,  # not the checkout: it imports nothing of ours
        capture_output=True,
        text=True,
        timeout=200,
    )


def test_the_example_sweeps_and_saves_a_hundred_images(
    demo: httpx.Client, tmp_path: Path, numbers: dict[str, Any]
) -> None:
    done = _example(demo, SAMPLE_FACE, tmp_path / "sweep", "--seed", str(SEED))
    assert done.returncode == 0, done.stderr
    files = sorted((tmp_path / "sweep").glob("factor-*/seed-*.png"))
    assert len(files) == 100
    assert len({file.read_bytes() for file in files}) == 100
    rows = [line.split() for line in done.stdout.splitlines()[1:11]]
    for row, made in zip(rows, numbers["sweep"]["sets"], strict=True):
        shown = dict(zip(METRICS, map(float, row[1:]), strict=True))
        assert float(row[0]) == made["diversity_factor"]
        _assert_equal_metrics(shown, made["metrics"])


def test_the_example_prints_what_the_service_says(demo: httpx.Client, tmp_path: Path) -> None:
    refused = _example(demo, SAMPLE_FACE, tmp_path / "sweep", "--factors", "11")
    assert refused.returncode == 1
    assert refused.stderr.startswith("the service says: ")
    assert "send at most 10\n" in refused.stderr
    missing = _example(demo, tmp_path / "none.jpg", tmp_path / "sweep")
    assert "No such file" in missing.stderr
    away = _example(demo, SAMPLE_FACE, tmp_path / "sweep", "--url", "http://127.0.0.1:9")
    assert "make serve" in away.stderr
    for done in (refused, missing, away):
        assert "Traceback" not in done.stderr
