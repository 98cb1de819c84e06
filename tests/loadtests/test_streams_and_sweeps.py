"""Streams and sweeps are judged as strictly as pairs: each fault in them has a name."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from loadtests.asks import make_ask
from loadtests.calls import Answer, call, new_session
from loadtests.checks import Expected
from loadtests.events import EventReader, check_events
from loadtests.judging import judge
from loadtests.options import Options
from loadtests.sweep_checks import check_sweep
from tests.loadtests.conftest import make_answer, make_events, make_sweep

Events = list[tuple[str, dict[str, Any]]]
EXPECTED = Expected(n=4, seed=7)
SWEEP = Expected(n=4, seed=7, sets=("vae",), factors=(1.0, 4.0))


def as_bytes(events: Events) -> bytes:
    """Return a stream as it comes over the wire."""
    return b"".join(
        f"event: {name}\ndata: {json.dumps(fields)}\n\n".encode() for name, fields in events
    )


def named(events: Events) -> list[str]:
    """Return the names of the checks that a stream fails, each once."""
    failures = check_events(EventReader().feed(as_bytes(events)), EXPECTED).failures
    return list(dict.fromkeys(failure.check for failure in failures))


@pytest.fixture
def events() -> Events:
    """A correct stream."""
    return make_events(make_answer())


def test_a_correct_stream_has_no_failures_and_holds_all_pictures(events: Events) -> None:
    checked = check_events(EventReader().feed(as_bytes(events)), EXPECTED)
    assert checked.failures == []
    assert {name: len(pictures) for name, pictures in checked.pictures.items()} == {
        "vae": 4,
        "stable_diffusion": 4,
    }


def test_a_stream_may_be_cut_anywhere(events: Events) -> None:
    data = b": ping\r\n\r\n" + as_bytes(events)
    reader = EventReader()
    found = [event for place in range(0, len(data), 7) for event in reader.feed(data[place:][:7])]
    assert [event.name for event in found] == [name for name, _ in events]
    assert check_events(found, EXPECTED).failures == []


def images_of(events: Events) -> list[dict[str, Any]]:
    """Return the fields of the image events."""
    return [fields for name, fields in events if name == "image"]


def repeat_an_image(events: Events) -> None:
    """Show one picture twice."""
    images = images_of(events)
    images[2]["b64_json"] = images[0]["b64_json"]


def send_an_image_twice(events: Events) -> None:
    """Send the event of one image twice."""
    events.insert(3, events[2])


def swap_two_images(events: Events) -> None:
    """Swap the files of two images."""
    images = images_of(events)
    images[0]["b64_json"], images[1]["b64_json"] = images[1]["b64_json"], images[0]["b64_json"]


def swap_two_seeds(events: Events) -> None:
    """Swap the seeds of two images."""
    images = images_of(events)
    images[0]["seed"], images[1]["seed"] = images[1]["seed"], images[0]["seed"]


def drop_an_image(events: Events) -> None:
    """Leave one image out."""
    del events[3]


def drop_a_set(events: Events) -> None:
    """Leave out what tells of the VAE's set."""
    events.remove(next(event for event in events if event[0] == "set"))


def end_early(events: Events) -> None:
    """Leave out the last event."""
    events.pop()


def end_twice(events: Events) -> None:
    """Send the last event twice."""
    events.append(events[-1])


def go_on_after_the_end(events: Events) -> None:
    """Send an event after the last one."""
    events.append(("progress", {"role": "vae"}))


def begin_late(events: Events) -> None:
    """Leave out the first event."""
    events.pop(0)


def add_a_stranger(events: Events) -> None:
    """Send an image that nobody asked for."""
    image = {**images_of(events)[0], "index": 4, "seed": 11}
    events.insert(1, ("image", image))


def fail(events: Events) -> None:
    """End in an error."""
    events[-1] = ("error", {"error": {"code": "out_of_memory"}})


@pytest.mark.parametrize(
    ("lie", "checks"),
    [
        (repeat_an_image, ["metadata", "distinct"]),
        (send_an_image_twice, ["stream_images"]),
        (swap_two_images, ["metadata"]),
        (swap_two_seeds, ["seed_alignment"]),
        (drop_an_image, ["missing_set"]),
        (drop_a_set, ["missing_set"]),
        (end_early, ["stream_end"]),
        (end_twice, ["stream_end"]),
        (go_on_after_the_end, ["stream_end"]),
        (begin_late, ["stream_start"]),
        (add_a_stranger, ["stream_images"]),
        (fail, ["stream_error"]),
    ],
)
def test_a_lie_in_a_stream_is_named(
    events: Events, lie: Callable[[Events], None], checks: list[str]
) -> None:
    lie(events)
    assert named(events) == checks


