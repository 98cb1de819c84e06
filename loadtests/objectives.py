"""What a run must reach: read from a YAML file, compared with the figures of the run."""

from __future__ import annotations

from argparse import ArgumentTypeError
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

import yaml

KEYS = {
    "p50_s": "half of the answers come within",
    "p95_s": "95 of 100 answers come within",
    "p99_s": "99 of 100 answers come within",
    "first_image_p95_s": "95 of 100 streams show their first image within",
    "error_share": "of all requests fail at most",
    "sets_per_minute": "correct sets a minute at least",
}
AT_LEAST = ("sets_per_minute",)


@dataclass(frozen=True)
class Judged:
    """One objective beside what was seen; `seen` is None where nothing could be measured."""

    key: str
    wanted: float
    seen: float | None

    @property
    def is_met(self) -> bool | None:
        """Whether the run reached it; None where nothing could be measured, such as no stream."""
        if self.seen is None:
            return None
        return self.seen >= self.wanted if self.key in AT_LEAST else self.seen <= self.wanted

    def __str__(self) -> str:
        """Return the objective as a line."""
        bound = f"{'at least' if self.key in AT_LEAST else 'at most'} {self.wanted:g}"
        if self.seen is None:
            return f"{self.key}, {bound}: not measured"
        return f"{self.key} {self.seen:.4g}, {bound}: {'met' if self.is_met else 'MISSED'}"


def read_objectives(path: Path) -> dict[str, float]:
    """Read the objectives of a file; a key that is absent or empty asks for nothing.

    Raises:
        ValueError: there is no such file, a key is unknown, or a value is no number.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except (OSError, yaml.YAMLError) as error:
        raise ValueError(f"{path}: {error}") from error
    if not isinstance(content, dict):
        raise ValueError(f"{path}: keys and numbers are expected, such as 'p95_s: 30'")
    return {
        key: read_value(path, key, value) for key, value in content.items() if value is not None
    }


def read_value(path: Path, key: object, value: object) -> float:
    """Return one objective's number; raises ValueError with the key's name."""
    if key not in KEYS:
        near = get_close_matches(str(key), KEYS, 1)
        hint = f"did you mean {near[0]}?" if near else f"the keys are {', '.join(KEYS)}"
        raise ValueError(f"{path}: unknown key {key!r}: {hint}")
    if isinstance(value, bool) or not isinstance(value, int | float) or not value >= 0:
        raise ValueError(f"{path}: {key}: {value!r} is not a number of 0 or more")
    return float(value)


def judge(objectives: Mapping[str, float], seen: Mapping[str, float | None]) -> list[Judged]:
    """Return each objective beside the figure of the same name."""
    return [Judged(key, objectives[key], seen.get(key)) for key in KEYS if key in objectives]


def checked_objectives(text: str) -> str:
    """Return the path as it is where it holds objectives: the form that workers get."""
    if text:
        try:
            read_objectives(Path(text))
        except ValueError as error:
            raise ArgumentTypeError(str(error)) from error
    return text
