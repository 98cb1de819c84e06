"""Several nodes with pretended cards: what packs where, and what the loss of a node costs."""

import json
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from scripts.local_ray import free_port
from tests.faults.conftest import traffic_for
from tests.faults.processes import ServiceProcesses
from tests.support.services import ROOT, wait_for

VAE, DIFFUSION = "VAEDeployment", "StableDiffusionDeployment"
USERS = 5

pytestmark = [pytest.mark.slow, pytest.mark.timeout(420)]


@dataclass(frozen=True)
class Nodes:
    """The program that holds the nodes."""

    process: "subprocess.Popen[str]"
    url: str

    def ask(self, do: str, **arguments: str) -> dict[str, Any]:
        """Send a command; return its answer."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps({"do": do, **arguments}) + "\n")
        self.process.stdin.flush()
        return self.answer()

    def answer(self) -> dict[str, Any]:
        """Return the next answer."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if line.startswith("@"):
                answer: dict[str, Any] = json.loads(line[1:])
                return answer
        raise RuntimeError("the nodes ended")

    def counts(self) -> Counter[str]:
        """Return how many replicas of each deployment run."""
        return Counter(one["deployment"] for one in self.ask("status")["replicas"])

    def placed(self) -> dict[str, Counter[str]]:
        """Return, by node, how many replicas of each deployment run on it."""
        found: dict[str, Counter[str]] = {}
        for one in self.ask("status")["replicas"]:
            found.setdefault(one["node"], Counter())[one["deployment"]] += 1
        return found


@contextmanager
def _nodes(directory: Path, cards: list[int], **options: Any) -> Iterator[Nodes]:
    port = free_port()
    path = directory / "config.yaml"
    path.write_text(yaml.safe_dump(_config(port, **options)))
    command = [sys.executable, "-m", "tests.cluster.nodes", str(path)]
    process = subprocess.Popen(
        [*command, ",".join(map(str, cards))],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=(directory / "nodes.log").open("w"),
        text=True,
    )
    nodes, ray_directory = Nodes(process, f"http://127.0.0.1:{port}"), ""
    try:
        ray_directory = nodes.answer()["directory"]
        yield nodes
    finally:
        assert process.stdin is not None
        process.stdin.close()
        _end(process, ray_directory)


def _end(process: "subprocess.Popen[str]", ray_directory: str) -> None:
    """Wait until the nodes have ended; nothing of them is left after."""
    try:
        process.wait(timeout=60)
    except subprocess.TimeoutExpired:
        process.kill()
    if ray_directory:
        ServiceProcesses(Path(ray_directory)).kill_all()


def _config(port: int, proxies: str, vaes: int, diffusions: int) -> dict[str, Any]:
    """Return production's shares of cards with simulated models, so many replicas of each."""
    config: dict[str, Any] = yaml.safe_load((ROOT / "serve_config.yaml").read_text())
    config["proxy_location"] = proxies
    config["http_options"]["port"] = port
    application = config["applications"][0]
    del application["args"]["api_keys_file"]
    application["args"]["allow_anonymous"] = True
    options = {"fixed_s": 0.1, "image_step_s": 0.0}
    for role, kind in (("vae", "vae"), ("stable_diffusion", "diffusion")):
        factory = f"models.simulated:load_simulated_{kind}"
        application["args"][role] = {"factory": factory, "options": dict(options)}
    application["args"]["stable_diffusion"]["options"]["step_s"] = 0.08
    ingress, vae, diffusion = application["deployments"]
    for one, replicas in ((ingress, 1), (vae, vaes), (diffusion, diffusions)):
        one.pop("autoscaling_config", None)
        one["num_replicas"] = replicas
        one["ray_actor_options"]["num_cpus"] = 0.1
    return config


def test_replicas_spread_over_nodes_and_fill_each_card_as_planned(tmp_path: Path) -> None:
    with _nodes(tmp_path, [1, 1, 1], proxies="EveryNode", vaes=3, diffusions=6) as nodes:
        everything = {"Ingress": 1, VAE: 3, DIFFUSION: 6}
        wait_for(lambda: nodes.counts() == everything, timeout_s=120)
        placed = nodes.placed()
        sys.stdout.write(f"\nplaced: {[dict(one) for one in placed.values()]}\n")
        assert len(placed) == 3
        for counts in placed.values():  # 0.1 + 2 x 0.45
            assert counts[VAE] == 1
            assert counts[DIFFUSION] == 2

        def healthy() -> bool:
            proxies = nodes.ask("status")["proxies"]
            return all(proxies.get(node) == "HEALTHY" for node in placed)

        wait_for(healthy, timeout_s=60)
        assert nodes.ask("status")["status"] == {"twinset": "RUNNING"}
        assert httpx.get(f"{nodes.url}/readyz", trust_env=False).status_code == 200


def test_the_replicas_of_a_killed_node_come_back_elsewhere_while_requests_go_on(
    tmp_path: Path,
) -> None:
    # Callers reach the head, which does no work: the killed node's own connections are not theirs.
    with _nodes(tmp_path, [1, 1, 1], proxies="HeadOnly", vaes=2, diffusions=4) as nodes:
        everything = {"Ingress": 1, VAE: 2, DIFFUSION: 4}
        wait_for(lambda: nodes.counts() == everything, timeout_s=120)
        with httpx.Client(base_url=nodes.url, timeout=60, trust_env=False) as client:
            wait_for(lambda: client.get("/readyz").status_code == 200, timeout_s=60)
            traffic = traffic_for(client)
        placed = nodes.placed()
        victim = max(
            (node for node in placed if not placed[node]["Ingress"]),
            key=lambda node: (placed[node][DIFFUSION] > 0, placed[node][VAE]),
        )
        with traffic.running(USERS, at_most_s=150) as tally:
            time.sleep(5)
            killed_s = time.monotonic()
            nodes.ask("kill", node=victim)
            wait_for(lambda: _is_back(nodes, victim, everything), timeout_s=100)
            back_s = time.monotonic() - killed_s
            time.sleep(5)
        sys.stdout.write(
            f"\nkilled a node with {dict(placed[victim])}; all back on "
            f"{[dict(one) for one in nodes.placed().values()]} after {back_s:.1f} s\n{tally}\n"
        )
        assert placed[victim][DIFFUSION] > 0
        assert len(tally.answered) > 20
        assert not tally.wrong
        assert tally.share_right > 0.9
        assert tally.since(killed_s + back_s).share_right == 1


def _is_back(nodes: Nodes, victim: str, everything: dict[str, int]) -> bool:
    placed = nodes.placed()
    return victim not in placed and sum(placed.values(), Counter()) == everything
