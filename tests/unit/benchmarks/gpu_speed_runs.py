"""What tests of the GPU benchmark have in common."""

import json
from pathlib import Path
from typing import Any

from benchmarks.gpu_speed.report import FILE


def read(directory: Path) -> dict[str, Any]:
    """Return the report of a run."""
    report: dict[str, Any] = json.loads((directory / FILE).read_text())
    return report
