"""The house's rules that no linter holds."""

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from models import __version__

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("models", "deployments", "loadtests", "scripts", "benchmarks")
SOURCES = [path for package in PACKAGES for path in (ROOT / package).rglob("*.py")]
LIGHT = [
    "deployments.app",
    "deployments.proxy.middleware",
    "models.colours",
    "models.contact_sheet",
    "models.file_structure",
    "models.interfaces",
    "models.orientation",
    "models.parameters",
    "models.pixels",
    "models.provenance",
    "models.seeds",
    "models.set_metrics",
    "models.simulated",
    "models.time_law",
    "models.xmp",
]


def test_what_the_ingress_and_the_simulation_import_never_loads_torch() -> None:
    imports = "; ".join(f"import {name}" for name in LIGHT)
    code = f"import sys; {imports}; sys.exit(int('torch' in sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0


def test_commands_isolate_their_ray_before_they_import_it() -> None:
    names = [f"scripts.{path.stem}" for path in (ROOT / "scripts").glob("*.py")]
    imports = "; ".join(f"import {name}" for name in names)
    code = f"import sys; {imports}; sys.exit(int('ray' in sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0


def test_the_import_arrows_point_downward() -> None:
    command = [str(Path(sys.executable).parent / "lint-imports")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_files_stay_short_and_say_what_they_are(path: Path) -> None:
    source = path.read_text()
    assert len(source.splitlines()) <= 300
    docstring = ast.get_docstring(ast.parse(source))
    assert docstring
    assert docstring.splitlines()[0].endswith((".", ",", ":"))


@pytest.mark.parametrize("path", sorted((ROOT / "deployments" / "web").glob("*.[jch]*s*")))
def test_files_of_the_page_stay_short(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= 300


def test_deployments_keep_their_annotations() -> None:
    for path in (ROOT / "deployments").rglob("*.py"):
        assert "from __future__ import annotations" not in path.read_text().replace(
            "no `from __future__ import annotations`", ""
        ), path


def test_the_version_is_the_same_everywhere() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["version"] == __version__


def test_no_file_names_a_package_index() -> None:
    for path in [ROOT / "pyproject.toml", ROOT / "Makefile", *ROOT.glob("requirements*.txt")]:
        assert not re.search(r"pypi|/simple/|(?<!--no-emit-)index-url", path.read_text()), path
