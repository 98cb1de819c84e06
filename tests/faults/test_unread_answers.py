"""Callers who ask and take nothing: what they hold is known, bounded, and given up; run with -s."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from deployments.api.middleware.caller_header import CALLER_HEADER
from scripts.api_key import add_key
from tests.faults.processes import ServiceProcesses
from tests.serve.test_metrics import scraped, total
from tests.support.services import SAMPLE_FACE, changed_config, post_pairs, read_events, serving
from tests.support.unread import Reader

pytestmark = pytest.mark.slow

FACE = SAMPLE_FACE.read_bytes()
UNREAD_S = 30.0
GONE_S = 60.0
STATIC_FILE = "/docs/swagger-ui-bundle.js"
PENDING = "ray_twinset_pending_answer_bytes"
CLOSED = "ray_twinset_closed_connections_total"
_FORM = "multipart/form-data; boundary=b"


@dataclass(frozen=True)
class Service:
    """A service with its file of keys; the client has one of them."""

    client: httpx.Client
    keys: Path

    def reader(self, **options: int) -> Reader:
        return Reader(self.client.base_url.port or 80, **options)

    def own_mb(self) -> dict[str, float]:
        processes = ServiceProcesses.behind(self.client)
        found = {"proxy": processes.proxies(), "ingress": processes.replicas("Ingress")}
        return {
            name: sum(process.memory_full_info().uss for process in some) / 1e6
            for name, some in found.items()
        }

    def gauge(self, name: str, **labels: str) -> float:
        return total(scraped(self.client), name, **labels)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    directory = tmp_path_factory.mktemp("unread")
    keys = directory / "api-keys"
    key = add_key(keys, "modest")

    def change(application: dict[str, Any]) -> None:
        application["args"]["api_keys_file"] = str(keys)
        application["args"]["vae"] = {"factory": "tests.faults.faulty_models:load_noisy_vae"}
        application["args"]["stable_diffusion"]["options"]["step_s"] = 0.4

    with serving(changed_config(directory, "simulated.yaml", change), num_gpus=1) as client:
        client.headers["authorization"] = f"Bearer {key}"
        yield Service(client, keys)


def _form(**fields: str) -> bytes:
    parts = [f'--b\r\nContent-Disposition: form-data; name="{name}"' for name in fields]
    lines = [f"{part}\r\n\r\n{fields[name]}\r\n" for part, name in zip(parts, fields, strict=True)]
    image = b'--b\r\nContent-Disposition: form-data; name="image"; filename="a"\r\n\r\n'
    return "".join(lines).encode() + image + FACE + b"\r\n--b--\r\n"


def _ask_for_set(reader: Reader, key: str) -> None:
    body = _form(n="10", models="vae", output_format="png")
    reader.ask("/v1/pairs", key, body, Content_Type=_FORM)


class _Watch:
    """Others are served while it lasts, and what the service holds is noted."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self.before_mb = service.own_mb()
        self.most_mb = dict(self.before_mb)
        self.most_pending_mb = 0.0
        self.pending_mb = 0.0
        self.slowest_s = 0.0

    def look(self) -> None:
        started = time.monotonic()
        assert post_pairs(self._service.client, FACE, n=1, models="vae").status_code == 200
        assert self._service.client.get("/livez", headers={"authorization": ""}).status_code == 200
        self.slowest_s = max(self.slowest_s, time.monotonic() - started)
        now_mb = self._service.own_mb()
        self.most_mb = {name: max(self.most_mb[name], mb) for name, mb in now_mb.items()}
        self.pending_mb = self._service.gauge(PENDING) / 1e6
        self.most_pending_mb = max(self.most_pending_mb, self.pending_mb)

    def until(self, condition: Callable[[], bool], timeout_s: float) -> float:
        started = time.monotonic()
        while time.monotonic() - started < timeout_s:
            self.look()
            if condition():
                return time.monotonic() - started
            time.sleep(1)
        raise AssertionError(f"not within {timeout_s} s: {self.pending_mb:.0f} MB pending")

    def until_gone(self) -> float:
        """Wait until the gauge, which Ray passes on every few seconds, has risen and is at 0."""
        return self.until(lambda: self.pending_mb == 0 < self.most_pending_mb, GONE_S)

    def tell(self, what: str, gone_s: float) -> None:
        after_mb = self._service.own_mb()
        print(f"\n{what}: gauge at most {self.most_pending_mb:.0f} MB, 0 after {gone_s:.0f} s;")
        for name in after_mb:
            mb = self.before_mb[name], self.most_mb[name], after_mb[name]
            print("  {}: {:.0f} MB before, {:.0f} at most, {:.0f} after".format(name, *mb))
        print(f"  others were served, at most {self.slowest_s:.1f} s for a set and /livez")


