"""A Ray of our own, started and deployed to as an operator does: `ray start`, `serve deploy`."""

import os
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import yaml

from scripts.local_ray import free_port, ray_directory
from tests.faults.processes import ServiceProcesses
from tests.support.services import ROOT, wait_for

BIN = ROOT / ".venv" / "bin"


@dataclass(frozen=True)
class Cluster:
    """A running head node.

    Attributes:
        directory: where it keeps its files.
        environment: in which commands reach this Ray and no other.
        port: of HTTP, for the configs that are deployed.
        dashboard: the URL that `serve deploy` talks to.
    """

    directory: Path
    environment: Mapping[str, str]
    port: int
    dashboard: str

    def deploy(self, config: Mapping[str, Any]) -> None:
        """Submit a Serve config with this cluster's port; returns before it runs."""
        path = self.directory / "submitted.yaml"
        options = {**config.get("http_options", {}), "port": self.port}
        path.write_text(yaml.safe_dump({**config, "http_options": options}))
        command = [str(BIN / "serve"), "deploy", "--address", self.dashboard, str(path)]
        done = subprocess.run(
            command, env=self.environment, cwd=ROOT, capture_output=True, text=True, timeout=90
        )
        if done.returncode:
            raise RuntimeError(f"serve deploy failed:\n{done.stdout}{done.stderr}")

    def application(self) -> dict[str, Any]:
        """Return what the dashboard knows of our application."""
        token = self.environment["RAY_AUTH_TOKEN"]
        response = httpx.get(
            f"{self.dashboard}/api/serve/applications/",
            headers={"Authorization": f"Bearer {token}"},
            timeout=30,
            trust_env=False,
        )
        applications: dict[str, dict[str, Any]] = response.raise_for_status().json()["applications"]
        return applications.get("twinset", {"status": "NOT_STARTED", "deployments": {}})

    def replica_ids(self, deployment: str, state: str = "RUNNING") -> set[str]:
        """Return the replicas of a deployment that are in a state."""
        replicas = self.application()["deployments"].get(deployment, {}).get("replicas", [])
        return {replica["replica_id"] for replica in replicas if replica["state"] == state}

    def wait_until_running(self, timeout_s: float) -> float:
        """Return after how many seconds the application runs as the last config says."""

        def runs() -> bool:
            application = self.application()
            if application["status"] in ("DEPLOY_FAILED", "UNHEALTHY"):
                raise RuntimeError(f"the application cannot be deployed: {application['message']}")
            return bool(application["status"] == "RUNNING")

        return wait_for(runs, timeout_s)


@contextmanager
def cluster(num_cpus: int, num_gpus: int) -> Iterator[Cluster]:
    """Start a head node on free ports of the loopback interface; nothing of it is left after."""
    directory = Path(tempfile.mkdtemp(prefix="twinset-", dir="/tmp"))
    dashboard_port = free_port()
    one = Cluster(
        directory, _environment(directory), free_port(), f"http://127.0.0.1:{dashboard_port}"
    )
    with (directory / "ray-start.log").open("w") as log:
        process = subprocess.Popen(
            _command(directory, dashboard_port, num_cpus, num_gpus),
            env=one.environment,
            cwd=ROOT,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        wait_for(lambda: _answers(one, process), 90)
        yield one
    finally:
        _stop(process, directory)


def _environment(directory: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    return {
        **kept,
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": secrets.token_hex(32),
        "RAY_TMPDIR": str(directory),
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
        # As the README says for `ray start`.
        "RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH": "deployments.proxy:middlewares",
        "RAY_SERVE_PROXY_HEALTH_CHECK_PERIOD_S": "1",
        "RAY_worker_niceness": "0",
        "PYTHONPATH": str(ROOT),
    }


def _command(directory: Path, dashboard_port: int, num_cpus: int, num_gpus: int) -> list[str]:
    ports = {
        "port": free_port(),
        "dashboard-port": dashboard_port,
        "dashboard-agent-listen-port": free_port(),
        "ray-client-server-port": free_port(),
    }
    return [
        *(str(BIN / "ray"), "start", "--head", "--block", "--node-ip-address=127.0.0.1"),
        *(f"--{name}={port}" for name, port in ports.items()),
        *(
            "--dashboard-host=127.0.0.1",
            f"--temp-dir={ray_directory(directory)}",
            "--disable-usage-stats",
        ),
        *(f"--num-cpus={num_cpus}", f"--num-gpus={num_gpus}"),
        f"--object-store-memory={256 * 2**20}",
    ]


def _answers(one: Cluster, process: "subprocess.Popen[bytes]") -> bool:
    if process.poll() is not None:
        raise RuntimeError((one.directory / "ray-start.log").read_text())
    try:
        one.application()
    except httpx.HTTPError:
        return False
    return True


def _stop(process: "subprocess.Popen[bytes]", directory: Path) -> None:
    """End our head node and whatever works in its directory; never `ray stop`, which ends all."""
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(timeout=30)
    except subprocess.TimeoutExpired:
        process.kill()
    ServiceProcesses(directory).kill_all()
    time.sleep(0.1)
    shutil.rmtree(directory, ignore_errors=True)
