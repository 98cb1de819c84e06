"""The JSON file of a check, written anew whenever something is found, so that nothing is lost."""

import json
import os
from pathlib import Path
from typing import Any

from benchmarks.gpu.environment import now

FILE = "gpu-check.json"
FINISHED = ("measured", "failed")


class Report:
    """What is known so far, in memory and on disk."""

    def __init__(self, path: Path, facts: dict[str, Any]) -> None:
        """Take the file and what it holds."""
        self.path = path
        self.facts = facts

    @classmethod
    def begin(cls, path: Path, environment: dict[str, Any], workload: dict[str, Any]) -> "Report":
        """Start a check; a file that is there is replaced by the first part."""
        head = {"benchmark": "gpu-check", "format": 2, "begun": now()}
        path.parent.mkdir(parents=True, exist_ok=True)
        return cls(path, head | {"environment": environment, "workload": workload, "parts": {}})

    @classmethod
    def resume(cls, path: Path, environment: dict[str, Any], workload: dict[str, Any]) -> "Report":
        """Go on with a check, or start it where there is no file.

        Raises:
            ValueError: the file was measured on another card, or with another size.
        """
        if not path.exists():
            return cls.begin(path, environment, workload)
        report = cls.read(path)
        before, now_on = report.card, environment["card"]
        if before != now_on:
            raise ValueError(
                f"{path} was measured on {before} and this is {now_on}: name another --out, "
                "figures of two cards are not to be mixed"
            )
        if report.facts["workload"] != workload:
            raise ValueError(
                f"{path} holds another size ({report.facts['workload']['name']}): name another "
                "--out, or the same options"
            )
        return report

    @classmethod
    def read(cls, path: Path) -> "Report":
        """Read a file.

        Raises:
            ValueError: it is no report of this check.
        """
        try:
            facts = json.loads(path.read_text())
        except ValueError:  # no JSON, or no text
            facts = None
        if not isinstance(facts, dict) or facts.get("benchmark") != "gpu-check":
            raise ValueError(f"{path} is no report of gpu-check: name its {FILE}")
        return cls(path, facts)

    @property
    def card(self) -> str:
        """The name of the card, or that there is none."""
        return str(self.facts["environment"]["card"])

    @property
    def is_tiny(self) -> bool:
        """Whether this was a trial on the CPU."""
        return bool(self.facts["workload"]["name"] == "tiny")

    @property
    def parts(self) -> dict[str, dict[str, Any]]:
        """The outcome of each part by its name."""
        parts: dict[str, dict[str, Any]] = self.facts["parts"]
        return parts

    def is_finished(self, part: str) -> bool:
        """Say whether a part was measured, or failed by itself."""
        return self.parts.get(part, {}).get("status") in FINISHED

    def figures(self, part: str) -> dict[str, Any]:
        """Return what a part found; nothing where it did not."""
        figures: dict[str, Any] = self.parts.get(part, {}).get("figures", {})
        return figures

    def set_part(self, part: str, status: str, **facts: Any) -> None:
        """Write down the outcome of a part, on disk as well."""
        self.parts[part] = {"status": status, "measured": now(), **facts}
        self.facts["measured"] = now()
        self.save()

    def save(self) -> None:
        """Replace the file at once: a reader finds the old one or the new one, whole."""
        fresh = self.path.with_suffix(".partial")
        fresh.write_text(json.dumps(self.facts, indent=1) + "\n")
        os.replace(fresh, self.path)
