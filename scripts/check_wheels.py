"""Asks the package index whether every locked package has a wheel for a Python that is not here.

No interpreter of that version is needed and nothing is installed: pip resolves the lock for it, and
each wheel that it would take must be one whose hash the lock holds.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from packaging.markers import default_environment
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parent.parent
LOCK = ROOT / "requirements-dev.txt"  # it holds everything that the other one holds
_MACHINE = "x86_64"
# glibc of Debian 10 to Ubuntu 24.04; the wheels of CUDA's libraries name versions in between.
_GLIBC_MINORS = range(5, 40)


def main() -> int:
    """Parse the command line and ask."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--python", default="3.14", help="version (default %(default)s)")
    version = parser.parse_args().python
    wanted = list(requirements_of(LOCK.read_text(), version))
    sys.stderr.write(f"twinset: asking for {len(wanted)} wheels for Python {version}; a minute\n")
    complaint, wheels = ask(wanted, version)
    unknown = [name for name, digest in wheels.items() if digest not in LOCK.read_text()]
    if complaint or unknown or len(wheels) != len(wanted):
        names = f"not by the lock's hashes: {', '.join(unknown)}" if unknown else ""
        sys.stderr.write(f"twinset: Python {version} cannot be served: {complaint}{names}\n")
        return 1
    sys.stdout.write(
        f"twinset: all {len(wheels)} packages of {LOCK.name} have wheels for Python {version} on "
        f"Linux ({_MACHINE}), by the lock's hashes\n"
    )
    return 0


def requirements_of(lock: str, version: str) -> Iterator[str]:
    """Yield what a lock lists for a version of Python on Linux, as `name==version`.

    pip itself reads the conditions in a lock as those of the Python that it runs on.
    """
    environment: dict[str, str] = {
        **{name: str(value) for name, value in default_environment().items()},
        "python_version": version,
        "python_full_version": f"{version}.0",
        "sys_platform": "linux",
        "platform_machine": _MACHINE,
    }
    for line in lock.replace("\\\n", " ").splitlines():
        text = line.partition(" --hash")[0].partition("#")[0].strip()
        if not text:
            continue
        requirement = Requirement(text)
        if requirement.marker is None or requirement.marker.evaluate(environment):
            yield f"{requirement.name}{requirement.specifier}"


def ask(requirements: list[str], version: str) -> tuple[str, dict[str, str]]:
    """Return pip's complaint (empty where it has none) and the sha256 of each wheel by name."""
    short = version.replace(".", "")
    platforms = [f"manylinux_2_{minor}_{_MACHINE}" for minor in _GLIBC_MINORS]
    platforms += [f"manylinux2014_{_MACHINE}", f"manylinux1_{_MACHINE}", f"linux_{_MACHINE}"]
    abis = (f"cp{short}", "abi3", "none")
    with tempfile.TemporaryDirectory() as folder:
        listed, report = Path(folder) / "requirements.txt", Path(folder) / "report.json"
        listed.write_text("\n".join(requirements))
        done = subprocess.run(
            [
                *(sys.executable, "-m", "pip", "install", "--quiet", "--dry-run", "--no-deps"),
                *("--ignore-installed", "--only-binary=:all:", "--target", f"{folder}/none"),
                *("--implementation", "cp", "--python-version", version),
                *(f"--abi={abi}" for abi in abis),
                *(f"--platform={platform}" for platform in platforms),
                *("--requirement", str(listed), "--report", str(report)),
            ],
            capture_output=True,
            text=True,
        )
        complaints = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
        if done.returncode != 0:
            return " ".join(complaints) or done.stderr[-2000:], {}
        resolved: list[dict[str, Any]] = json.loads(report.read_text())["install"]
    return "", {
        one["metadata"]["name"]: one["download_info"]["archive_info"]["hashes"]["sha256"]
        for one in resolved
    }


if __name__ == "__main__":
    sys.exit(main())
