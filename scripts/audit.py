"""Asks a public service which locked dependencies have known vulnerabilities (pip-audit).

Exit status: 0 none is known; 1 some are, and each is listed; 3 the service could not be asked, or
not about all of them, so nothing is known.
"""

import argparse
import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
LOCKS = ("requirements.txt", "requirements-dev.txt")
CLEAN, VULNERABLE, UNKNOWN = 0, 1, 3
_TIMEOUT_S = 600


@dataclass(frozen=True)
class Verdict:
    """What an audit has found out: sentences for people, and an exit status for machines."""

    status: int
    lines: list[str]


def main() -> int:
    """Audit both lock files."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--service", choices=("pypi", "osv"), default="pypi", help="whom to ask")
    verdict = judge(audit(parser.parse_args().service))
    sys.stdout.write("".join(f"twinset: {line}\n" for line in verdict.lines))
    return verdict.status


def audit(service: str) -> str:
    """Return pip-audit's report about the lock files; nothing of them is installed or resolved."""
    command = [sys.executable, "-m", "pip_audit", "--vulnerability-service", service]
    command += ["--format", "json", "--progress-spinner", "off", "--disable-pip"]
    command += ["--require-hashes", "--timeout", "15"]
    for lock in LOCKS:
        command += ["--requirement", str(ROOT / lock)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        return ""
    return done.stdout


def judge(report: str) -> Verdict:
    """Read a report of pip-audit's, which calls it a success when nobody answered."""
    try:
        dependencies: list[dict[str, Any]] = json.loads(report)["dependencies"]
    except (ValueError, KeyError, TypeError):
        dependencies = []
    skipped = sorted({one["name"] for one in dependencies if "skip_reason" in one})
    asked = {one["name"]: one for one in dependencies if "skip_reason" not in one}
    known = [_describe(one) for _, one in sorted(asked.items()) if one["vulns"]]
    if not asked:
        message = "the vulnerability service could not be asked: nothing is known; try again later"
        return Verdict(UNKNOWN, [message])
    lines = [*known, f"{len(asked)} dependencies asked about, {len(known)} with vulnerabilities"]
    if skipped:
        lines.append(f"nothing is known of {len(skipped)} others: {', '.join(skipped)}")
    if known:
        return Verdict(VULNERABLE, lines)
    return Verdict(UNKNOWN if skipped else CLEAN, lines)


def _describe(dependency: dict[str, Any]) -> str:
    vulnerabilities = [
        f"{one['id']} (mended in {', '.join(one['fix_versions']) or 'no version yet'})"
        for one in dependency["vulns"]
    ]
    return f"{dependency['name']} {dependency['version']}: {', '.join(vulnerabilities)}"


if __name__ == "__main__":
    sys.exit(main())
