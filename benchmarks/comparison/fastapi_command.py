"""Starts a FastAPI application: one process, on loopback alone."""

import uvicorn
from fastapi import FastAPI

from benchmarks.comparison.command import HOST, announce_when_ready, chosen_port


def serve_app(app: FastAPI, description: str | None) -> None:
    """Serve until a signal comes."""
    port = chosen_port(description)
    announce_when_ready(port, "/openapi.json")
    uvicorn.run(app, host=HOST, port=port, log_level="warning")
