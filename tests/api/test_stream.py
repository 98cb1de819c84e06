"""The event stream: images as soon as they exist, one end, work that stops with its caller."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.in_process import answering
from tests.support.services import changed_config, post_pairs, read_events, wait_for

STREAM = {"accept": "text/event-stream"}


def _events(
    client: httpx.Client, face: bytes, **fields: Any
) -> list[tuple[float, str, dict[str, Any]]]:
    """Return all events with the seconds after which they came."""
    started = time.monotonic()
    with client.stream(
        "POST", "/v1/pairs", files={"image": face}, data=fields, headers=STREAM
    ) as response:
        assert response.status_code == 200, response.read()
        assert response.headers["content-type"].startswith("text/event-stream")
        assert response.headers["cache-control"] == "no-store"
        found = read_events(response.iter_lines())
        return [(time.monotonic() - started, name, data) for name, data in found]


@pytest.mark.heavy
def test_images_come_as_they_are_made_and_are_those_of_the_json_answer(
    demo: httpx.Client, face: bytes
) -> None:
    post_pairs(demo, face, seed=7)  # both models are warm
    events = _events(demo, face, seed=7)
    names = [name for _, name, _ in events if name]
    assert names[0] == "started"
    assert names[-1] == "completed"
    assert names.count("completed") == 1
    assert "error" not in names
    for _, name, data in events:
        assert data.get("type", "") == name
    answer = post_pairs(demo, face, seed=7).json()
    for role in ("vae", "stable_diffusion"):
        images = [data for _, name, data in events if name == "image" and data["role"] == role]
        assert [(image["index"], image["seed"]) for image in images] == [
            (index, 7 + index) for index in range(10)
        ]
        expected = [pair[role]["b64_json"] for pair in answer["pairs"]]
        assert [image["b64_json"] for image in images] == expected
        assert events[-1][2]["sets"][role]["metrics"] == answer["sets"][role]["metrics"]
    started = events[0][2]
    assert started["parameters"] == answer["parameters"]
    assert started["input"] == answer["input"]


@pytest.mark.slow
@pytest.mark.slow
def test_the_vae_is_seen_in_the_first_fifth_of_the_time(demo: httpx.Client, face: bytes) -> None:
    shares = []
    for seed in range(5):
        events = _events(demo, face, seed=seed)
        last_vae = max(at for at, _, data in events if data.get("role") == "vae")
        first_diffusion = min(
            at
            for at, name, data in events
            if name == "image" and data["role"] == "stable_diffusion"
        )
        assert last_vae < first_diffusion
        shares.append(last_vae / events[-1][0])
    assert sorted(shares)[2] <= 0.2, shares


def test_progress_counts_every_step(demo: httpx.Client, face: bytes) -> None:
    events = _events(demo, face, n=2, num_inference_steps=10, strength=0.5)
    steps = [
        (data["step"], data["total"])
        for _, name, data in events
        if name == "progress" and data["role"] == "stable_diffusion"
    ]
    assert steps == [(step, 5) for step in range(1, 6)]
    first, *_, last = (
        at for at, name, data in events if name == "progress" and data["role"] != "vae"
    )
    assert last > first


def test_what_cannot_start_is_no_stream(demo: httpx.Client, face: bytes) -> None:
    response = demo.post("/v1/pairs", files={"image": face}, data={"n": "11"}, headers=STREAM)
    assert response.status_code == 400
    assert response.json()["error"]["param"] == "n"


@pytest.fixture(scope="module")
def logged(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[httpx.Client, Path]]:
    """Return a service with one place, whose diffusion model logs its steps of 0.3 s."""
    log = tmp_path_factory.mktemp("steps") / "steps.log"
    log.touch()

    def change(application: dict[str, Any]) -> None:
        application["args"]["ingress"].update(max_admitted_requests=1, event_ping_s=0.1)
        application["args"]["stable_diffusion"] = {
            "factory": "tests.broken_models:load_logging_diffusion",
            "options": {"log": str(log)},
        }

    config = changed_config(log.parent, "simulated.yaml", change)
    with answering(config, num_gpus=1) as client:
        yield client, log


def _steps(log: Path) -> int:
    return len(log.read_text().splitlines())


@pytest.mark.heavy
def test_a_caller_who_leaves_stops_the_work_and_frees_the_place(
    logged: tuple[httpx.Client, Path], face: bytes
) -> None:
    client, log = logged
    fields = {"num_inference_steps": "50", "strength": "1.0", "models": "stable_diffusion"}
    with client.stream(
        "POST", "/v1/pairs", files={"image": face}, data=fields, headers=STREAM
    ) as response:
        for name, data in read_events(response.iter_lines()):
            if name == "progress" and data["step"] == 3:
                break
        at_leaving = _steps(log)
    time.sleep(2.0)  # six more steps, if nobody stopped them
    assert at_leaving <= _steps(log) <= at_leaving + 1
    after = client.post(
        "/v1/pairs", files={"image": face}, data={**fields, "num_inference_steps": "1", "n": "1"}
    )
    assert after.status_code == 200, after.text
    assert after.elapsed.total_seconds() < 2


def test_a_silent_stream_pings(logged: tuple[httpx.Client, Path], face: bytes) -> None:
    events = _events(
        logged[0], face, num_inference_steps=4, strength=1.0, models="stable_diffusion"
    )
    assert len([name for _, name, _ in events if not name]) >= 4  # 0.3 s of silence a step


@pytest.mark.heavy
def test_a_deadline_that_passes_is_the_one_terminal_event(
    logged: tuple[httpx.Client, Path], face: bytes
) -> None:
    client, log = logged
    events = _events(client, face, num_inference_steps=50, strength=1.0, timeout_s=1)
    names = [name for _, name, _ in events if name]
    assert names[-1] == "error"
    assert not {"completed"} & set(names)
    assert names.count("error") == 1
    assert events[-1][2]["error"]["code"] == "deadline_exceeded"
    assert [data["index"] for _, name, data in events if name == "image" and data["b64_json"]] == [
        *range(10)
    ]  # the VAE's were there in time
    before = _steps(log)
    time.sleep(1.0)
    assert _steps(log) <= before + 1


@pytest.mark.heavy
def test_one_set_that_fails_is_told_in_band_when_that_is_allowed(
    logged: tuple[httpx.Client, Path], face: bytes
) -> None:
    events = _events(
        logged[0], face, n=2, num_inference_steps=50, strength=1.0, timeout_s=1, allow_partial=True
    )
    by_name = [(name, data) for _, name, data in events if name]
    assert by_name[-1][0] == "completed"
    sets = by_name[-1][1]["sets"]
    assert sets["vae"]["status"] == "ok"
    assert sets["stable_diffusion"]["status"] == "failed"
    failed = [
        (data["index"], data["status"])
        for name, data in by_name
        if name == "image" and data["role"] == "stable_diffusion"
    ]
    assert failed == [(0, "failed"), (1, "failed")]
    wait_for(lambda: post_pairs(logged[0], face, n=1, models="vae").status_code == 200, 5)


@pytest.mark.slow
def test_the_real_model_stops_within_a_step_of_its_caller_leaving(
    face: bytes, tmp_path: Path
) -> None:
    log = tmp_path / "steps.log"
    log.touch()

    def change(application: dict[str, Any]) -> None:
        application["args"]["ingress"]["max_admitted_requests"] = 1
        application["args"]["stable_diffusion"] = {
            "factory": "tests.broken_models:load_logging_demo_diffusion",
            "options": {"log": str(log)},
        }

    with answering(changed_config(tmp_path, "demo.yaml", change)) as client:
        fields = {"num_inference_steps": "150", "strength": "1.0"}
        with client.stream(
            "POST", "/v1/pairs", files={"image": face}, data=fields, headers=STREAM
        ) as response:
            for name, data in read_events(response.iter_lines()):
                if name == "progress" and data["role"] != "vae" and data["step"] == 4:
                    break
            at_leaving = _steps(log)
        time.sleep(3.0)
        assert at_leaving <= _steps(log) <= at_leaving + 1
        after = post_pairs(client, face, n=1, num_inference_steps=2, strength=1.0)
        assert after.status_code == 200
        assert after.elapsed.total_seconds() < 3
