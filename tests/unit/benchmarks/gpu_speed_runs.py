"""What tests of the GPU benchmark have in common."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from benchmarks.gpu_speed.report import FILE


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Run with one thread, and with as many as before afterwards: the benchmark sets them."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def read(directory: Path) -> dict[str, Any]:
    """Return the report of a run."""
    report: dict[str, Any] = json.loads((directory / FILE).read_text())
    return report
