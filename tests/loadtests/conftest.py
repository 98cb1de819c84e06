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
from PIL import Image, PngImagePlugin

SETS = ("vae", "stable_diffusion")
SIDE_PX = 24
SOURCE_TYPE = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"

Answer = dict[str, Any]
Lie = Callable[[Answer], None]
Form = dict[str, str]


def encode_picture(
    key: str,
    seed: int = 7,
    model: str = "fake-vae",
    image_format: str = "png",
    digest: str = "",
    source_type: str = SOURCE_TYPE,
) -> str:
    """Return a picture as base64: pixels that follow from `key`, the metadata of a served image."""
    pixels = hashlib.shake_128(key.encode()).digest(SIDE_PX * SIDE_PX * 3)
    text = f"a prompt, Seed: 1\nSteps: 20, Seed: {seed}, Size: 24x24, Model: {model}"
    xmp = f"<s>{source_type}</s> {digest}".encode()
    options: dict[str, Any] = {"xmp": xmp, "exif": user_comment(text)}
    if image_format == "png":
        chunks = PngImagePlugin.PngInfo()
        chunks.add_text("parameters", text)
        chunks.add_itxt("XML:com.adobe.xmp", xmp)
        options = {"pnginfo": chunks}
    buffer = io.BytesIO()
    image = Image.frombytes("RGB", (SIDE_PX, SIDE_PX), pixels)
    image.save(buffer, format=image_format, **options)
    return base64.b64encode(buffer.getvalue()).decode()


def user_comment(text: str) -> Image.Exif:
    """Return EXIF with a UserComment."""
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0x9286] = b"UNICODE\0" + text.encode("utf-16-be")
    return exif


def make_images(form: Form, role: str, key: str = "") -> list[Answer]:
    """Return one set as it stands in an answer."""
    first, kind = int(form.get("seed", "7")), form.get("output_format", "png")
    images = []
    for index in range(int(form.get("n", "4"))):
        seed = (first + index) % 2**32
        drawn = f"{role}{seed}{key}{form.get('image', '')}"
        model = "fake-" + role.replace("stable_", "")
        data = encode_picture(drawn, seed, model, kind, form.get("image", ""))
        images.append({"status": "ok", "b64_json": data, "format": kind})
    return images


def describe_set(role: str) -> Answer:
    """Return what an answer says of one set."""
    return {"status": "ok", "model": "fake-" + role.replace("stable_", "")}


def make_answer(form: Form | None = None) -> Answer:
    """Return a correct answer to a form; `image` in it stands for the picture that was sent."""
    form = form or {}
    sets = (form["models"],) if "models" in form else SETS
    images = {role: make_images(form, role) for role in sets}
    first = int(form.get("seed", "7"))
    pairs = [
        {
            "index": index,
            "seed": (first + index) % 2**32,
            **{role: images[role][index] for role in sets},
        }
        for index in range(int(form.get("n", "4")))
    ]
    return {
        "id": str(uuid.uuid4()),
        "pairs": pairs,
        "sets": {role: describe_set(role) for role in sets},
    }


def make_sweep(form: Form) -> Answer:
    """Return a correct answer to POST /v1/sweep."""
    sets = []
    for factor in form["diversity_factors"].split(","):
        images = make_images(form, "vae", factor)
        seeds = [(int(form["seed"]) + index) % 2**32 for index in range(len(images))]
        placed = [
            {"index": index, "seed": seed, **image}
            for index, (seed, image) in enumerate(zip(seeds, images, strict=True))
        ]
        sets.append({**describe_set("vae"), "diversity_factor": float(factor), "images": placed})
    return {"sets": sets}


def make_events(answer: Answer) -> list[tuple[str, Answer]]:
    """Return the stream that tells of an answer."""
    events: list[tuple[str, Answer]] = [("started", {"id": answer["id"]})]
    for role, described in answer["sets"].items():
        events.append(("progress", {"role": role, "step": 1, "total": 1}))
        events += [
            ("image", {"role": role, "index": one["index"], "seed": one["seed"], **one[role]})
            for one in answer["pairs"]
        ]
        events.append(("set", {"role": role, **described}))
    return [*events, ("completed", {"id": answer["id"], "sets": answer["sets"]})]


