"""Makes the virtual environment and installs the locked packages, once for each lock file.

Run by whatever Python there is before anything is installed, so: standard library only, and
annotations in quotes where an old Python could not read them; it must get as far as its sentence.
"""

import argparse
import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ENVIRONMENT = ROOT / ".venv"
SUPPORTED = ((3, 11), (3, 14))
NOT_RUN_BY_US = ((3, 14),)  # all packages have wheels for it: `make check-wheels`
NEEDED_FREE_GB = 10


class SetupError(Exception):
    """Something is missing; the sentence says what and how to mend it."""


def main() -> int:
    """Set up for running, or with --dev for testing too."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dev", action="store_true", help="also what tests and checks need")
    arguments = parser.parse_args()
    try:
        set_up(ROOT / ("requirements-dev.txt" if arguments.dev else "requirements.txt"))
    except SetupError as error:
        sys.stderr.write(f"twinset: {error}\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("\ntwinset: stopped; run the same command again to go on\n")
        return 130
    return 0


def check_python(version: "tuple[int, ...]") -> None:
    """Refuse a Python that the locked packages do not support."""
    low, high = SUPPORTED
    if not low <= tuple(version[:2]) <= high:
        found = ".".join(str(part) for part in version[:2])
        raise SetupError(
            f"Python {found} is not supported: install one from 3.11 to 3.14 and run "
            "`make ... PYTHON=python3.12`"
        )
    if tuple(version[:2]) in NOT_RUN_BY_US:
        sys.stderr.write(
            f"twinset: Python {version[0]}.{version[1]} was not run by us yet; all packages have "
            "wheels for it. If something breaks, `rm -r .venv` and `make ... PYTHON=python3.13`\n"
        )


def set_up(lock: Path) -> None:
    """Install what `lock` lists, unless that is done already."""
    if _is_installed(lock):
        return
    if not (ENVIRONMENT / "bin" / "pip").exists():  # pip comes last: without it, it is half made
        check_python(sys.version_info[:2])
        check_disk(shutil.disk_usage(ROOT).free)
        _make_environment()
    sys.stderr.write(f"twinset: installing {lock.name} (about 6 GB; minutes, once)\n")
    pip = [str(ENVIRONMENT / "bin" / "python"), "-m", "pip", "--disable-pip-version-check"]
    _run([*pip, "install", "--require-hashes", "-r", str(lock)], "installing the packages")
    editable = ["install", "--quiet", "--no-deps", "--no-build-isolation", "-e", str(ROOT)]
    _run([*pip, *editable], "installing Twinset itself")
    _stamp(lock).write_text(_digest(lock))


def check_disk(free_bytes: int) -> None:
    """Refuse to fill the disk."""
    if free_bytes < NEEDED_FREE_GB * 10**9:
        raise SetupError(
            f"{free_bytes / 10**9:.1f} GB are free here, the packages need {NEEDED_FREE_GB} GB: "
            "make room or clone into another file system"
        )


def _make_environment() -> None:
    try:
        import ensurepip  # noqa: F401
        import venv  # noqa: F401
    except ImportError as error:
        raise SetupError(
            "this Python lacks the venv module: install it (on Debian and Ubuntu "
            "`apt install python3-venv`) or choose another with `make ... PYTHON=python3.12`"
        ) from error
    _run([sys.executable, "-m", "venv", str(ENVIRONMENT)], "making the virtual environment")


def _run(command: "list[str]", what: str) -> None:
    if subprocess.run(command).returncode != 0:
        raise SetupError(f"{what} failed; see above, then run the same command again")


def _stamp(lock: Path) -> Path:
    return ENVIRONMENT / f"installed-{lock.stem}"


def _digest(lock: Path) -> str:
    return hashlib.sha256(lock.read_bytes()).hexdigest()


def _is_installed(lock: Path) -> bool:
    # The development lock holds everything that the other one holds.
    development = ROOT / "requirements-dev.txt"
    return any(
        _stamp(one).exists() and _stamp(one).read_text() == _digest(one)
        for one in {lock, development}
    )


if __name__ == "__main__":
    sys.exit(main())
