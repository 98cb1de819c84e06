"""The scripts that people copy run, against a service and against none."""

import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from PIL import Image

from tests.support.services import ROOT

pytestmark = pytest.mark.heavy

EXAMPLES = sorted(path.name for path in (ROOT / "examples").glob("*.py"))


def _run(name: str, directory: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, str(ROOT / "examples" / name), *arguments]
    return subprocess.run(command, cwd=directory, capture_output=True, text=True, timeout=200)


@pytest.fixture
def face_file(tmp_path: Path, face: bytes) -> str:
    """Return the name of the sample face in the folder that the examples run in."""
    (tmp_path / "face.png").write_bytes(face)
    return "face.png"


def test_pairs_writes_the_images(demo: httpx.Client, tmp_path: Path, face_file: str) -> None:
    url = str(demo.base_url)
    done = _run("pairs.py", tmp_path, face_file, "--url", url, "--seed", "7", "--strength", "0.6")
    assert done.returncode == 0, done.stderr
    assert len(list(tmp_path.glob("pairs/*/*-seed-*.png"))) == 20
    refused = _run("pairs.py", tmp_path, face_file, "--url", url, "--strength", "2")
    assert refused.returncode == 1
    assert "400: strength" in refused.stderr


@pytest.mark.slow
def test_stream_shows_every_event(demo: httpx.Client, tmp_path: Path, face_file: str) -> None:
    done = _run("stream.py", tmp_path, face_file, "--url", str(demo.base_url))
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert sum("image" in line for line in lines) == 20
    assert sum(line.startswith("stable_diffusion: step") for line in lines) >= 10
    assert lines[-1].startswith("stable_diffusion: demo-diffusion")


@pytest.mark.slow
def test_openais_client(demo: httpx.Client, tmp_path: Path, face_file: str) -> None:
    done = _run("openai_client.py", tmp_path, face_file, "--url", str(demo.base_url))
    assert done.returncode == 0, done.stderr
    assert Image.open(tmp_path / "edit-seed-7.png").size == (128, 128)
    assert done.stdout.count("image_edit.completed") == 2


def test_hugging_faces_client(demo: httpx.Client, tmp_path: Path, face_file: str) -> None:
    done = _run("huggingface_client.py", tmp_path, face_file, "--url", str(demo.base_url))
    assert done.returncode == 0, done.stderr
    assert Image.open(tmp_path / "huggingface-seed-7.png").size == (128, 128)


@pytest.mark.parametrize("name", EXAMPLES)
def test_examples_end_with_a_sentence_when_nobody_answers(
    name: str, tmp_path: Path, face_file: str
) -> None:
    files = [face_file] * (2 if name == "replay.py" else 1)
    failed = _run(name, tmp_path, *files, "--url", "http://127.0.0.1:9")
    assert failed.returncode == 1
    assert failed.stderr.strip()
    assert "Traceback" not in failed.stderr
    shown = _run(name, tmp_path, "--help")
    assert shown.returncode == 0
    assert "--url" in shown.stdout
