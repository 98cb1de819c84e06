"""Parts of an answer over HTTP, each timed alone while the service is idle."""

import base64
import json
import statistics
import time
from collections.abc import Callable, Sequence

import httpx

from benchmarks.paths import SAMPLE_FACE
from benchmarks.side_by_side.records import Probes
from models.pixels import PictureLimits, read_square
from models.roles import DIFFUSION

_TIMES = 50


def probe(url: str, images: Sequence[bytes]) -> Probes:
    """Time `GET /livez`, reading the sample face, and reading an answer of such images."""
    picture = SAMPLE_FACE.read_bytes()
    encoded = [base64.b64encode(one).decode() for one in images]
    body = json.dumps({"pairs": [{DIFFUSION: {"b64_json": one}} for one in encoded]})
    with httpx.Client(base_url=url, timeout=30, trust_env=False) as client:
        livez_ms = _median_ms(lambda: client.get("/livez").raise_for_status())
    return Probes(
        livez_ms=livez_ms,
        read_picture_ms=_median_ms(lambda: read_square(picture, PictureLimits())),
        read_answer_ms=_median_ms(lambda: _read(body)),
    )


def _read(body: str) -> list[bytes]:
    pairs = json.loads(body)["pairs"]
    return [base64.b64decode(pair[DIFFUSION]["b64_json"]) for pair in pairs]


def _median_ms(work: Callable[[], object]) -> float:
    taken = []
    for _ in range(_TIMES):
        started_s = time.perf_counter()
        work()
        taken.append(1000 * (time.perf_counter() - started_s))
    return round(statistics.median(taken[1:]), 3)
