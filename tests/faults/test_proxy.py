"""What Serve's proxy says by itself comes in our envelope, and callers cannot give it orders."""

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import pytest

from deployments.api.middleware.security_headers import HEADERS
from deployments.proxy.middleware import PATIENCE_S
from scripts.api_key import add_key
from tests.faults.processes import ServiceProcesses
from tests.support.services import (
    SAMPLE_FACE,
    changed_config,
    post_pairs,
    read_events,
    serving,
    wait_for,
)

STEP_S = 0.2
OFF = {"x-request-timeout-seconds": "0", "x-request-disconnect-disabled": "?1"}
UNDERSCORED = {"x_request_timeout_seconds": "0", "x_request_disconnect_disabled": "?1"}


@dataclass(frozen=True)
class Service:
    """A service whose diffusion model logs its steps, with its file of keys."""

    client: httpx.Client
    log: Path
    keys: Path

    def steps(self) -> int:
        return len(self.log.read_text().splitlines())

    def ask(self, face: bytes, steps: int, **headers: str) -> httpx.Response:
        return self.client.post(
            "/v1/pairs",
            files={"image": ("face.png", face)},
            data={"seed": 3, "n": 2, "num_inference_steps": steps, "strength": 1.0},
            headers=headers,
        )


@pytest.fixture
def face() -> bytes:
    return SAMPLE_FACE.read_bytes()


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    directory = tmp_path_factory.mktemp("proxy")
    log, keys = directory / "steps.log", directory / "api-keys"
    log.touch()
    key = add_key(keys, "caller")

    def change(application: dict[str, Any]) -> None:
        application["args"]["api_keys_file"] = str(keys)
        application["args"]["stable_diffusion"] = {
            "factory": "tests.broken_models:load_logging_diffusion",
            "options": {"log": str(log), "step_s": STEP_S},
        }

    with serving(changed_config(directory, "simulated.yaml", change), num_gpus=1) as client:
        client.headers["authorization"] = f"Bearer {key}"
        yield Service(client, log, keys)


def _killed_under_way(service: Service, *asks: Callable[[], httpx.Response]) -> list[Any]:
    """Kill the ingress while it works for the requests; return their answers."""
    answers: list[Any] = [None] * len(asks)

    def run(index: int) -> None:
        answers[index] = asks[index]()

    before = service.steps()
    callers = [threading.Thread(target=run, args=(index,)) for index in range(len(asks))]
    for caller in callers:
        caller.start()
    wait_for(lambda: service.steps() > before, timeout_s=20)
    (ingress,) = ServiceProcesses.behind(service.client).replicas("Ingress")
    ingress.kill()
    killed = time.monotonic()
    for caller in callers:
        caller.join(timeout=60)
    print(f"answers {time.monotonic() - killed:.2f} s after the ingress was killed")
    return answers


def _assert_is_ours(response: httpx.Response, status: int, code: str) -> None:
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/json"
    assert response.headers["cache-control"] == "no-store"
    assert len(response.headers.get_list("x-request-id")) == 1
    for name, value in HEADERS.items():
        assert response.headers[name] == value
    error = response.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert error["code"] == code


def test_serves_own_routes_stay_as_serve_has_them(service: Service) -> None:
    health = service.client.get("/-/healthz")
    assert (health.status_code, health.text) == (200, "success")
    assert service.client.get("/-/routes").json() == {"/": "twinset"}


def test_what_has_no_route_is_answered_in_the_envelope(service: Service) -> None:
    _assert_is_ours(service.client.request("OPTIONS", "/nowhere"), 404, "not_found")
    _assert_is_ours(
        service.client.get("/web/page.js", headers={"range": "bytes=9999999-"}),
        416,
        "invalid_value",
    )


def test_a_request_id_is_kept_when_it_can_be_logged_and_replaced_otherwise(
    service: Service,
) -> None:
    given = service.client.get("/livez", headers={"x-request-id": "order-66:a.b_c"})
    assert given.headers.get_list("x-request-id") == ["order-66:a.b_c"]
    for bad in (b"a" * 129, b"two words", b"\xff\xfe", b""):
        response = service.client.get("/livez", headers=[(b"x-request-id", bad)])
        assert response.status_code == 200
        (made,) = response.headers.get_list("x-request-id")
        assert made.encode("latin-1") != bad
        assert len(made) == 36


