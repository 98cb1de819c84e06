"""The JSON file of a measurement, written anew after each cell, so that nothing found is lost."""

import json
import os
from pathlib import Path
from typing import Any

from benchmarks.gpu_speed.machine import now
from benchmarks.gpu_speed.predictions import as_facts

FILE = "gpu_speed.json"
FINISHED = ("measured", "failed")


class Report:
    """What is known so far, in memory and on disk."""

    def __init__(self, path: Path, facts: dict[str, Any]) -> None:
        """Take the file and what it holds."""
        self.path = path
        self.facts = facts

    @classmethod
    def begin(cls, path: Path, machine: dict[str, Any], workload: dict[str, Any]) -> "Report":
        """Start a measurement; a file that is there is replaced by the first cell."""
        head = {"benchmark": "gpu_speed", "format": 1, "begun": now()}
        facts = {"machine": machine, "workload": workload, "predictions": as_facts(), "cells": {}}
        return cls(path, head | facts)

    @classmethod
    def resume(cls, path: Path, machine: dict[str, Any], workload: dict[str, Any]) -> "Report":
        """Go on with a measurement, or start it where there is no file.

        Raises:
            ValueError: the file was measured on another card, or of another set.
        """
        if not path.exists():
            return cls.begin(path, machine, workload)
        report = cls.read(path)
        before = report.facts["machine"]["card"]
        if before != machine["card"]:
            raise ValueError(
                f"{path} was measured on {before} and this is {machine['card']}: name another "
                "--out, times of two cards are not to be mixed"
            )
        if report.facts["workload"] != workload:
            raise ValueError(
                f"{path} holds another set ({report.facts['workload']}): name another --out, or "
                "the same options"
            )
        return report

    @classmethod
    def read(cls, path: Path) -> "Report":
        """Read a file.

        Raises:
            ValueError: it is no report of this benchmark.
        """
        facts = json.loads(path.read_text())
        if not isinstance(facts, dict) or facts.get("benchmark") != "gpu_speed":
            raise ValueError(f"{path} is no report of gpu_speed: name its gpu_speed.json")
        return cls(path, facts)

    @property
    def cells(self) -> dict[str, dict[str, Any]]:
        """The outcome of each cell by its name."""
        cells: dict[str, dict[str, Any]] = self.facts["cells"]
        return cells

    def is_finished(self, cell: str) -> bool:
        """Say whether a cell was measured, or failed for good."""
        return self.cells.get(cell, {}).get("status") in FINISHED

    def figures(self, cell: str) -> dict[str, Any]:
        """Return what a cell measured; nothing where it did not."""
        figures: dict[str, Any] = self.cells.get(cell, {}).get("figures", {})
        return figures

    def set_cell(self, cell: str, status: str, **facts: Any) -> None:
        """Write down the outcome of a cell, on disk as well."""
        self.cells[cell] = {"status": status, "measured": now(), **facts}
        self.facts["measured"] = now()
        self.save()

    def save(self) -> None:
        """Replace the file at once: a reader finds the old one or the new one, whole."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        fresh = self.path.with_suffix(".partial")
        fresh.write_text(json.dumps(self.facts, indent=1) + "\n")
        os.replace(fresh, self.path)
