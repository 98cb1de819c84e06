"""`make gpu-check` where there is torch, transformers and diffusers, and little else."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.gpu.report import FILE
from benchmarks.gpu.workload import TINY
from benchmarks.paths import ROOT

# Not yaml: the hub's own library, on which transformers stands, needs it.
ABSENT = ("ray", "pynvml", "fastapi", "starlette", "psutil", "matplotlib", "skimage", "torchvision")
# Imported before anything else by each Python below; an import of such a module fails, and whoever
# looks for it finds nothing.
CUSTOMIZE = f"import sys\nfor name in {ABSENT!r}:\n    sys.modules[name] = None\n"


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_every_part_runs_and_the_table_shows_it(tmp_path: Path) -> None:
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(CUSTOMIZE)
    environment = {"PYTHONPATH": str(tmp_path / "site"), "PATH": "/usr/bin:/bin", "HOME": "/tmp"}
    absent = subprocess.run(
        [sys.executable, "-c", "import ray"], env=environment, capture_output=True, text=True
    )
    assert "ModuleNotFoundError" in absent.stderr
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.gpu", "--tiny", "--out", str(tmp_path / "out")],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=800,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    parts = json.loads((tmp_path / "out" / FILE).read_text())["parts"]
    assert {one["status"] for one in parts.values()} == {"measured"}, parts
    arms = parts["speed"]["figures"]
    images, calls = TINY.images, TINY.unet_calls
    counted = {name: (one["unet_calls"], one["encoder_calls"]) for name, one in arms.items()}
    assert counted["notebook"] == (images * calls, images)
    assert counted["diffusers"] == (calls, images)
    assert counted["eager"] == counted["channels_last"] == (calls, 1)
    # A round of half precision apart, and with contrast enough that another picture would show.
    assert all(one["equal"] or one["psnr_db"] > 40 for one in arms.values() if "against" in one)
    assert arms["eager"]["reference_std"] > 20
    assert parts["shares"]["figures"]["processes"]["vae"]["sets"] >= 1
    start = parts["start"]["figures"]
    assert start["warm"]["compile_s"] < start["cold"]["compile_s"] / 2
    assert "| pixels are diffusers' own in float32, within 1/255 | holds |" in done.stdout
    assert "A trial on the CPU: use none of this." in done.stdout
