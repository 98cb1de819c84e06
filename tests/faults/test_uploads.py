"""Uploads that are slow, endless, too large or cut off, over real sockets."""

import json
import re
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from deployments.proxy.body_bound import MAX_BODY_BYTES
from deployments.settings import LimitSettings
from scripts.api_key import add_key
from tests.faults.processes import ServiceProcesses
from tests.support.services import changed_config, post_pairs, serving

UPLOAD_TIMEOUT_S = 2.0
LIVEZ_BOUND_S = 1.0
_GO_ON = b"HTTP/1.1 100 Continue\r\n\r\n"  # of the proxy, which asks nobody
_FORM = "multipart/form-data; boundary=b"
_START = b'--b\r\nContent-Disposition: form-data; name="image"; filename="a"\r\n\r\n'


@dataclass(frozen=True)
class Answer:
    """The first answer on a connection."""

    status: int
    error: dict[str, Any]
    headers: str


class Upload:
    """One connection to the service, written to by hand."""

    def __init__(self, client: httpx.Client, authorization: str | None = None) -> None:
        """Connect; the key is the client's when none is given."""
        self._key = client.headers["authorization"] if authorization is None else authorization
        address = ("127.0.0.1", client.base_url.port or 80)
        self.socket = socket.create_connection(address, timeout=30)

    def start(self, length: int | None = None, path: str = "/v1/pairs", **headers: str) -> None:
        """Send the head of a request; its body is chunked when it has no length."""
        lines = [f"POST {path} HTTP/1.1", "Host: twinset", f"Content-Type: {_FORM}"]
        lines += [f"Authorization: {self._key}"] if self._key else []
        lines += ["Transfer-Encoding: chunked" if length is None else f"Content-Length: {length}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        self.socket.sendall("\r\n".join([*lines, "", ""]).encode())

    def chunk(self, data: bytes) -> None:
        """Send one chunk of a body without length."""
        self.socket.sendall(f"{len(data):x}\r\n".encode() + data + b"\r\n")

    def flood(self, limit: int) -> int:
        """Send chunks as fast as they are taken; return how many bytes went out."""
        sent = 0
        try:
            while sent < limit:
                self.chunk(bytes(65536))
                sent += 65536
        except OSError:  # the service closed the connection
            pass
        return sent

    def answer(self) -> Answer:
        """Wait for the answer and read it."""
        received = b""
        while b"\r\n\r\n" not in received.removeprefix(_GO_ON):
            received += self._more()
        head, _, body = received.removeprefix(_GO_ON).partition(b"\r\n\r\n")
        match = re.search(rb"(?i)content-length: (\d+)", head)
        assert match is not None, head
        while len(body) < int(match[1]):
            body += self._more()
        status = int(head.split()[1])
        return Answer(status, json.loads(body)["error"], head.decode().lower())

    def is_closed(self) -> bool:
        """Wait until the service has closed the connection."""
        try:
            while self.socket.recv(65536):
                pass
        except TimeoutError:
            return False
        except OSError:
            return True
        return True

    def close(self) -> None:
        """Leave."""
        self.socket.close()

    def _more(self) -> bytes:
        data = self.socket.recv(65536)
        assert data, "the connection was closed without an answer"
        return data


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a file for API keys."""
    return tmp_path_factory.mktemp("keys") / "api-keys"


@pytest.fixture(scope="module")
def slow_key(keys: Path) -> str:
    """Return what somebody whose uploads are slow sends as Authorization."""
    return f"Bearer {add_key(keys, 'slow')}"


@pytest.fixture(scope="module")
def hasty(
    tmp_path_factory: pytest.TempPathFactory, keys: Path, slow_key: str
) -> Iterator[httpx.Client]:
    """Return a client of a service that gives an upload two seconds."""
    key = add_key(keys, "quick")

    def change(application: dict[str, Any]) -> None:
        application["args"]["api_keys_file"] = str(keys)
        application["args"]["ingress"]["upload_timeout_s"] = UPLOAD_TIMEOUT_S
        application["args"]["vae"]["options"] = {"fixed_s": 0.0, "image_step_s": 0.0}

    config = changed_config(tmp_path_factory.mktemp("hasty"), "simulated.yaml", change)
    with serving(config, num_gpus=1) as client:
        client.headers["authorization"] = f"Bearer {key}"
        yield client


@pytest.fixture
def upload(hasty: httpx.Client) -> Iterator[Upload]:
    with closing(Upload(hasty)) as one:
        yield one


def _livez_s(client: httpx.Client) -> float:
    started = time.monotonic()
    assert client.get("/livez").status_code == 200
    return time.monotonic() - started


def test_a_byte_a_second_ends_in_408(upload: Upload) -> None:
    started = time.monotonic()
    upload.start(length=1000)
    stop = threading.Event()

    def drip() -> None:
        while not stop.wait(1.0):
            try:
                upload.socket.sendall(b"x")
            except OSError:
                return

    sender = threading.Thread(target=drip)
    sender.start()
    try:
        answer = upload.answer()
    finally:
        stop.set()
        sender.join()
    assert answer.status == 408
    assert answer.error["code"] == "slow_upload"
    assert "2 s" in answer.error["message"]
    assert UPLOAD_TIMEOUT_S * 0.9 < time.monotonic() - started < UPLOAD_TIMEOUT_S + 3
    assert upload.is_closed()


def test_a_body_that_never_comes_ends_in_408(upload: Upload) -> None:
    upload.start(length=5_000_000)
    upload.socket.sendall(_START)
    assert upload.answer().status == 408


def test_an_endless_slow_upload_ends_in_408(upload: Upload) -> None:
    upload.start()
    for _ in range(8):
        upload.chunk(b"x" * 100)
        time.sleep(0.2)
    assert upload.answer().status == 408


@pytest.mark.parametrize("length", [30_000_000, 10**15])
def test_a_length_over_the_limit_is_413_before_a_byte_is_sent(upload: Upload, length: int) -> None:
    started = time.monotonic()
    upload.start(length=length, Expect="100-continue")
    answer = upload.answer()
    assert answer.status == 413
    assert answer.error["code"] == "request_too_large"
    assert time.monotonic() - started < 1.5 < UPLOAD_TIMEOUT_S
    assert upload.is_closed()


@pytest.mark.parametrize("path", ["/v1/pairs", "/v1/inspect", "/v1/images/edits"])
def test_an_endless_fast_upload_is_413_and_its_connection_closed(
    hasty: httpx.Client, path: str
) -> None:
    # More than kernels keep for both ends of a connection.
    before_s = _livez_s(hasty)
    with closing(Upload(hasty)) as upload:
        upload.start(path=path)
        sent = upload.flood(2_000_000_000)
        assert upload.answer().status == 413
        assert upload.is_closed()
    assert sent < 100_000_000
    assert _livez_s(hasty) < before_s + LIVEZ_BOUND_S


def test_strangers_cannot_send_on(hasty: httpx.Client) -> None:
    with closing(Upload(hasty, authorization="")) as upload:
        upload.start()
        sent = upload.flood(2_000_000_000)
        assert upload.answer().status == 401
        assert upload.is_closed()
    assert sent < 100_000_000


def test_endless_uploads_leave_the_memory_of_proxy_and_ingress_alone(hasty: httpx.Client) -> None:
    # The bound has to let through what the ingress takes, or the ingress would never answer.
    assert LimitSettings().max_bytes * 4 / 3 + 100_000 < MAX_BODY_BYTES
    processes = ServiceProcesses.behind(hasty)
    watched = [*processes.proxies(), *processes.replicas("Ingress")]

    def own_mb() -> float:
        # Not what is shared: bodies pass through Ray's object store, a place of a fixed size.
        return sum(process.memory_full_info().uss for process in watched) / 1e6

    def flood(key: str | None) -> None:
        with closing(Upload(hasty, authorization=key)) as upload:
            upload.start()
            upload.flood(2_000_000_000)
            assert upload.answer().status in (401, 413)

    before = own_mb()
    grown = []
    for _ in range(3):
        for key in (None, "") * 5:
            flood(key)
        grown.append(own_mb() - before)
    print(f"\nten, twenty, thirty endless uploads: {[round(one) for one in grown]} MB more")
    assert max(grown) < 250
    assert grown[2] - grown[0] < 100, "it adds up"


def test_an_upload_that_stops_in_the_middle_frees_its_place(
    hasty: httpx.Client, small_face: bytes
) -> None:
    for _ in range(100):  # more than are admitted at a time
        with closing(Upload(hasty)) as upload:
            upload.start(length=1_000_000)
            upload.socket.sendall(_START + bytes(1000))
    time.sleep(0.5)
    assert post_pairs(hasty, small_face, n=1, models="vae").status_code == 200


def test_a_body_shorter_than_its_form_is_told(hasty: httpx.Client) -> None:
    with closing(Upload(hasty)) as upload:
        upload.start(length=len(_START) + 10)
        upload.socket.sendall(_START + bytes(10))
        answer = upload.answer()
    assert answer.status == 400
    assert "closing boundary" in answer.error["message"]


def test_forty_slow_uploads_of_one_key_do_not_slow_the_others(
    hasty: httpx.Client, small_face: bytes, slow_key: str
) -> None:
    slow = [Upload(hasty, authorization=slow_key) for _ in range(40)]
    try:
        for upload in slow:
            upload.start(length=1_000_000)
            upload.socket.sendall(_START)
        started, livez, served = time.monotonic(), [], []
        while time.monotonic() - started < UPLOAD_TIMEOUT_S * 0.8:
            livez.append(_livez_s(hasty))
            served.append(post_pairs(hasty, small_face, n=1, models="vae").status_code)
        answers = [upload.answer().status for upload in slow]
    finally:
        for upload in slow:
            upload.close()
    print(f"\nbeside 40 slow uploads: {len(served)} requests, livez at most {max(livez):.2f} s")
    assert set(answers) <= {408, 429}
    assert 408 in answers
    assert max(livez) < LIVEZ_BOUND_S
    assert set(served) == {200}
    assert len(served) >= 3


def test_heads_that_never_end_do_not_slow_the_others(
    hasty: httpx.Client, small_face: bytes
) -> None:
    heads = [Upload(hasty) for _ in range(100)]
    try:
        for number, head in enumerate(heads):
            if number % 2:
                head.socket.sendall(b"POST /v1/pairs HTTP/1.1\r\nHost: twin")
        assert post_pairs(hasty, small_face, n=1, models="vae").status_code == 200
        assert max(_livez_s(hasty) for _ in range(5)) < LIVEZ_BOUND_S
    finally:
        for head in heads:
            head.close()
