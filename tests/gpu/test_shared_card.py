"""Two models on one card, each in a process of its own with a share of its own."""

import json
import subprocess
import sys
from typing import Any

import pytest
import torch

from models.cuda_context import GIB
from tests.serve.conftest import ROOT

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU here")


def _start(model: str, share: float, *options: str) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "benchmarks.gpu_measured", model, "--share", str(share)]
    return subprocess.Popen(
        [*command, *options], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def _facts(process: "subprocess.Popen[str]") -> dict[str, Any]:
    out, complaints = process.communicate(timeout=280)
    assert process.returncode == 0, complaints
    facts: dict[str, Any] = json.loads(out.splitlines()[-1])
    sys.stdout.write(f"{facts}\n")  # shown by `pytest -s`: figures for docs/gpu.md
    return facts


@pytest.mark.parametrize("shares", [(0.9,), (0.45, 0.45)])
def test_shares_of_one_card_hold(shares: tuple[float, ...]) -> None:
    vae = _start("celeba-vae", 0.1, "--seconds", "60")
    diffusion = [_start("stable-diffusion-v1-5", share, "--seconds", "20") for share in shares]
    for process in [*diffusion, vae]:
        facts = _facts(process)
        assert facts["peak_gib"] <= facts["limit_gib"]
        assert facts["sets"] >= 1


def test_a_set_that_is_too_large_disturbs_nobody() -> None:
    neighbour = _start("celeba-vae", 0.1, "--seconds", "60")
    greedy = _start("stable-diffusion-v1-5", 0.45, "--too-large", "--seconds", "5")
    facts = _facts(greedy)
    assert "do not fit" in facts["too_large"]
    assert facts["sets"] >= 1  # it lives on
    assert _facts(neighbour)["sets"] >= 1


# With CUDA's own 0.85 GiB: less than the weights in float16 (2.55 GiB), and less than a set beside
# them (7 GiB).
@pytest.mark.parametrize("gib", [2.5, 4.5])
def test_a_share_that_is_too_small_is_refused_with_a_sentence(gib: float) -> None:
    total_gib = torch.cuda.get_device_properties(0).total_memory / GIB
    process = _start("stable-diffusion-v1-5", round(gib / total_gib, 4))
    _, complaints = process.communicate(timeout=280)
    assert process.returncode == 1
    assert "set num_gpus" in complaints
    assert "Traceback" not in complaints
