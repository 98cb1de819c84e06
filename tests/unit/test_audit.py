import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from scripts.audit import CLEAN, UNKNOWN, VULNERABLE, judge

ROOT = Path(__file__).resolve().parents[2]
FINE = {"name": "fine", "version": "1.0", "vulns": []}
SKIPPED = {"name": "unasked", "skip_reason": "Dependency not found on PyPI"}
BAD = {
    "name": "bad",
    "version": "2.0",
    "vulns": [{"id": "PYSEC-2026-1", "fix_versions": ["2.1"], "aliases": [], "description": ""}],
}


def _report(*dependencies: dict[str, Any]) -> str:
    return json.dumps({"dependencies": list(dependencies), "fixes": []})


def test_a_clean_report_is_clean() -> None:
    assert judge(_report(FINE)).status == CLEAN


def test_a_vulnerability_is_named_with_the_version_that_mends_it() -> None:
    verdict = judge(_report(FINE, BAD, SKIPPED))
    assert verdict.status == VULNERABLE
    assert verdict.lines[0] == "bad 2.0: PYSEC-2026-1 (mended in 2.1)"


def test_dependencies_that_nobody_was_asked_about_are_not_clean() -> None:
    for report in (_report(SKIPPED), _report(FINE, SKIPPED), _report(), "", "{}", "Connection..."):
        assert judge(report).status == UNKNOWN
    assert "unasked" in judge(_report(FINE, SKIPPED)).lines[-1]


def test_a_service_that_cannot_be_reached_is_a_sentence_and_a_status_of_its_own() -> None:
    nowhere = dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"), "http://127.0.0.1:9")
    done = subprocess.run(
        [sys.executable, "-m", "scripts.audit"],
        cwd=ROOT,
        env={**os.environ, **nowhere, **{name.lower(): one for name, one in nowhere.items()}},
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == UNKNOWN, done.stderr
    assert "could not be asked" in done.stdout
