"""A small server that answers like the service, and on request tells one lie."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import re
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from PIL import Image

SETS = ("vae", "stable_diffusion")
SIDE_PX = 24

Answer = dict[str, Any]
Lie = Callable[[Answer], None]


def encode_picture(key: str, side_px: int = SIDE_PX) -> str:
    """Return a PNG as base64 whose pixels follow from `key` alone."""
    pixels = hashlib.shake_128(key.encode()).digest(side_px * side_px * 3)
    buffer = io.BytesIO()
    Image.frombytes("RGB", (side_px, side_px), pixels).save(buffer, format="PNG")
    return base64.b64encode(buffer.getvalue()).decode()


def make_answer(n: int = 4, seed: int = 7, models: str = "both", key: str = "") -> Answer:
    """Return a correct answer; `key` stands for the picture that was sent."""
    sets = SETS if models == "both" else (models,)
    pairs = []
    for index in range(n):
        own = (seed + index) % 2**32
        images = {
            name: {"status": "ok", "b64_json": encode_picture(f"{name}{own}{key}"), "format": "png"}
            for name in sets
        }
        pairs.append({"index": index, "seed": own, **images})
    return {
        "id": str(uuid.uuid4()),
        "created": 0,
        "parameters": {},
        "input": {},
        "pairs": pairs,
        "sets": {name: {"status": "ok"} for name in sets},
    }


def tell_truth(answer: Answer) -> None:
    """Leave the answer as it is."""


class Service:
    """A fake of the served application: right by default, wrong where `lie` makes it so."""

    def __init__(self) -> None:
        """Listen on a free port of the loopback interface."""
        self.lie: Lie = tell_truth
        self.full_at: set[int] = set()
        self.states_replicas = True
        self.delay_s = 0.0
        self.forms: list[dict[str, str]] = []
        self.model_calls = 0
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), make_handler(self))
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    @property
    def url(self) -> str:
        """The base address."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()

    def pairs(self, body: bytes) -> tuple[int, Answer]:
        """Answer one POST /v1/pairs."""
        form = read_form(body)
        with self._lock:
            self.forms.append(form)
            call = len(self.forms)
        if call in self.full_at:
            return 429, {"error": {"message": "full", "code": "overloaded"}}
        answer = make_answer(
            int(form["n"]), int(form["seed"]), form.get("models", "both"), form["image"]
        )
        self.lie(answer)
        return 200, answer

    def models(self) -> Answer:
        """Answer one GET /v1/models: the second model grows after the first call."""
        with self._lock:
            self.model_calls += 1
        grown = 1 if self.model_calls == 1 else 3
        data: list[Answer] = [{"id": "fake-vae", "role": "vae"}, {"id": "fake-diffusion"}]
        if self.states_replicas:
            data[0]["replicas"] = {"running": 1, "target": 1}
            data[1]["replicas"] = {"running": grown, "target": 3}
        return {"object": "list", "data": data}


def read_form(body: bytes) -> dict[str, str]:
    """Return the form fields of a multipart body; a file is represented by its digest."""
    boundary = body.split(b"\r\n", 1)[0]
    fields = {}
    for part in body.split(boundary)[1:-1]:
        head, _, content = part.partition(b"\r\n\r\n")
        name = re.search(rb'name="([^"]+)"', head)
        value = content.removesuffix(b"\r\n")
        if name is not None:
            is_file = b"filename=" in head
            text = hashlib.sha256(value).hexdigest() if is_file else value.decode()
            fields[name[1].decode()] = text
    return fields


def make_handler(service: Service) -> type[BaseHTTPRequestHandler]:
    """Return a request handler that asks `service` for its answers."""

    class Handler(BaseHTTPRequestHandler):
        """The HTTP around the fake service."""

        protocol_version = "HTTP/1.1"
        # Headers and body leave in two writes; without this the second waits for an ACK.
        disable_nagle_algorithm = True

        def do_POST(self) -> None:
            """Answer POST /v1/pairs."""
            body = self.rfile.read(int(self.headers["Content-Length"]))
            time.sleep(service.delay_s)
            self.send(*service.pairs(body))

        def do_GET(self) -> None:
            """Answer GET /v1/models."""
            self.send(200, service.models())

        def send(self, status: int, answer: Answer) -> None:
            """Send one JSON answer."""
            body = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            if status == 429:
                self.send_header("Retry-After", "0")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Keep the test's output clean."""

    return Handler


@pytest.fixture
def service() -> Iterator[Service]:
    """A fake service on a free port."""
    running = Service()
    yield running
    running.close()


@pytest.fixture
def answer() -> Answer:
    """A correct answer to n=4, seed=7."""
    return make_answer()


@pytest.fixture
def picture() -> Callable[..., str]:
    """The function that makes a base64 PNG from a key."""
    return encode_picture
