"""What the RayService gives its pods works: its Serve part, its environment, its probes' paths.

On a Ray that is started as an operator does, with simulated models in the place of those that need
a GPU. It is not Kubernetes: nothing here shows that KubeRay does with the file what we expect.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
import yaml

from deployments.metrics import LATENCY_BUCKETS_MS
from scripts.api_key import add_key
from scripts.local_ray import ray_directory
from scripts.rayservice import RAYSERVICE
from tests.faults import cluster as clusters
from tests.faults.processes import ServiceProcesses
from tests.support.services import ROOT, wait_for

pytestmark = pytest.mark.slow


def _spec() -> dict[str, Any]:
    spec: dict[str, Any] = yaml.safe_load(RAYSERVICE.read_text())["spec"]
    return spec


def _containers() -> list[dict[str, Any]]:
    """Return the Ray containers of the head and of the workers."""
    groups = [
        _spec()["rayClusterConfig"]["headGroupSpec"],
        *_spec()["rayClusterConfig"]["workerGroupSpecs"],
    ]
    return [group["template"]["spec"]["containers"][0] for group in groups]


def _serve_part(keys: Path) -> dict[str, Any]:
    """Return the RayService's Serve config with simulated models, on loopback."""
    simulated = yaml.safe_load((ROOT / "configs" / "simulated.yaml").read_text())
    config: dict[str, Any] = yaml.safe_load(_spec()["serveConfigV2"])
    config["http_options"]["host"] = "127.0.0.1"
    arguments = config["applications"][0]["args"]
    for model in ("vae", "stable_diffusion"):
        arguments[model] = simulated["applications"][0]["args"][model]
    arguments["api_keys_file"] = str(keys)
    return config


@pytest.fixture(scope="module")
def cluster() -> Iterator[clusters.Cluster]:
    """Start Ray in the environment that the pods have."""
    variables = {one["name"]: one["value"] for one in _containers()[0]["env"]}
    del variables["RAY_object_spilling_directory"]  # a volume of the pod
    usual = clusters._environment
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(clusters, "_environment", lambda one: {**usual(one), **variables})
        with clusters.cluster(num_cpus=4, num_gpus=1) as running:
            yield running


def test_it_serves_answers_its_probes_and_tells_what_it_does(
    cluster: clusters.Cluster, small_face: bytes
) -> None:
    keys = cluster.directory / "api-keys"
    headers = {"Authorization": f"Bearer {add_key(keys, 'me')}"}
    cluster.deploy(_serve_part(keys))
    cluster.wait_until_running(timeout_s=120)
    with httpx.Client(trust_env=False, timeout=60) as client:
        url = f"http://127.0.0.1:{cluster.port}/v1/pairs"
        files, data = {"image": ("face.png", small_face)}, {"n": "1"}
        answer = client.post(url, files=files, data=data, headers=headers)
        assert answer.status_code == 200, answer.text
        _check_probes(cluster, client)
        _check_logs(cluster, answer.headers["X-Request-ID"])
        wait_for(lambda: _proxy_buckets_ms(cluster, client) == LATENCY_BUCKETS_MS, timeout_s=60)


def _check_probes(cluster: clusters.Cluster, client: httpx.Client) -> None:
    """Ask as a kubelet does, without a token, on the ports that stand for the pods'."""
    ports = {52365: _agent_port(cluster), 8000: cluster.port}
    for container in _containers():
        for kind in ("readinessProbe", "livenessProbe"):
            probe = container[kind]["httpGet"]
            response = client.get(f"http://127.0.0.1:{ports[probe['port']]}{probe['path']}")
            assert response.status_code == 200, (container["name"], kind)
            assert "success" in response.text


def _agent_port(cluster: clusters.Cluster) -> int:
    for process in psutil.process_iter():
        try:
            command = process.cmdline()
        except psutil.Error:
            continue
        if f"--temp-dir={ray_directory(cluster.directory)}" in command:
            for argument in command:
                if argument.startswith("--dashboard-agent-listen-port="):
                    return int(argument.partition("=")[2])
    raise AssertionError("there is no agent")


def _check_logs(cluster: clusters.Cluster, request_id: str) -> None:
    """Everybody writes JSON: the controller, the proxy and the replicas."""
    directory = ServiceProcesses(cluster.directory).session / "logs" / "serve"

    def lines(pattern: str) -> list[dict[str, Any]]:
        texts = [path.read_text() for path in directory.glob(pattern)]
        return [json.loads(line) for text in texts for line in text.splitlines() if line]

    def is_told(pattern: str) -> bool:
        return any(line.get("request_id") == request_id for line in lines(pattern))

    for pattern in ("proxy_*.log", "replica_twinset_Ingress_*.log"):
        wait_for(lambda pattern=pattern: is_told(pattern), timeout_s=20)  # type: ignore[misc]
    assert lines("controller_*.log")


def _proxy_buckets_ms(cluster: clusters.Cluster, client: httpx.Client) -> list[float]:
    (port,) = ServiceProcesses(cluster.directory).session.glob("metrics_export_port_*")
    text = client.get(f"http://127.0.0.1:{port.read_text().strip()}/metrics").text
    bounds = re.findall(r'ray_serve_http_request_latency_ms_bucket\{.*?le="([0-9.]+)"', text)
    return sorted({float(bound) for bound in bounds})
