"""The compared services, each started as a process of its own."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from benchmarks.comparison.command import READY
from benchmarks.paths import ROOT
from benchmarks.service_process import TWINSET_SAYS, service_process

NAMES = (
    "twinset",
    "ray_documented",
    "ray_documented_serial",
    "ray_expert",
    "litserve_documented",
    "litserve_expert",
    "fastapi_documented",
    "fastapi_expert",
)
_TWINSET = ("scripts.serve", "--config", str(ROOT / "configs" / "demo.yaml"))


@dataclass(frozen=True)
class ServerProcess:
    """A service that answers.

    Attributes:
        name: which one.
        url: its base URL.
        pid: root of its process tree.
    """

    name: str
    url: str
    pid: int


@contextmanager
def serving(name: str, port: int = 0) -> Iterator[ServerProcess]:
    """Serve with one of `NAMES` while the context lasts; port 0 takes a free one.

    Raises:
        ValueError: there is no such service.
        RuntimeError: it did not start; the message is what it printed.
    """
    if name not in NAMES:
        raise ValueError(f"name is {name!r}: use one of {', '.join(NAMES)}")
    module = _TWINSET if name == "twinset" else (f"benchmarks.comparison.{name}",)
    says = TWINSET_SAYS if name == "twinset" else READY
    with service_process([*module, "--port", str(port)], says) as (url, pid):
        yield ServerProcess(name, url, pid)
