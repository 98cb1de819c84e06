"""The published model's own size, with random weights: it loads, runs, and fits."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

ROOT = Path(__file__).resolve().parents[3]
NEEDED_MEMORY_BYTES = 12 * 2**30
NEEDED_DISK_BYTES = 6 * 10**9


def _run(*arguments: str | Path) -> str:
    command = [sys.executable, "-m", "tests.unit.stable_diffusion.full_size", *map(str, arguments)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=800)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout + done.stderr


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_stable_diffusion_v1_5_in_full_size_loads_and_makes_an_image(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if psutil.virtual_memory().available < NEEDED_MEMORY_BYTES:
        pytest.skip("needs 12 GiB of free memory")
    if shutil.disk_usage(tmp_path).free < NEEDED_DISK_BYTES:
        pytest.skip("needs 6 GB of free disk")
    weights_dir = tmp_path / "weights"
    try:
        _run("build", weights_dir)
        size_bytes = sum(path.stat().st_size for path in weights_dir.rglob("*.safetensors"))
        output = _run("run", weights_dir, "float32")
    finally:
        shutil.rmtree(weights_dir, ignore_errors=True)
    told = next(line for line in output.splitlines() if line.startswith("FACTS "))
    facts = json.loads(told.removeprefix("FACTS "))
    with capsys.disabled():
        sys.stdout.write(
            f"\nfull size, {facts['precision']} on the CPU, {size_bytes / 1e9:.2f} GB of files: "
            f"load {facts['load_s']} s, {facts['check_s']} s of it checking; one image of "
            f"{facts['calls'][1]} UNet calls {facts['generate_s']} s; "
            f"peak memory {facts['peak_gib']} GiB\n"
        )
    assert facts["unet"]["parameters"] == 859_520_964
    assert facts["vae"]["parameters"] == 83_653_863
    assert facts["text_encoder"]["parameters"] == 123_060_480
    assert 303_000_000 < facts["safety_checker"]["parameters"] < 305_000_000
    for part in ("unet", "vae", "text_encoder", "safety_checker"):
        assert facts[part]["same"] == facts[part]["tensors"], f"{part} was not loaded whole"
    assert facts["shape"] == [1, 512, 512, 3]
    assert facts["spread"] > 0
    assert facts["calls"] == [1, 3]  # PNDM makes one call more
    assert facts["notes"] == facts["filtered"] == []
    assert facts["revision"] == "451f4fe16113bff5a5d2269ed5ad43b0592e9a14"
    assert facts["peak_gib"] < 12
