"""Whoever reaches the port gets answers that give nothing away, and no say over this machine."""

import base64
import json
import resource
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import grpc
import httpx
import psutil
import pytest
from ray.serve.generated import serve_pb2, serve_pb2_grpc

from deployments.api.middleware.security_headers import HEADERS
from tests.faults import odd_requests
from tests.faults.processes import ServiceProcesses, title
from tests.support.services import ROOT, SAMPLE_FACE, serving

FACE = SAMPLE_FACE.read_bytes()
FACE_BASE64 = base64.b64encode(FACE).decode()
LOOPBACK = ("127.0.0.1", "::1", "::ffff:127.0.0.1")
PICTURE_FIELDS = ("image", "image[]", "images", "init_images", "inputs", "mask", "latent_mask")


@pytest.fixture(scope="module")
def service() -> Iterator[httpx.Client]:
    # Whoever starts the service may have core dumps on.
    resource.setrlimit(resource.RLIMIT_CORE, (resource.getrlimit(resource.RLIMIT_CORE)[1],) * 2)
    with serving(ROOT / "configs" / "simulated.yaml", num_gpus=1) as client:
        yield client


@dataclass
class Listener:
    """An HTTP server that nobody should contact."""

    url: str = ""
    contacts: list[str] = field(default_factory=list)


@pytest.fixture(scope="module")
def listener() -> Iterator[Listener]:
    seen = Listener()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            seen.contacts.append(self.path)
            self.send_response(200)
            self.end_headers()
            self.wfile.write(FACE)

        do_HEAD = do_POST = do_GET  # noqa: N815

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    seen.url = f"http://127.0.0.1:{server.server_port}/face.png"
    assert httpx.get(seen.url, trust_env=False).content == FACE
    seen.contacts.clear()
    yield seen
    server.shutdown()
    thread.join()


def _answers(client: httpx.Client) -> dict[str, httpx.Response]:
    """Return one answer of each kind."""
    picture = {"files": {"image": ("face.png", FACE)}, "data": {"n": 1, "num_inference_steps": 2}}
    stranger = {"headers": {"authorization": "Bearer wrong"}}
    kinds: dict[str, tuple[str, str, dict[str, Any]]] = {
        "JSON": ("POST", "/v1/pairs", picture),
        **{
            accept: ("POST", "/v1/pairs", {**picture, "headers": {"accept": accept}})
            for accept in ("application/zip", "image/png", "text/event-stream")
        },
        "a bare image": ("POST", "/hf/image-to-image", {"content": FACE}),
        "the page": ("GET", "/", {}),
        "a file": ("GET", "/web/page.js", {}),
        "a file of Swagger's": ("GET", "/docs/swagger-ui.css", {}),
        "not modified": ("GET", "/", {"headers": {"if-none-match": _etag(client)}}),
        "the API": ("GET", "/openapi.json", {}),
        "alive": ("GET", "/livez", {}),
        "models": ("GET", "/v1/models", {}),
        "400": ("POST", "/v1/pairs", {"data": {"n": "many"}, "files": picture["files"]}),
        "401": ("POST", "/v1/pairs", stranger),
        "404": ("GET", "/nowhere", {}),
        "404 below /web": ("GET", "/web/nothing.js", {}),
        "405": ("PUT", "/v1/pairs", {}),
        "406": ("POST", "/v1/pairs", {**picture, "headers": {"accept": "audio/ogg"}}),
        "413": ("POST", "/v1/pairs", {"files": {"image": ("face.png", bytes(25_000_000))}}),
        "414": ("GET", "/livez?" + "a" * 9000, {}),
        "415": ("POST", "/v1/pairs", {"content": b"x", "headers": {"content-type": "text/csv"}}),
        "416": ("GET", "/", {"headers": {"range": "bytes=9999999-"}}),
        "504": ("POST", "/v1/pairs", {**picture, "data": {"timeout_s": 0.01}}),
        "Serve's own": ("GET", "/-/routes", {}),
    }
    return {kind: client.request(verb, url, **rest) for kind, (verb, url, rest) in kinds.items()}


