"""Where the time of one set over HTTP goes, beside the same set in process."""

from dataclasses import dataclass

import numpy as np

from benchmarks.side_by_side.arms import TWINSET, TWINSET_HTTP
from benchmarks.side_by_side.records import Run, SetRecord

_SAID = ("wait", "model", "encode")


@dataclass(frozen=True)
class Part:
    """One part of the median set at one client.

    Attributes:
        name: what it is.
        http_ms: milliseconds over HTTP; None where that part is not there.
        process_ms: likewise in process.
    """

    name: str
    http_ms: float | None
    process_ms: float | None


def parts(run: Run) -> list[Part]:
    """Return the parts; none where one of the two arms was not measured with one client."""
    http = [one for burst in run.of(TWINSET_HTTP.key) for one in burst.right]
    process = [one for burst in run.of(TWINSET.key) for one in burst.right]
    if not http or not process:
        return []
    rest = _median([1000 * one.latency_s - _said_ms(one) for one in http])
    found = [
        Part("in all", _latency_ms(http), _latency_ms(process)),
        Part("wait for the model", _part_ms(http, "wait"), None),
        Part(
            "model (in process: and reading the picture)",
            _part_ms(http, "model"),
            _model_ms(process),
        ),
        Part("PNG encoding", _part_ms(http, "encode"), _part_ms(process, "encode")),
        Part("all the rest", rest, None),
    ]
    if run.probes is None:
        return found
    probed = run.probes
    known = probed.livez_ms + probed.read_picture_ms + probed.read_answer_ms
    return [
        *found,
        Part("of it, timed alone: GET /livez", probed.livez_ms, None),
        Part("of it, timed alone: reading the picture", probed.read_picture_ms, None),
        Part("of it, timed alone: reading the answer", probed.read_answer_ms, None),
        Part("of it, what remains: handles, JSON, metrics", rest - known, None),
    ]


def _model_ms(sets: list[SetRecord]) -> float:
    """Return what is not encoding: the model, and reading the picture."""
    return _median([1000 * one.latency_s - one.parts_ms["encode"] for one in sets])


def _said_ms(one: SetRecord) -> float:
    return sum(one.parts_ms.get(name, 0.0) for name in _SAID)


def _latency_ms(sets: list[SetRecord]) -> float:
    return _median([1000 * one.latency_s for one in sets])


def _part_ms(sets: list[SetRecord], name: str) -> float:
    return _median([one.parts_ms.get(name, 0.0) for one in sets])


def _median(values: list[float]) -> float:
    return float(np.median(values))
