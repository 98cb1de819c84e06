"""Whoever copies a command of ours to start Ray gets one that is closed to others.

It asks for a token and sends no statistics, and what people paste into a shell keeps Ray's files
below a private directory and names the cluster that later commands send the token to.
"""

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
# `isolate_environment` of scripts/local_ray.py sets both.
_EVERYWHERE = [
    re.compile(r"RAY_AUTH_MODE\W{1,6}token|isolate_environment\("),
    re.compile(r"RAY_USAGE_STATS_ENABLED\W{1,6}0|isolate_environment\("),
]
_IN_A_SHELL = [
    re.compile(r"^umask 077", re.MULTILINE),
    re.compile(r"\bRAY_ADDRESS="),
    re.compile(r"\bRAY_DASHBOARD_ADDRESS="),
    re.compile(r"--temp-dir=\S"),
    re.compile(r"--dashboard-port="),
]
_KUBERNETES = re.compile(r"^kind: Ray(Cluster|Job|Service)$", re.MULTILINE)
_KUBERNETES_NEEDS = [
    re.compile(r"authOptions:\s+mode: token|name: RAY_AUTH_MODE[\s,]+value: .?token"),
    re.compile(r"name: RAY_USAGE_STATS_ENABLED[\s,]+value: .?0"),
]
_LINES_BEFORE, _LINES_OF_COMMAND = 16, 3


@cache
def _files() -> list[Path]:
    found = []
    for directory, below, names in os.walk(ROOT):
        below[:] = [one for one in below if one not in _SKIPPED and not one.endswith("_cache")]
        found += [Path(directory) / name for name in names if Path(name).suffix in _KINDS]
    return found


def _starts(path: Path) -> list[tuple[int, str]]:
    lines = path.read_text(errors="replace").splitlines()
    if path.suffix == ".py":
        whole = "\n".join(lines)
        return [(number, whole) for number, one in enumerate(lines) if _START_IN_PYTHON.search(one)]
    return [
        (number, "\n".join(lines[max(0, number - _LINES_BEFORE) : number + _LINES_OF_COMMAND]))
        for number, line in enumerate(lines)
        if _START.search(line)
    ]


def _missing(path: Path, around: str) -> list[str]:
    needed = _EVERYWHERE + ([] if path.suffix == ".py" else _IN_A_SHELL)
    return [one.pattern for one in needed if not one.search(around)]


def _unprotected() -> list[str]:
    ours = Path(__file__)
    return [
        f"{path.relative_to(ROOT)}:{number + 1} {missing}"
        for path in _files()
        if path != ours
        for number, around in _starts(path)
        for missing in _missing(path, around)
    ]


def test_every_start_of_ray_has_beside_it_what_closes_it_to_others() -> None:
    assert _unprotected() == []


def test_every_start_of_ray_on_kubernetes_has_what_closes_it_to_others() -> None:
    starting = [path for path in _files() if _KUBERNETES.search(path.read_text(errors="replace"))]
    assert starting
    for path in starting:
        text = path.read_text()
        assert [one.pattern for one in _KUBERNETES_NEEDS if not one.search(text)] == [], path.name


def test_there_are_starts_of_ray_to_look_at() -> None:
    starting = {str(path.relative_to(ROOT)) for path in _files() if _starts(path)}
    documents = {"README.md", "SECURITY.md"}
    assert documents | {"scripts/local_ray.py", "tests/faults/cluster.py"} <= starting


def test_both_documents_start_ray_alike() -> None:
    texts = [(ROOT / name).read_text() for name in ("README.md", "SECURITY.md")]
    blocks = [
        one
        for text in texts
        for one in re.findall(r"^umask.*?--dashboard-port=\d+$", text, re.M | re.S)
    ]
    assert len(blocks) == 2
    assert blocks[0] == blocks[1]


@pytest.mark.parametrize(
    "line", ["ray start --head", "    $ ray start --head --port=1", "- ray start --address=x"]
)
def test_a_bare_start_would_be_found(tmp_path: Path, line: str) -> None:
    file = tmp_path / "notes.md"
    file.write_text("export RAY_AUTH_MODE=token\n" + "\n" * _LINES_BEFORE + line + "\n")
    ((_, around),) = _starts(file)
    assert len(_missing(file, around)) == len(_EVERYWHERE + _IN_A_SHELL)
