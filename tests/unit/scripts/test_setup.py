"""Setting up says in one sentence what is missing."""

import subprocess
import sys
from pathlib import Path

import pytest

from scripts import setup

ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.parametrize("version", [(3, 11), (3, 12), (3, 13), (3, 14)])
def test_supported_pythons_pass(version: tuple[int, int]) -> None:
    setup.check_python(version)


def test_a_python_that_we_did_not_run_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    setup.check_python((3, 14))
    assert "Python 3.14 was not run by us yet" in capsys.readouterr().err
    setup.check_python((3, 13))
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("version", [(3, 8), (3, 10), (3, 15)])
def test_other_pythons_are_named_with_the_way_out(version: tuple[int, int]) -> None:
    with pytest.raises(setup.SetupError, match=rf"Python 3\.{version[1]} .*PYTHON=python3\.12"):
        setup.check_python(version)


def test_a_full_disk_is_named() -> None:
    setup.check_disk(11 * 10**9)
    with pytest.raises(setup.SetupError, match=r"3\.0 GB are free here"):
        setup.check_disk(3 * 10**9)


def test_a_python_without_venv_is_named(tmp_path: Path) -> None:
    """Run the script with a standard library in which `venv` cannot be imported."""
    (tmp_path / "venv.py").write_text("raise ImportError('no venv here')")
    code = (
        f"import sys; sys.path[:0] = [{str(tmp_path)!r}, {str(ROOT)!r}];"
        "from pathlib import Path; from scripts import setup;"
        f"setup.ENVIRONMENT = Path({str(tmp_path / 'none')!r}); setup.NEEDED_FREE_GB = 0;"
        "sys.argv = ['setup']; setup._is_installed = lambda lock: False;"
        "sys.exit(setup.main())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 1
    assert "lacks the venv module" in done.stderr
    assert "Traceback" not in done.stderr


def test_help_lists_every_target() -> None:
    listed = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True).stdout
    makefile = (ROOT / "Makefile").read_text()
    phony = [line.split()[1:] for line in makefile.splitlines() if line.startswith(".PHONY:")]
    targets = [target for line in phony for target in line]
    assert len(targets) > 15
    for target in targets:
        assert f"make {target} " in listed