@pytest.mark.parametrize(
    ("head", "status"),
    [({"url": "/livez?" + "a" * 9000}, 414), ({"headers": {"x-long": "a" * 70_000}}, 431)],
)
def test_a_long_head_is_refused_by_the_proxy(
    service: Service, head: dict[str, Any], status: int
) -> None:
    response = service.client.get(**{"url": "/livez", **head})
    _assert_is_ours(response, status, "request_too_large")


def test_callers_cannot_shorten_the_proxys_deadline(service: Service, face: bytes) -> None:
    response = service.ask(face, 10, **{"x-request-timeout-seconds": "0.3"})
    assert response.status_code == 200, response.text


@pytest.mark.parametrize("headers", [OFF, UNDERSCORED])
def test_a_caller_who_leaves_is_noticed_although_he_asks_not_to_be(
    service: Service, face: bytes, headers: dict[str, str]
) -> None:
    before = service.steps()
    with pytest.raises(httpx.ReadTimeout):
        service.client.post(
            "/v1/pairs",
            files={"image": ("face.png", face)},
            data={"num_inference_steps": 100, "strength": 1.0, "models": "stable_diffusion"},
            headers=headers,
            timeout=1.5,
        )
    time.sleep(2 * STEP_S)
    at_leaving = service.steps()
    assert at_leaving > before
    time.sleep(5 * STEP_S)
    assert service.steps() <= at_leaving + 1


def test_our_deadline_holds_although_the_proxys_is_asked_off(service: Service, face: bytes) -> None:
    started = time.monotonic()
    response = service.client.post(
        "/v1/pairs",
        files={"image": ("face.png", face)},
        data={"num_inference_steps": 100, "strength": 1.0, "timeout_s": 1.5},
        headers=OFF,
    )
    _assert_is_ours(response, 504, "deadline_exceeded")
    assert time.monotonic() - started < 4


def test_a_stream_passes_event_by_event(service: Service, face: bytes) -> None:
    arrivals: list[float] = []
    with service.client.stream(
        "POST",
        "/v1/pairs",
        files={"image": ("face.png", face)},
        data={"num_inference_steps": 10, "strength": 1.0, "n": 1},
        headers={"accept": "text/event-stream"},
    ) as response:
        for name, _ in read_events(response.iter_lines()):
            if name == "progress":
                arrivals.append(time.monotonic())
    gaps = [after - before for before, after in pairwise(arrivals)]
    assert len(gaps) >= 9
    assert sorted(gaps)[4] > STEP_S / 2  # all at once would be none at all


def test_requests_whose_ingress_is_killed_end_in_the_envelope_and_can_be_sent_again(
    service: Service, face: bytes
) -> None:
    expected = service.ask(face, 10).json()["pairs"]
    plain, stream = _killed_under_way(
        service,
        lambda: service.ask(face, 60, **{"x-request-id": "mine"}),
        lambda: service.ask(face, 60, accept="text/event-stream"),
    )
    _assert_is_ours(plain, 503, "model_unavailable")
    assert plain.headers["retry-after"] == "5"
    assert plain.headers["x-request-id"] == "mine"
    events = list(read_events(iter(stream.text.splitlines())))
    assert stream.status_code == 200
    assert events[0][0] == "started"
    assert [name for name, _ in events if name in ("completed", "error")] == ["error"]
    assert events[-1][1]["error"]["code"] == "model_unavailable"
    again = service.ask(face, 10)
    assert again.status_code == 200, again.text
    assert again.json()["pairs"] == expected


def test_without_any_ingress_callers_are_told_to_come_back(service: Service, face: bytes) -> None:
    away = service.keys.with_suffix(".away")
    service.keys.rename(away)  # without its keys an ingress does not start
    try:
        (ingress,) = ServiceProcesses.behind(service.client).replicas("Ingress")
        ingress.kill()
        started = time.monotonic()
        response = post_pairs(service.client, face, n=1)
        waited_s = time.monotonic() - started
    finally:
        away.rename(service.keys)
    print(f"answered {waited_s:.1f} s after the ingress was killed")
    _assert_is_ours(response, 503, "model_unavailable")
    assert response.headers["retry-after"] == "5"
    assert PATIENCE_S - 1 < waited_s < PATIENCE_S + 10
    assert post_pairs(service.client, face, n=1).status_code == 200
