"""The circumstances of a run, with the versions of everything that is compared."""

import importlib.metadata
from typing import Any

from benchmarks.circumstances import circumstances

_COMPARED = ("transformers", "litserve", "fastapi", "uvicorn", "httpx")


def conditions() -> dict[str, Any]:
    """Return machine, commit, moment and versions."""
    found = circumstances()
    more = {name: importlib.metadata.version(name) for name in _COMPARED}
    return {**found, "versions": {**found["versions"], **more}}
