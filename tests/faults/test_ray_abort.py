"""Whoever reaches the ports of Ray's daemons ends them, without the token: SECURITY.md says so."""

import grpc
import psutil
import pytest

from tests.faults.cluster import Cluster, cluster
from tests.faults.processes import ServiceProcesses

_START_SYNC = "/ray.rpc.syncer.RaySyncer/StartSync"


def _daemon(head: Cluster, name: str) -> psutil.Process:
    (found,) = (one for one in ServiceProcesses(head.directory).all() if one.name() == name)
    return found


def _call(port: int) -> None:
    """Open the stream by which daemons exchange state, without metadata: no node and no token."""
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        stream = channel.stream_stream(_START_SYNC)
        with pytest.raises(grpc.RpcError):
            list(stream(iter([b""]), timeout=10))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["gcs_server", "raylet"])
def test_one_call_without_the_token_ends_a_daemon(name: str) -> None:
    """A fault of Ray 2.60: it asks for the call's metadata before it asks who calls.

    If this fails because the daemon lives, Ray has mended it: take the paragraph "The token is not
    availability" out of SECURITY.md, and this file with it.
    """
    with cluster(num_cpus=1, num_gpus=0) as head:
        daemon = _daemon(head, name)
        ports = {
            one.laddr.port
            for one in daemon.net_connections("tcp")
            if one.status == psutil.CONN_LISTEN
        }
        assert daemon.is_running()
        for port in ports:  # a raylet has two, one of which knows no such call
            _call(port)
        daemon.wait(timeout=20)
        assert not daemon.is_running()
        logs = ServiceProcesses(head.directory).session / "logs"
        told = [file.read_text(errors="replace") for file in logs.glob(f"{name}.*")]
        assert any("Check failed: iter != metadata.end()" in one for one in told)
