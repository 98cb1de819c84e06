"""Several Ray nodes on this machine with a Serve config on them: a program that tests talk to.

    python -m tests.cluster.nodes CONFIG CARDS,CARDS,...

A process of its own, since a Ray is one per process. Each line of its input is a command in JSON,
each answer a line that begins with `@`. It ends, and all its nodes with it, when the input ends.
"""

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from scripts.local_ray import isolate_environment, ray_directory, remove_files

_STORE_BYTES = 128 * 2**20


def main() -> int:
    """Start the nodes, deploy, obey."""
    config, cards = Path(sys.argv[1]), [int(number) for number in sys.argv[2].split(",")]
    directory = Path(tempfile.mkdtemp(prefix="twinset-", dir="/tmp"))
    isolate_environment(directory)
    try:
        _obey(config, cards, directory)
    finally:
        remove_files(directory)
    return 0


def _obey(config: Path, cards: list[int], directory: Path) -> None:
    # Imported here: Ray reads its environment when it is imported.
    import ray
    from ray.cluster_utils import Cluster
    from ray.serve.scripts import cli

    common = {"object_store_memory": _STORE_BYTES, "node_ip_address": "127.0.0.1"}
    cluster = Cluster()
    try:
        # A head without work, as docs/deploying.md wants it.
        cluster.add_node(
            num_cpus=0, include_dashboard=False, temp_dir=str(ray_directory(directory)), **common
        )
        nodes = [cluster.add_node(num_cpus=2, num_gpus=number, **common) for number in cards]
        ray.init(
            address=cluster.address,
            namespace="serve",
            log_to_driver=False,
            _node_ip_address="127.0.0.1",
        )
        cli.main(["run", "--non-blocking", str(config)], standalone_mode=False)
        _answer({"directory": str(directory)})
        for line in sys.stdin:
            command = json.loads(line)
            if command["do"] == "kill":
                (victim,) = (node for node in nodes if node.node_id == command["node"])
                cluster.remove_node(victim, allow_graceful=False)
            _answer(_status())
    finally:
        ray.shutdown()
        cluster.shutdown()


def _status() -> dict[str, Any]:
    """Return what `serve status` says, and on which node each replica runs."""
    from ray import serve
    from ray.serve.context import _get_global_client

    status = serve.status()
    details = _get_global_client().get_serve_details()["applications"].get("twinset", {})
    return {
        "proxies": {node: str(state.value) for node, state in status.proxies.items()},
        "status": {name: str(one.status.value) for name, one in status.applications.items()},
        "replicas": [
            {"deployment": name, "node": one["node_id"], "id": one["replica_id"]}
            for name, deployment in details.get("deployments", {}).items()
            for one in deployment["replicas"]
            if str(one["state"]).endswith("RUNNING")
        ],
    }


def _answer(content: dict[str, Any]) -> None:
    sys.stdout.write(f"@{json.dumps(content)}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
