"""The whole training, every stage for a few steps: what `make demo-weights SMOKE=1` runs."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from models.celeba_vae.checkpoint import load_network
from models.stable_diffusion.checkpoint import load_pipeline
from models.stable_diffusion.config import StableDiffusionConfig

ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.slow
def test_every_stage_runs_and_writes_weights_that_load(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "models.demo.train", "--smoke"]
    done = subprocess.run(
        [*command, "--working-directory", str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=280,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    weights = tmp_path / "smoke" / "weights"
    assert load_network(weights / "celeba_vae").config.image_size_px == 150
    directory = str(weights / "stable_diffusion")
    assert load_pipeline(StableDiffusionConfig(directory, None, 128, "float32", "cpu")).unet


@pytest.mark.slow
def test_ctrl_c_ends_the_training_in_words(tmp_path: Path) -> None:
    """No stack of calls; the same command goes on with what was done."""
    command = [sys.executable, "-m", "models.demo.train", "--smoke", "--working-directory"]
    training = subprocess.Popen(
        [*command, str(tmp_path)], cwd=ROOT, stderr=subprocess.PIPE, text=True
    )
    deadline = time.monotonic() + 120
    # Not before: the first steps import much, and libraries may swallow what interrupts an import.
    while not (tmp_path / "smoke" / "autoencoder.pt").exists() and time.monotonic() < deadline:
        time.sleep(0.2)
    training.send_signal(signal.SIGINT)
    _, said = training.communicate(timeout=60)
    assert training.returncode == 130, said[-2000:]
    assert "the same command goes on" in said
    assert "Traceback" not in said
