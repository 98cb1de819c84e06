"""The firewall of configs/nftables.conf keeps other users of the machine from Ray's ports."""

import json
import os
import shutil
import subprocess
import sys
from functools import cache
from typing import Any

import pytest

from tests.faults.knocking import FIREWALL, HOSTS, PLAIN_PORTS
from tests.support.services import ROOT

OPEN_HERE = {22, 53, 443, 8000}


@cache
def _why_not() -> str | None:
    """Return why this machine cannot show it; nothing of its own network is touched."""
    if os.getuid() != 0:
        return "only root can become another user"
    if missing := [name for name in ("nft", "unshare", "ip") if not shutil.which(name)]:
        return f"there is no {', '.join(missing)}"
    command = ["unshare", "--net", "nft", "add", "table", "inet", "tried"]
    tried = subprocess.run(command, capture_output=True, text=True, timeout=30)
    return f"no firewall in a network namespace: {tried.stderr}" if tried.returncode else None


def _knocked(*options: str) -> dict[str, Any]:
    if reason := _why_not():
        pytest.skip(reason)
    done = subprocess.run(
        ["unshare", "--net", sys.executable, "-m", "tests.faults.knocking", *options],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def _ports(reached: list[tuple[str, int]]) -> dict[str, set[int]]:
    return {host: {port for at, port in reached if at == host} for host in HOSTS}


def test_another_user_reaches_http_and_no_port_of_rays() -> None:
    reached = _knocked()["reached"]
    for host in HOSTS:
        assert _ports(reached["service"])[host] == set(PLAIN_PORTS), host
        assert _ports(reached["root"])[host] == set(PLAIN_PORTS), host
        assert _ports(reached["stranger"])[host] == set(PLAIN_PORTS) & OPEN_HERE, host


@pytest.mark.slow
def test_behind_it_a_real_ray_works_and_another_user_reaches_none_of_its_ports() -> None:
    found = _knocked("--ray")
    assert found["joined"] == "ran\n"
    ports, reached = set(found["ports"]), found["reached"]
    assert len(ports) >= 6  # control store, raylet, dashboard, client server, agents, worker
    assert _ports(reached["root"])["127.0.0.1"] == ports
    assert _ports(reached["service"])["127.0.0.1"] == ports
    assert reached["stranger"] == []


def test_security_says_where_the_rules_are() -> None:
    text = (ROOT / "SECURITY.md").read_text()
    assert f"({FIREWALL.relative_to(ROOT)})" in text
