"""Runs in a network namespace of its own: loads our firewall and knocks on ports as several users.

`unshare --net python -m tests.faults.knocking [--ray]` prints what was reached, as JSON: for each
user and each address, whether a connection came about. Nothing of the machine's network changes.
"""

import json
import socket
import subprocess
import sys
from contextlib import ExitStack
from typing import Any

import psutil

from tests.faults.cluster import Cluster, cluster
from tests.faults.processes import ServiceProcesses
from tests.support.services import ROOT

FIREWALL = ROOT / "configs" / "nftables.conf"
OUTER = "192.0.2.1"
"""An address of the machine that is not loopback (RFC 5737)."""
HOSTS = ("127.0.0.1", "::1", OUTER)
PLAIN_PORTS = (8000, 443, 6379, 8265, 10001, 40000)
USERS = {"root": 0, "service": 1000, "stranger": 65534}

# It becomes the user once it runs: the interpreter may lie where others cannot read.
_KNOCK = """
import encodings.idna, json, os, socket, sys
user = int(sys.argv[1])
os.setgroups([])
os.setgid(user)
os.setuid(user)
reached = []
for host, port in json.loads(sys.argv[2]):
    try:
        socket.create_connection((host, port), timeout=5).close()
        reached.append([host, port])
    except OSError:
        pass
print(json.dumps(reached))
"""
_JOIN = """
import sys, ray
ray.init(address=sys.argv[1], log_to_driver=False, logging_level="ERROR")
print(ray.get(ray.remote(lambda: "ran").remote()))
"""


def main() -> int:
    """Print what each user reaches; with --ray on the ports of a real Ray, which root started."""
    for command in (
        ["ip", "link", "set", "lo", "up"],
        ["ip", "address", "add", f"{OUTER}/32", "dev", "lo"],
        ["nft", "-f", str(FIREWALL)],
    ):
        subprocess.run(command, check=True)
    with ExitStack() as stack:
        ports: tuple[int, ...] = PLAIN_PORTS
        found: dict[str, Any] = {}
        if "--ray" in sys.argv:
            head = stack.enter_context(cluster(num_cpus=1, num_gpus=0))
            found["joined"] = _join(head)
            ports = tuple(_listening(head))
        else:
            for port in ports:
                options: dict[str, Any] = {"family": socket.AF_INET6, "dualstack_ipv6": True}
                stack.enter_context(socket.create_server(("::", port), **options))
        found["ports"] = list(ports)
        found["reached"] = {name: _reached(uid, ports) for name, uid in USERS.items()}
    sys.stdout.write(json.dumps(found))
    return 0


def _reached(uid: int, ports: tuple[int, ...]) -> list[tuple[str, int]]:
    asked = json.dumps([(host, port) for host in HOSTS for port in ports])
    done = subprocess.run(
        [sys.executable, "-c", _KNOCK, str(uid), asked],
        capture_output=True,
        check=True,
        timeout=60,
    )
    return [(host, port) for host, port in json.loads(done.stdout)]


def _listening(head: Cluster) -> set[int]:
    return {
        connection.laddr.port
        for process in ServiceProcesses(head.directory).all()
        for connection in process.net_connections("tcp")
        if connection.status == psutil.CONN_LISTEN
    }


def _join(head: Cluster) -> str:
    """Run a task as the operator's commands do: as a driver of its own."""
    address = next(
        word.partition("=")[2]
        for process in ServiceProcesses(head.directory).all()
        for word in process.cmdline()
        if word.startswith("--gcs-address=")
    )
    done = subprocess.run(
        [sys.executable, "-c", _JOIN, address],
        env=dict(head.environment),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
    )
    return done.stdout or done.stderr


if __name__ == "__main__":
    sys.exit(main())