def test_a_stream_of_nothing_is_named() -> None:
    assert named([])[0] == "stream_end"


def sweep_failures(answer: dict[str, Any]) -> list[str]:
    """Return what a sweep fails, as sentences."""
    return [str(one) for one in check_sweep(json.dumps(answer).encode(), SWEEP).failures]


@pytest.fixture
def sweep() -> dict[str, Any]:
    """A correct sweep over the factors 1 and 4."""
    return make_sweep({"n": "4", "seed": "7", "diversity_factors": "1,4"})


def test_a_correct_sweep_has_no_failures(sweep: dict[str, Any]) -> None:
    checked = check_sweep(json.dumps(sweep).encode(), SWEEP)
    assert checked.failures == []
    assert list(checked.pictures) == ["vae at 1", "vae at 4"]


def test_a_dropped_set_of_a_sweep_is_named(sweep: dict[str, Any]) -> None:
    sweep["sets"].pop()
    assert sweep_failures(sweep) == ["sweep_sets: factors [1.0] instead of [1.0, 4.0]"]


def test_a_dropped_image_of_a_sweep_is_named(sweep: dict[str, Any]) -> None:
    sweep["sets"][1]["images"].pop()
    assert sweep_failures(sweep) == ["pairs_count: at factor 4: 3 pairs instead of 4"]


def test_two_swapped_images_of_a_sweep_are_named(sweep: dict[str, Any]) -> None:
    images = sweep["sets"][0]["images"]
    images[0]["b64_json"], images[1]["b64_json"] = images[1]["b64_json"], images[0]["b64_json"]
    assert sweep_failures(sweep)[0] == (
        "metadata: at factor 1: image 0 of the vae set says seed 8 instead of 7"
    )


@pytest.mark.parametrize("body", [b"[]", b'{"sets": 3}', b'{"sets": [1]}', b"{"])
def test_what_is_no_sweep_is_named(body: bytes) -> None:
    assert check_sweep(body, SWEEP).failures


def test_an_error_in_a_stream_is_a_failure_of_the_service_not_a_wrong_answer(
    events: Events,
) -> None:
    fail(events)
    ask = make_ask(Options(mix="stream", pairs_n=4), 0)
    answer = Answer(0.0, 1.0, 200, events=EventReader().feed(as_bytes(events)))
    assert judge(ask, answer).outcome == "failed"


def test_who_leaves_in_time_is_no_failure_but_sees_errors(events: Events) -> None:
    ask = next(
        ask
        for number in range(50)
        if (ask := make_ask(Options(mix="cancel", pairs_n=4), number)).is_stream
    )
    begun = EventReader().feed(as_bytes(events[:3]))
    assert judge(ask, Answer(0.0, 1.0, 200, events=begun, left=True)).outcome == "left"
    failed = EventReader().feed(as_bytes([events[0], ("error", {})]))
    verdict = judge(ask, Answer(0.0, 1.0, 200, events=failed, left=True))
    assert (verdict.outcome, verdict.failures[0].check) == ("failed", "stream_error")


def test_the_first_image_is_timed_and_who_leaves_does_so_in_the_middle(service: Any) -> None:
    service.chunk_gap_s = 0.05
    ask = make_ask(Options(mix="stream", pairs_n=4), 0)
    answer = call(new_session(), service.url, ask, {}, 10.0)
    assert judge(ask, answer).outcome == "ok"
    assert answer.first_image_s is not None
    assert 0 < answer.first_image_s - answer.sent_s < 0.7 * (answer.done_s - answer.sent_s)
    impatient = replace(ask, leave_after_s=0.12)
    left = call(new_session(), service.url, impatient, {}, 10.0)
    assert left.left
    assert 0.12 <= left.done_s - left.sent_s < 0.7 * (answer.done_s - answer.sent_s)
    assert 0 < len(left.events) < len(answer.events)


def test_half_an_answer_is_none(service: Any) -> None:
    service.breaks_off = True
    ask = make_ask(Options(mix="pairs", pairs_n=4), 0)
    verdict = judge(ask, call(new_session(), service.url, ask, {}, 10.0))
    assert (verdict.outcome, verdict.failures[0].check) == ("failed", "no_answer")
