"""Whoever copies a command of ours to start Ray gets one that asks for a token."""

import os
import re
from functools import cache
from pathlib import Path

import pytest

from tests.unit.test_structure import ROOT

_KINDS = {".md", ".py", ".yaml", ".yml", ".sh", ".toml", ".service", ""}
_SKIPPED = {".git", ".venv", "out", "build", "node_modules", ".demo-training"}
# A command, not a sentence that mentions it: at the start of a line, after comment or list marks.
_START = re.compile(r'^[\s#>$*-]*(?:"?(?:exec|uv run|command:|run:)\s+)?ray start --')
# To join one that runs is no start.
_START_IN_PYTHON = re.compile(r'"ray"\)?,\s*"start"|ray\.init\((?!address=sys\.argv)')
# `isolate_environment` of scripts/local_ray.py sets it.
_MODE = re.compile(r"RAY_AUTH_MODE\W{1,6}token|isolate_environment\(")
_KUBERNETES = re.compile(r"^kind: Ray(Cluster|Job|Service)$", re.MULTILINE)
_KUBERNETES_MODE = re.compile(r"authOptions:\s+mode: token|name: RAY_AUTH_MODE[\s,]+value: .?token")
_LINES_BEFORE = 12


@cache
def _files() -> list[Path]:
    found = []
    for directory, below, names in os.walk(ROOT):
        below[:] = [one for one in below if one not in _SKIPPED and not one.endswith("_cache")]
        found += [Path(directory) / name for name in names if Path(name).suffix in _KINDS]
    return found


def _starts(path: Path) -> list[tuple[int, str]]:
    lines = path.read_text(errors="replace").splitlines()
    pattern = _START_IN_PYTHON if path.suffix == ".py" else _START
    return [
        (number, "\n".join(lines if path.suffix == ".py" else lines[: number + 1][-_LINES_BEFORE:]))
        for number, line in enumerate(lines)
        if pattern.search(line)
    ]


def _unprotected() -> list[str]:
    ours = Path(__file__)
    return [
        f"{path.relative_to(ROOT)}:{number + 1}"
        for path in _files()
        if path != ours
        for number, before in _starts(path)
        if not _MODE.search(before)
    ]


def test_every_start_of_ray_sets_the_mode_of_authentication_beside_it() -> None:
    assert _unprotected() == []


def test_every_start_of_ray_on_kubernetes_sets_the_mode_of_authentication() -> None:
    starting = [path for path in _files() if _KUBERNETES.search(path.read_text(errors="replace"))]
    bare = [path.name for path in starting if not _KUBERNETES_MODE.search(path.read_text())]
    assert bare == []


def test_there_are_starts_of_ray_to_look_at() -> None:
    starting = {str(path.relative_to(ROOT)) for path in _files() if _starts(path)}
    assert {"README.md", "SECURITY.md", "scripts/local_ray.py", "serve_config.yaml"} <= starting


@pytest.mark.parametrize(
    "line", ["ray start --head", "    $ ray start --head --port=1", "- ray start --address=x"]
)
def test_a_start_without_the_mode_would_be_found(tmp_path: Path, line: str) -> None:
    file = tmp_path / "notes.md"
    file.write_text("export RAY_AUTH_MODE=token\n" + "\n" * _LINES_BEFORE + line + "\n")
    ((_, before),) = _starts(file)
    assert not _MODE.search(before)
