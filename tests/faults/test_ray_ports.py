"""What Ray's own ports allow, and that the token keeps strangers from it."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from tests.faults.cluster import Cluster, cluster
from tests.faults.processes import ServiceProcesses, title
from tests.support.services import ROOT, wait_for

_JOIN = """
import sys, ray
ray.init(address=sys.argv[1], log_to_driver=False, logging_level="ERROR")
print(ray.get(ray.remote(lambda: "ran").remote()))
"""


@pytest.fixture(scope="module")
def head() -> Iterator[Cluster]:
    with cluster(num_cpus=1, num_gpus=0) as one:
        yield one


def _submit(head: Cluster, command: str, token: str | None) -> httpx.Response:
    return httpx.post(
        f"{head.dashboard}/api/jobs/",
        json={"entrypoint": command},
        headers={} if token is None else {"authorization": f"Bearer {token}"},
        timeout=60,
        trust_env=False,
    )


@pytest.mark.slow
def test_whoever_holds_the_token_runs_commands_and_nobody_else_does(
    head: Cluster, tmp_path: Path
) -> None:
    ran = tmp_path / "ran"
    for stranger in (None, "wrong", head.environment["RAY_AUTH_TOKEN"][:-1]):
        assert _submit(head, f"touch {ran}-by-a-stranger", stranger).status_code in (401, 403)
    # The other side of it: this is what an open dashboard offers to everybody.
    assert _submit(head, f"touch {ran}", head.environment["RAY_AUTH_TOKEN"]).status_code == 200
    wait_for(ran.exists, timeout_s=60)
    assert [path.name for path in tmp_path.iterdir()] == ["ran"]


def _join(head: Cluster, **changes: str) -> "subprocess.CompletedProcess[str]":
    listening = next(
        connection.laddr.port
        for process in ServiceProcesses(head.directory).all()
        if "gcs_server" in title(process)
        for connection in process.net_connections("tcp")
        if connection.status == psutil.CONN_LISTEN
    )
    return subprocess.run(
        [sys.executable, "-c", _JOIN, f"127.0.0.1:{listening}"],
        env={**head.environment, **changes},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
    )


@pytest.mark.slow
def test_whoever_has_not_the_token_cannot_join_the_cluster(head: Cluster) -> None:
    assert _join(head).stdout == "ran\n"
    for stranger in ({"RAY_AUTH_TOKEN": "wrong"}, {"RAY_AUTH_MODE": "disabled"}):
        done = _join(head, **stranger)
        assert done.returncode != 0
        assert "ran" not in done.stdout


def test_the_dashboard_listens_on_loopback(head: Cluster) -> None:
    port = int(head.dashboard.rpartition(":")[2])
    addresses = {
        one.laddr.ip
        for one in psutil.net_connections("tcp")
        if one.laddr.port == port and one.status == psutil.CONN_LISTEN
    }
    assert addresses <= {"127.0.0.1", "::ffff:127.0.0.1"}
    assert addresses