def tell_truth(answer: Answer) -> None:
    """Leave the answer as it is."""


class Service:
    """A fake of the served application: right by default, wrong where `lie` makes it so."""

    def __init__(self) -> None:
        """Listen on a free port of the loopback interface."""
        self.lie: Lie = tell_truth
        self.full_at: set[int] = set()
        self.states_replicas = True
        self.wants_key = False
        self.delay_s = 0.0
        self.chunk_gap_s = 0.0
        self.breaks_off = False
        self.stalled_until_s = 0.0
        self.capacity = threading.Semaphore(1000)
        self.forms: list[Form] = []
        self.kinds: list[str] = []
        self.model_calls = 0
        self.lock = threading.Lock()
        self._server = Server(("127.0.0.1", 0), make_handler(self))
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    @property
    def url(self) -> str:
        """The base address."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()

    def work(self) -> None:
        """Take the time of one answer; in a stall nobody gets on."""
        with self.capacity:
            time.sleep(self.delay_s)
            while time.monotonic() < self.stalled_until_s:
                time.sleep(0.02)

    def take(self, form: Form, kind: str) -> bool:
        """Note one request; False where the service is full."""
        with self.lock:
            self.forms.append(form)
            self.kinds.append(kind)
            return len(self.forms) not in self.full_at

    def answer(self, path: str, form: Form) -> Answer:
        """Return the answer to one POST, with the lie in it."""
        answer = make_sweep(form) if path == "/v1/sweep" else make_answer(form)
        self.lie(answer)
        return answer

    def models(self) -> Answer:
        """Answer one GET /v1/models: the second model grows after the run's first look at it."""
        with self.lock:
            self.model_calls += 1
        grown = 1 if self.model_calls <= 2 else 3  # one question comes before the run
        data: list[Answer] = [{"id": "fake-vae", "role": "vae"}, {"id": "fake-diffusion"}]
        if self.states_replicas:
            data[0]["replicas"] = {"running": 1, "target": 1}
            data[1]["replicas"] = {"running": grown, "target": 3}
        return {"object": "list", "data": data}


class Server(ThreadingHTTPServer):
    """A server with room for many callers who come at once."""

    daemon_threads = True
    request_queue_size = 200

    def handle_error(self, request: object, client_address: object) -> None:
        """Keep the test's output clean of callers who leave."""


def read_form(body: bytes) -> Form:
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
            """Answer POST /v1/pairs and /v1/sweep."""
            form = read_form(self.rfile.read(int(self.headers["Content-Length"])))
            streams = self.headers["Accept"] == "text/event-stream"
            if not service.take(form, "stream" if streams else self.path):
                self.send(429, {"error": {"message": "full", "code": "overloaded"}})
                return
            service.work()
            answer = service.answer(self.path, form)
            self.stream(answer) if streams else self.send(200, answer)

        def do_GET(self) -> None:
            """Answer GET /v1/models."""
            self.send(401, {}) if service.wants_key else self.send(200, service.models())

        def stream(self, answer: Answer) -> None:
            """Send the events of one answer in chunks that end in the middle of them."""
            self.send_response(200)
            self.send_header("Content-Type", "text/event-stream")
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            blocks = [f"event: {name}\ndata: {json.dumps(one)}\n\n" for name, one in events(answer)]
            data = (": ping\n\n" + "".join(blocks)).encode()
            for start in range(0, len(data), 4000):
                part = data[start : start + 4000]
                self.wfile.write(b"%x\r\n%s\r\n" % (len(part), part))
                time.sleep(service.chunk_gap_s)
            self.wfile.write(b"0\r\n\r\n")

        def send(self, status: int, answer: Answer) -> None:
            """Send one JSON answer."""
            body = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            if status == 429:
                self.send_header("Retry-After", "0")
            self.end_headers()
            self.wfile.write(body[: len(body) // 2] if service.breaks_off else body)
            self.close_connection |= service.breaks_off

        def log_message(self, format: str, *args: object) -> None:
            """Keep the test's output clean."""

    def events(answer: Answer) -> list[tuple[str, Answer]]:
        return answer.get("events") or make_events(answer)

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
    """The function that makes a base64 picture from a key."""
    return encode_picture
