"""The proxy of docs/tls.md, run over a real service with a certificate of its own."""

import re
import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from scripts.local_ray import free_port
from tests.support.services import ROOT, SAMPLE_FACE, post_pairs, read_events, serving, wait_for

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("nginx") is None, reason="nginx is not installed"),
]


@dataclass(frozen=True)
class Front:
    """A client that speaks TLS to nginx, the port, the log, and nginx's files."""

    client: httpx.Client
    port: int
    directory: Path


def _config(directory: Path, port: int, upstream: int) -> str:
    (block,) = re.findall(r"```nginx\n(.*?)```", (ROOT / "docs" / "tls.md").read_text(), re.DOTALL)
    changes = {
        "listen 443 ssl;": f"listen 127.0.0.1:{port} ssl;",
        "/etc/ssl/twinset/": f"{directory}/",
        "/var/log/nginx/": f"{directory}/",
        "127.0.0.1:8000": f"127.0.0.1:{upstream}",
        "client_header_timeout       10s": "client_header_timeout 2s",
    }
    for old, new in changes.items():
        assert old in block, old
        block = block.replace(old, new)
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    paths = "".join(f"{kind}_temp_path {directory}/{kind};\n" for kind in kinds)
    head = (
        f"daemon off; master_process off; pid {directory}/pid; error_log {directory}/errors warn;"
    )
    return f"{head}events {{}}\nhttp {{\n{paths}{block}}}\n"


def _certify(directory: Path) -> None:
    command = "openssl req -x509 -newkey rsa:2048 -nodes -days 1 -subj /CN=localhost"
    files = ["-keyout", str(directory / "key.pem"), "-out", str(directory / "certificate.pem")]
    names = ["-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run([*command.split(), *files, *names], check=True, capture_output=True)


@pytest.fixture(scope="module")
def front(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    directory, port = tmp_path_factory.mktemp("tls"), free_port()
    _certify(directory)
    with serving(ROOT / "configs" / "simulated.yaml", num_gpus=1) as service:
        (directory / "nginx.conf").write_text(_config(directory, port, service.base_url.port or 0))
        command = ["nginx", "-p", str(directory), "-c", "nginx.conf", "-e", f"{directory}/errors"]
        nginx = subprocess.Popen(command)
        trusted = ssl.create_default_context(cafile=str(directory / "certificate.pem"))
        client = httpx.Client(
            base_url=f"https://127.0.0.1:{port}",
            verify=trusted,
            headers={"authorization": service.headers["authorization"]},
            timeout=60,
            trust_env=False,
        )
        try:
            wait_for(lambda: _answers(client), 10)
            yield Front(client, port, directory)
        finally:
            client.close()
            nginx.terminate()
            nginx.wait(timeout=20)


def _answers(client: httpx.Client) -> bool:
    try:
        return client.get("/livez").status_code == 200
    except httpx.TransportError:
        return False


def _face() -> bytes:
    return SAMPLE_FACE.read_bytes()


def test_a_pair_comes_through_with_its_headers(front: Front) -> None:
    response = post_pairs(front.client, _face(), n=1)
    assert response.status_code == 200
    assert response.headers["strict-transport-security"] == "max-age=31536000"
    assert response.headers["cache-control"] == "no-store"
    assert len(response.headers.get_list("x-request-id")) == 1
    assert "server" not in response.headers or "/" not in response.headers["server"]


def test_a_stream_comes_through_event_by_event(front: Front) -> None:
    arrivals = []
    with front.client.stream(
        "POST",
        "/v1/pairs",
        files={"image": ("face.png", _face())},
        data={"num_inference_steps": 100, "strength": 1.0},
        headers={"accept": "text/event-stream"},
    ) as response:
        for name, _ in read_events(response.iter_lines()):
            if name == "progress":
                arrivals.append(time.monotonic())
    assert len(arrivals) >= 100
    assert arrivals[-1] - arrivals[0] > 1.0


def test_what_nginx_says_by_itself_is_our_envelope(front: Front) -> None:
    large = post_pairs(front.client, bytes(28_000_000))
    hidden = front.client.get("/-/routes")
    for response, status in ((large, 413), (hidden, 404)):
        assert response.status_code == status
        assert set(response.json()["error"]) == {"message", "type", "param", "code"}


def test_our_answers_keep_their_own_words(front: Front) -> None:
    missing = front.client.get("/nowhere")
    assert missing.status_code == 404
    assert "/nowhere" in missing.json()["error"]["message"]
    assert post_pairs(front.client, bytes(21_000_000)).json()["error"]["code"] != "not_found"


def test_photographs_reach_no_file_of_the_proxy(front: Front) -> None:
    picture = _face() + bytes(19_000_000)  # after its end: still a picture
    for _ in range(3):
        assert post_pairs(front.client, picture, n=1, models="vae").status_code in (200, 400)
    log = (front.directory / "twinset.log").read_text()
    assert "POST /v1/pairs" in log
    assert front.client.headers["authorization"].split()[1] not in log
    # nginx says so, at the level of this test's configuration, whenever it uses a file.
    assert "buffered to a temporary file" not in (front.directory / "errors").read_text()


def test_a_head_that_never_ends_is_cut_off(front: Front) -> None:
    context = ssl.create_default_context(cafile=str(front.directory / "certificate.pem"))
    started = time.monotonic()
    with socket.create_connection(("127.0.0.1", front.port), timeout=20) as plain:
        connection = context.wrap_socket(plain, server_hostname="127.0.0.1")
        connection.sendall(b"GET /livez HTTP/1.1\r\nHost: x\r\nX-Slow: ")
        while connection.recv(4096):
            pass
    assert time.monotonic() - started < 10