def _etag(client: httpx.Client) -> str:
    return str(client.get("/").headers["etag"])


def test_every_kind_of_answer_has_the_security_headers(service: httpx.Client) -> None:
    for kind, response in _answers(service).items():
        if kind.isdigit():
            assert response.status_code == int(kind), kind
            assert set(response.json()["error"]) == {"message", "type", "param", "code"}
        for name, value in HEADERS.items():
            assert response.headers.get_list(name) == [value], (kind, name)
        assert len(response.headers.get_list("x-request-id")) == 1, kind


def test_what_shows_a_face_or_an_error_is_never_stored(service: httpx.Client) -> None:
    open_to_all = ("the page", "a file", "not modified", "the API", "alive", "Serve's own")
    for kind, response in _answers(service).items():
        if not kind.startswith(open_to_all) and kind != "models":
            assert response.headers["cache-control"] == "no-store", kind


def test_no_other_origin_may_read_anything(service: httpx.Client) -> None:
    origin = {"origin": "https://elsewhere.example"}
    preflight = {**origin, "access-control-request-method": "POST"}
    asked = {**preflight, "access-control-request-headers": "authorization,content-type"}
    for route in ("/v1/pairs", "/v1/images/edits", "/sdapi/v1/img2img", "/livez", "/", "/-/routes"):
        for response in (
            service.request("OPTIONS", route, headers=asked),
            service.get(route, headers=origin),
        ):
            allowed = [name for name in response.headers if name.startswith("access-control")]
            assert allowed == [], route


def _operations(client: httpx.Client) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield each route that takes a body, the body's type, and its fields by name."""
    for path, operations in client.get("/openapi.json").json()["paths"].items():
        contents = operations.get("post", {}).get("requestBody", {}).get("content", {})
        for media_type, content in contents.items():
            yield path, media_type, content["schema"].get("properties", {})


def _valid(path: str) -> dict[str, Any]:
    if path == "/sdapi/v1/img2img":
        return {"init_images": [FACE_BASE64], "steps": 2, "prompt": "x"}
    if path == "/hf/image-to-image":
        return {"inputs": FACE_BASE64}
    return {"image": FACE_BASE64, **({"prompt": "x"} if path.endswith("edits") else {})}


def _values(name: str, places: list[str]) -> Iterator[Any]:
    if name not in PICTURE_FIELDS:
        yield from places[:2]
        return
    yield from (*places, places[:1], [{"image_url": places[0]}])


def _send(client: httpx.Client, path: str, media_type: str, name: str, value: Any) -> Any:
    body = {**_valid(path), name: value}
    if media_type == "application/json":
        return client.post(path, json=body)
    texts = {key: one if isinstance(one, str) else json.dumps(one) for key, one in body.items()}
    if name == "image":
        return client.post(path, data=texts, files={"other": ("", b"")})
    del texts["image"]
    return client.post(path, data=texts, files={"image": ("face.png", FACE)})


def test_no_field_of_any_dialect_makes_the_service_fetch_or_read(
    service: httpx.Client, listener: Listener, tmp_path: Path
) -> None:
    planted = tmp_path / "face.png"
    planted.write_bytes(FACE)
    places = [listener.url, str(planted), planted.as_uri(), f"data:image/png;url,{listener.url}"]
    asks = [
        (path, media_type, name, value)
        for path, media_type, fields in _operations(service)
        for name in {*fields, *PICTURE_FIELDS}
        for value in _values(name, places)
    ]
    assert len(asks) > 500
    print(f"{len(asks)} requests with addresses in them")
    with ThreadPoolExecutor(4) as senders:
        for ask, response in zip(
            asks, senders.map(partial(_send, service), *zip(*asks, strict=True)), strict=True
        ):
            assert response.status_code < 500, (ask, response.text[:200])
            if ask[2] in PICTURE_FIELDS:
                assert response.status_code == 400, (ask, response.text[:200])
    assert listener.contacts == []


