"""On what, with what and when a figure was measured."""

import importlib.metadata
import os
import platform
from datetime import UTC, datetime
from typing import Any

import torch

from benchmarks.commit import commit
from benchmarks.gpu_speed.clock import GIB

_PACKAGES = ("torch", "diffusers", "transformers", "triton", "numpy", "pillow")


def card_name(device: torch.device) -> str:
    """Return the name of the GPU, or say that the CPU computes."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else "no GPU: the CPU"


def machine(device: torch.device) -> dict[str, Any]:
    """Return card, versions and commit."""
    facts: dict[str, Any] = {
        "card": card_name(device),
        "cores": os.cpu_count(),
        "versions": {"python": platform.python_version(), **_versions()},
        "commit": commit(),
    }
    if device.type == "cuda":
        properties = torch.cuda.get_device_properties(device)
        facts["memory_gib"] = round(properties.total_memory / GIB, 1)
        facts["multiprocessors"] = properties.multi_processor_count
        facts["versions"] |= {"cuda": torch.version.cuda, "cudnn": torch.backends.cudnn.version()}
    return facts


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
