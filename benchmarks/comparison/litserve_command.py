"""Starts a LitServe server: one worker process, on loopback alone."""

import litserve  # type: ignore[import-untyped]

from benchmarks.comparison.clients import TIMEOUT_S
from benchmarks.comparison.command import HOST, announce_when_ready, chosen_port
from scripts.signals import stop_on_signals


def serve_api(api: litserve.LitAPI, description: str | None) -> None:
    """Serve until a signal comes."""
    port = chosen_port(description)
    stop_on_signals()
    server = litserve.LitServer(api, accelerator="cpu", timeout=TIMEOUT_S)
    announce_when_ready(port, "/health")
    server.run(host=HOST, port=port, log_level="warning", generate_client_file=False)
