"""The alerts do what they say, by the tool of those who wrote their language."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[3]
MONITORING = ROOT / "configs" / "monitoring"


def _run(**environment: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "scripts.check_monitoring"]
    variables = {**os.environ, **environment}
    return subprocess.run(command, cwd=ROOT, env=variables, capture_output=True, text=True)


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed")
def test_promtool_takes_the_files_and_the_alerts_fire_as_expected() -> None:
    done = _run()
    assert done.returncode == 0, done.stdout + done.stderr
    assert "SUCCESS" in done.stdout


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed")
def test_promtool_takes_every_expression_of_the_dashboard(tmp_path: Path) -> None:
    dashboard = json.loads((MONITORING / "dashboard.json").read_text())
    variables = {"$application": ".*", "$__rate_interval": "5m"}
    rules = []
    for panel in dashboard["panels"]:
        for target in panel["targets"]:
            expression = target["expr"]
            for variable, value in variables.items():
                expression = expression.replace(variable, value)
            assert "$" not in expression
            rules.append({"record": f"one:{len(rules)}", "expr": expression})
    file = tmp_path / "rules.yaml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": rules}]}))
    done = subprocess.run(["promtool", "check", "rules", file], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(rules)} rules found" in done.stdout


def test_without_promtool_a_sentence_says_what_to_install(tmp_path: Path) -> None:
    done = _run(PATH=str(tmp_path))
    assert done.returncode == 0
    assert "promtool is not installed" in done.stdout


def _alerts() -> dict[str, dict[str, str]]:
    (group,) = yaml.safe_load((MONITORING / "alerts.yaml").read_text())["groups"]
    return {rule["alert"]: rule for rule in group["rules"]}


def test_every_alert_is_tried_and_stands_in_the_runbook() -> None:
    tests = yaml.safe_load((MONITORING / "alerts_test.yaml").read_text())["tests"]
    tried = {
        one["alertname"] for test in tests for one in test["alert_rule_test"] if one["exp_alerts"]
    }
    assert tried == set(_alerts())
    runbook = (ROOT / "docs" / "runbook.md").read_text()
    headings = set(re.findall(r"^### (\w+)$", runbook, re.MULTILINE))
    assert headings == set(_alerts())
    for name, rule in _alerts().items():
        assert rule["annotations"]["runbook"] == f"docs/runbook.md#{name.lower()}"
