"""An application on a Ray of its own: on loopback, with free ports, nothing left behind."""

import os
import sys
import tempfile
import threading
import time
from pathlib import Path

import yaml

from benchmarks.comparison.command import HOST, announce, chosen_port
from scripts.local_ray import LocalRay, LocalRayError
from scripts.signals import stop_on_signals

_START_TIMEOUT_S = 180.0
_PERIOD_S = 0.3


class PlainRay(LocalRay):
    """A local Ray whose Serve is as it comes: without what ours adds to the proxy."""

    def _start(self) -> None:
        os.environ.pop("RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH", None)  # noqa: TID251
        super()._start()


def serve_application(name: str, description: str | None) -> int:
    """Serve one application of `ray_applications` until a signal comes."""
    port = chosen_port(description)
    stop_on_signals()
    with tempfile.TemporaryDirectory() as directory:
        config = Path(directory) / "config.yaml"
        config.write_text(yaml.safe_dump(_config(name)))
        try:
            with PlainRay(config, port) as service:
                _wait_until_running(service)
                announce(port)
                threading.Event().wait()
        except LocalRayError as error:
            sys.stderr.write(f"Serve could not start {name}: {error}\n")
            return 1
        except KeyboardInterrupt:
            return 0
    return 0


def _config(name: str) -> dict[str, object]:
    path = f"benchmarks.comparison.ray_applications:{name}"
    return {
        "proxy_location": "HeadOnly",
        "http_options": {"host": HOST},
        "applications": [{"name": name, "route_prefix": "/", "import_path": path}],
    }


def _wait_until_running(service: LocalRay) -> None:
    """Wait until every replica runs and the proxy knows of them.

    Raises:
        LocalRayError: a replica failed, or it took too long.
    """
    from ray import serve

    deadline = time.monotonic() + _START_TIMEOUT_S
    while time.monotonic() < deadline:
        if failure := service.failure():
            raise LocalRayError(failure)
        status = serve.status()
        states = {one.status for one in status.applications.values()}
        if states == {"RUNNING"} and set(status.proxies.values()) == {"HEALTHY"}:
            return
        time.sleep(_PERIOD_S)
    raise LocalRayError(f"not running after {_START_TIMEOUT_S:.0f} s:\n{service.messages()}")
