"""The locked packages can be installed on every Python that is accepted."""

import subprocess
import sys

import pytest

from scripts import check_wheels, setup
from tests.unit.test_structure import ROOT

LOCK = """\
networkx==3.6.1 ; python_full_version < '3.12' \\
    --hash=sha256:aa
    # via torch
networkx==3.7 ; python_full_version >= '3.12' \\
    --hash=sha256:bb
colorama==0.4.6 ; sys_platform == 'win32' \\
    --hash=sha256:cc
anyio==4.14.2 \\
    --hash=sha256:dd
"""


def test_conditions_are_those_of_the_python_that_is_asked_for() -> None:
    assert list(check_wheels.requirements_of(LOCK, "3.14")) == ["networkx==3.7", "anyio==4.14.2"]
    assert list(check_wheels.requirements_of(LOCK, "3.11")) == ["networkx==3.6.1", "anyio==4.14.2"]


@pytest.mark.slow
@pytest.mark.parametrize("minor", range(setup.SUPPORTED[0][1], setup.SUPPORTED[1][1] + 1))
def test_every_locked_package_has_a_wheel(minor: int) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "scripts.check_wheels", "--python", f"3.{minor}"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert f"have wheels for Python 3.{minor}" in done.stdout


@pytest.mark.slow
def test_a_python_without_wheels_is_named() -> None:
    complaint, wheels = check_wheels.ask(["torch==2.14.1"], "3.8")
    assert "torch==2.14.1" in complaint
    assert wheels == {}
