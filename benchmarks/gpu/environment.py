"""On what, with what and when a figure was measured."""

import importlib.metadata
import os
import platform
import subprocess
from datetime import UTC, datetime
from typing import Any

import torch

from benchmarks.commit import commit

_PACKAGES = ("torch", "diffusers", "transformers", "triton", "numpy", "pillow")


def environment(device: torch.device) -> dict[str, Any]:
    """Return card, versions and commit, without opening the GPU in this process."""
    is_gpu = device.type == "cuda"
    facts: dict[str, Any] = {
        "card": driver("gpu=name").splitlines()[0] if is_gpu else "no GPU: the CPU",
        "cores": os.cpu_count(),
        "versions": {"python": platform.python_version(), **_versions()},
        "commit": commit(),
    }
    if is_gpu:
        facts["versions"] |= {"cuda": torch.version.cuda, "cudnn": torch.backends.cudnn.version()}
    return facts


def driver(query: str) -> str:
    """Return what `nvidia-smi` says, a line each, or why it says nothing.

    Args:
        query: such as "gpu=name" or "compute-apps=pid".
    """
    command = ["nvidia-smi", f"--query-{query}", "--format=csv,noheader"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20)
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"no nvidia-smi: {error}"
    return (done.stdout or done.stderr).strip()


def now() -> str:
    """Return the moment, as JSON holds it."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def _versions() -> dict[str, str]:
    found = {}
    for name in _PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue  # triton is not everywhere
    return found