@pytest.mark.parametrize("kind", ["svg", "html", "xmp"])
def test_no_picture_makes_the_service_fetch(
    service: httpx.Client, listener: Listener, kind: str
) -> None:
    link = f'<image xmlns:x="http://www.w3.org/1999/xlink" x:href="{listener.url}"/>'
    files = {
        "svg": f'<?xml version="1.0"?><!DOCTYPE svg SYSTEM "{listener.url}"><svg>{link}</svg>',
        "html": f'<img src="{listener.url}">',
        "xmp": f'<!DOCTYPE x [<!ENTITY e SYSTEM "{listener.url}">]><x:xmpmeta>&e;</x:xmpmeta>',
    }
    for route in ("/v1/pairs", "/v1/inspect"):
        picture = files[kind].encode() if kind != "xmp" else FACE + files[kind].encode()
        response = service.post(
            route,
            files={"image": (listener.url, picture, listener.url)},
            headers={"referer": listener.url, "x-forwarded-host": listener.url},
        )
        assert response.status_code < 500
    assert listener.contacts == []


@pytest.mark.parametrize("name", odd_requests.SMUGGLED)
def test_what_two_readers_could_read_in_two_ways_is_refused(
    service: httpx.Client, name: str
) -> None:
    answer = odd_requests.ask(service.base_url.port or 0, odd_requests.SMUGGLED[name])
    assert answer.statuses == [400]


@pytest.mark.parametrize("name", odd_requests.FOREIGN)
def test_what_is_no_request_is_hung_up_on(service: httpx.Client, name: str) -> None:
    answer = odd_requests.ask(service.base_url.port or 0, odd_requests.FOREIGN[name])
    assert answer.statuses in ([400], [])  # hung up on while it still sent
    assert answer.took_s < 5


@pytest.mark.parametrize("name", odd_requests.ODD)
def test_an_odd_request_gets_an_ordinary_answer(service: httpx.Client, name: str) -> None:
    request, status = odd_requests.ODD[name]
    answer = odd_requests.ask(service.base_url.port or 0, request)
    assert answer.statuses == [status]
    assert b"root:" not in answer.content  # of /etc/passwd
    assert answer.took_s < 5


def test_each_pipelined_request_has_one_answer(service: httpx.Client) -> None:
    port = service.base_url.port or 0
    assert odd_requests.ask(port, odd_requests.PIPELINED).statuses == [200] * 20
    assert odd_requests.ask(port, odd_requests.BODY_LIKE_A_REQUEST).statuses == [404, 200]


def test_ray_listens_on_loopback(service: httpx.Client) -> None:
    """All but one port of each replica, where Serve leaves no choice; the next test is its."""
    ours = {one.pid: title(one) for one in ServiceProcesses.behind(service).all()}
    listening = [
        (ours[one.pid], one.laddr.ip)
        for one in psutil.net_connections("inet")
        if one.pid in ours and one.status in (psutil.CONN_LISTEN, psutil.CONN_NONE)
    ]
    open_to_all = [role for role, address in listening if address not in LOOPBACK]
    replicas = [role for role in ours.values() if "ServeReplica" in role]
    assert len(listening) > 8
    assert all("ServeReplica" in role for role in open_to_all), open_to_all
    assert len(open_to_all) <= len(replicas)


def test_the_open_ports_of_replicas_refuse_whoever_has_not_the_token(
    service: httpx.Client,
) -> None:
    ports = [
        connection.laddr.port
        for process in ServiceProcesses.behind(service).all()
        for connection in process.net_connections("tcp")
        if connection.status == psutil.CONN_LISTEN and connection.laddr.ip not in LOOPBACK
    ]
    assert len(ports) >= 3
    for port in ports:
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            stub = serve_pb2_grpc.ASGIServiceStub(channel)
            for token in ((), (("authorization", "Bearer wrong"),)):
                with pytest.raises(grpc.RpcError) as caught:
                    stub.HandleRequest(serve_pb2.ASGIRequest(), timeout=10, metadata=token)
                assert caught.value.code() == grpc.StatusCode.UNAUTHENTICATED


def test_no_process_may_leave_a_core_dump(service: httpx.Client) -> None:
    for process in ServiceProcesses.behind(service).all():
        assert process.rlimit(psutil.RLIMIT_CORE)[0] == 0
