"""A closed burst against a real server on loopback: times, order, errors and wrong pixels."""

import base64
import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from benchmarks.comparison.job import DiffusionJob
from benchmarks.side_by_side.arms import BY_KEY
from benchmarks.side_by_side.asking import ask_of
from benchmarks.side_by_side.burst import run_burst
from benchmarks.side_by_side.judging import Pixels, compared, judged, pixels_of

SET_S = 0.1
SIDE_PX = 16


def _reference(seeds: tuple[int, ...]) -> Pixels:
    """Return pictures that depend on their seeds alone."""
    return np.stack(
        [np.random.default_rng(seed).integers(5, 250, (SIDE_PX, SIDE_PX, 3)) for seed in seeds]
    ).astype(np.uint8)


def _png(pixels: Pixels) -> bytes:
    buffer = BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def _job(first: int, images: int = 3) -> DiffusionJob:
    return DiffusionJob(b"face", "a face", 0.7, 2.0, 20, tuple(range(first, first + images)))


class TinyServer(ThreadingHTTPServer):
    """Makes sets one at a time, `SET_S` each; some of them fail or are wrong, by first seed."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), TinyHandler)
        self.lock = threading.Lock()
        self.waiting = 0
        self.most_waiting = 0
        self.asked: list[int] = []
        self.answers: dict[int, Callable[[list[int]], tuple[int, bytes]]] = {}

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


def _right(seeds: list[int], off: int = 0, count: int | None = None) -> tuple[int, bytes]:
    files = [
        _png((pixels.astype(np.int16) + off).astype(np.uint8))
        for pixels in _reference(tuple(seeds))
    ][:count]
    body = {"images": [base64.b64encode(one).decode() for one in files]}
    return 200, json.dumps(body).encode()


class TinyHandler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: TinyServer

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.path == "/imagine":
            self._imagine(body)
            return
        seeds = json.loads(body)["seeds"]
        self.server.waiting += 1
        self.server.most_waiting = max(self.server.most_waiting, self.server.waiting)
        with self.server.lock:
            self.server.asked.append(seeds[0])
            time.sleep(SET_S)
            self.server.waiting -= 1
        self._answer(*self.server.answers.get(seeds[0], _right)(seeds))

    def _imagine(self, body: bytes) -> None:
        seed = int(body.split(b'name="seed"\r\n\r\n')[1].split(b"\r\n")[0])
        time.sleep(SET_S * (1 + seed % 10))
        self._answer(200, _png(_reference((seed,))[0]))

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *words: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[TinyServer]:
    with TinyServer() as found:
        thread = threading.Thread(target=found.serve_forever)
        thread.start()
        yield found
        found.shutdown()
        thread.join(timeout=10)


def test_each_client_asks_for_its_next_set_once_it_has_the_last(server: TinyServer) -> None:
    jobs = [[_job(100), _job(200)], [_job(300), _job(400)]]
    wall_s, outcomes = run_burst(server.url, ask_of(BY_KEY["ray_expert"]), jobs)
    assert server.most_waiting == 2
    assert set(server.asked[:2]) == {100, 300}
    assert set(server.asked[2:]) == {200, 400}
    assert 4 * SET_S <= wall_s < 4 * SET_S + 2
    assert [one.job.seeds[0] for one in outcomes] == [100, 200, 300, 400]
    # A set waits for the other client's: the slower of the first two takes two sets' time.
    assert max(one.latency_s for one in outcomes) >= 2 * SET_S
    assert min(one.latency_s for one in outcomes) >= SET_S


def test_one_client_has_one_set_under_way(server: TinyServer) -> None:
    jobs = [[_job(100), _job(200), _job(300)]]
    run_burst(server.url, ask_of(BY_KEY["ray_expert"]), jobs)
    assert server.most_waiting == 1
    assert server.asked == [100, 200, 300]


def test_errors_and_wrong_pixels_are_told_from_right_sets(server: TinyServer) -> None:
    server.answers = {
        200: lambda seeds: (503, b"away"),
        300: lambda seeds: _right(seeds, off=2),
        400: lambda seeds: _right(seeds, off=-1),
        500: lambda seeds: _right(seeds, count=2),
        600: lambda seeds: (200, b"no JSON"),
        700: lambda seeds: (200, b'{"images": ["AAAA", "AAAA", "AAAA"]}'),
    }
    jobs = [[_job(first) for first in range(100, 800, 100)]]
    _, outcomes = run_burst(server.url, ask_of(BY_KEY["litserve_expert"]), jobs)
    references = {one.seeds: _reference(one.seeds) for one in jobs[0]}
    records = list(judged(outcomes, references))
    assert [one.problem for one in records] == [
        "",
        "HTTP 503",
        "",
        "",
        "2 images",
        "unreadable answer (JSONDecodeError)",
        "unreadable image",
    ]
    assert [one.max_difference for one in records] == [0, None, 2, 1, None, None, None]
    assert [one.is_right for one in records] == [True, False, False, True, False, False, False]


def test_a_server_that_is_away_is_a_problem_of_each_set(server: TinyServer) -> None:
    server.server_close()
    _, outcomes = run_burst("http://127.0.0.1:9", ask_of(BY_KEY["ray_expert"]), [[_job(100)]])
    assert [one.problem for one in outcomes] == ["ConnectError"]


def test_the_first_of_ten_single_images_is_there_before_the_last(server: TinyServer) -> None:
    jobs = [[_job(100, images=4)]]
    _, (outcome,) = run_burst(server.url, ask_of(BY_KEY["fastapi_documented"]), jobs)
    assert outcome.asked is not None
    assert SET_S <= outcome.asked.first_image_s <= outcome.latency_s - 3 * SET_S
    assert outcome.latency_s >= 4 * SET_S
    (record,) = judged([outcome], {jobs[0][0].seeds: _reference(jobs[0][0].seeds)})
    assert record.is_right
    assert record.bytes_received == sum(map(len, outcome.asked.answer.images))


def test_of_a_pair_the_diffusion_set_is_compared_and_the_other_read() -> None:
    reference = _reference((1, 2))
    own, other = [_png(one) for one in reference], [_png(one) for one in _reference((3, 4))]
    assert compared([*other, *own], reference) == (0, "")
    assert compared([*own, *other], reference)[0] != 0
    assert compared([b"x", *other[1:], *own], reference) == (None, "unreadable image")


def test_images_of_another_size_are_no_images() -> None:
    small = [_png(np.zeros((8, 8, 3), np.uint8))]
    assert compared(small, _reference((1,))) == (None, "images of 8x8")
    with pytest.raises(ValueError, match="cannot be read"):
        pixels_of([b"nothing"])