def test_forty_unread_answers_are_given_up_and_others_served(service: Service) -> None:
    key = add_key(service.keys, "unread")
    assert service.client.get("/livez").headers.get(CALLER_HEADER) is None
    with closing(service.reader()) as reader:
        _ask_for_set(reader, key)
        size_mb = len(reader.take_all()) / 1e6
        assert CALLER_HEADER.encode() not in reader.head
    watch = _Watch(service)
    with ExitStack() as stack:
        readers = [stack.enter_context(closing(service.reader())) for _ in range(40)]
        for reader in readers:
            _ask_for_set(reader, key)
        watch.until(lambda: all(reader.has_begun() for reader in readers), 200)
        gone_s = watch.until_gone()
        closed = sum(reader.is_closed() for reader in readers)
    watch.tell(f"40 unread answers of {size_mb:.1f} MB, {closed} closed", gone_s)
    assert watch.most_pending_mb > 5 * size_mb
    assert watch.most_pending_mb < 540
    assert service.gauge(CLOSED, reason="unread") >= 10
    assert watch.most_mb["proxy"] - watch.before_mb["proxy"] < 600
    assert watch.most_mb["ingress"] - watch.before_mb["ingress"] < 200


def test_three_hundred_unread_static_files_cost_little(service: Service) -> None:
    watch = _Watch(service)
    with ExitStack() as stack:
        readers = [stack.enter_context(closing(service.reader())) for _ in range(300)]
        for reader in readers:
            reader.ask(STATIC_FILE)
        watch.until(lambda: all(reader.has_begun() for reader in readers), 200)
        with closing(service.reader()) as honest:
            honest.ask(STATIC_FILE)
            assert len(honest.take_all()) > 1_500_000
        gone_s = watch.until_gone()
        assert all(reader.is_closed() for reader in readers)
    watch.tell("300 unread static files", gone_s)
    assert 10 < watch.most_pending_mb < 120
    assert watch.most_mb["proxy"] - watch.before_mb["proxy"] < 200
    assert watch.most_mb["ingress"] - watch.before_mb["ingress"] < 120


def test_whoever_waits_follows_or_reads_slowly_gets_everything(service: Service) -> None:
    """Each of the three takes longer than an unread answer is kept."""
    long = {"n": "1", "models": "stable_diffusion", "num_inference_steps": "90", "strength": "1"}

    def wait() -> tuple[int, float]:
        started = time.monotonic()
        response = post_pairs(service.client, FACE, **long)
        return response.status_code, time.monotonic() - started

    def follow() -> tuple[str, float]:
        started = time.monotonic()
        files, accept = {"image": ("face.png", FACE)}, {"accept": "text/event-stream"}
        with service.client.stream(
            "POST", "/v1/pairs", files=files, data=long, headers=accept
        ) as response:
            names = [name for name, _ in read_events(response.iter_lines()) if name]
        return names[-1], time.monotonic() - started

    def read_slowly() -> tuple[int, float]:
        key = service.client.headers["authorization"].removeprefix("Bearer ")
        with closing(service.reader(receive_buffer_bytes=65_536)) as reader:
            _ask_for_set(reader, key)
            started = time.monotonic()
            body = reader.take_all(pause_s=0.3)
            length = reader.head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
            return int(length) - len(body), time.monotonic() - started

    with ThreadPoolExecutor(3) as callers:
        waited, followed, slow = (callers.submit(one) for one in (wait, follow, read_slowly))
    print(f"\nwaited {waited.result()}, followed {followed.result()}, read {slow.result()}")
    assert (waited.result()[0], followed.result()[0], slow.result()[0]) == (200, "completed", 0)
    assert min(one.result()[1] for one in (waited, followed, slow)) > UNREAD_S
