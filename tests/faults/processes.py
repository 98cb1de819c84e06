"""The processes of one service, found by what they were started with, so that a test can kill them.

Ray's processes rename themselves; the directory of their Ray stays in their environment, and no
other service on this machine has the same.
"""

from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil

from scripts.local_ray import ray_directory


@dataclass(frozen=True)
class ServiceProcesses:
    """The processes of the service that keeps its files in `directory`."""

    directory: Path

    @classmethod
    def behind(cls, client: httpx.Client) -> "ServiceProcesses":
        """Find the service that listens on the client's port."""
        listener = next(
            connection.pid
            for connection in psutil.net_connections("tcp")
            if connection.status == psutil.CONN_LISTEN
            and connection.laddr
            and connection.laddr.port == client.base_url.port
        )
        return cls(Path(psutil.Process(listener).environ()["RAY_TMPDIR"]))

    @property
    def session(self) -> Path:
        """Where this run of Ray keeps its logs and ports."""
        return ray_directory(self.directory) / "session_latest"

    def all(self) -> list[psutil.Process]:
        """Return every process of the service: Ray's, Serve's and ours."""
        found = [one for one in psutil.process_iter() if self._is_ours(one)]
        # Ray's agents write their titles over their environment; the raylet has started them.
        found += [child for one in found for child in _children(one)]
        return list({one.pid: one for one in found}.values())

    def kill_all(self) -> None:
        """Kill whatever of the service still runs, and wait until it is gone."""
        left = self.all()
        for one in left:
            try:
                one.kill()
            except psutil.Error:
                continue
        psutil.wait_procs(left, timeout=10)

    def replicas(self, deployment: str) -> list[psutil.Process]:
        """Return the replicas of a deployment."""
        return self._titled(f"ServeReplica:twinset:{deployment}")

    def controllers(self) -> list[psutil.Process]:
        """Return Serve's controller: one, or none while it restarts."""
        return self._titled("ServeController")

    def proxies(self) -> list[psutil.Process]:
        """Return Serve's HTTP proxy: one, or none while it restarts."""
        return self._titled("ProxyActor")

    def _titled(self, part: str) -> list[psutil.Process]:
        return [one for one in psutil.process_iter() if part in title(one) and self._is_ours(one)]

    def _is_ours(self, process: psutil.Process) -> bool:
        try:
            return process.environ().get("RAY_TMPDIR") == str(self.directory)
        except (psutil.Error, OSError):  # it ended meanwhile, or is somebody else's
            return False


def _children(process: psutil.Process) -> list[psutil.Process]:
    try:
        return list(process.children(recursive=True))
    except psutil.Error:
        return []


def title(process: psutil.Process) -> str:
    """Return the command line of a process, which Ray's replace by their role; "" once it ended."""
    try:
        is_left = process.status() != psutil.STATUS_ZOMBIE
        return " ".join(process.cmdline()).strip() if is_left else ""
    except psutil.Error:
        return ""
