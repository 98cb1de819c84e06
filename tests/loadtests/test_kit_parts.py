"""The small parts of the kit: faces, messages, waiting times, the table of replicas, options."""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from PIL import Image

from loadtests.backpressure import retry_after_s
from loadtests.checks import CHECK_NAMES, Failure
from loadtests.faces import draw_faces
from loadtests.messages import read_names, write_message
from loadtests.options import Options
from loadtests.replicas import ReplicaLog, ReplicaSampler, read_counts


def test_the_faces_are_varied_and_the_same_each_time() -> None:
    faces = draw_faces()
    draw_faces.cache_clear()
    assert draw_faces() == faces
    assert len({face.data for face in faces}) == len(faces)
    for face in faces:
        image = Image.open(io.BytesIO(face.data))
        assert image.size == (256, 256)
        assert face.content_type == f"image/{str(image.format).lower()}"


def test_every_name_survives_the_way_through_a_message() -> None:
    failures = [Failure(name, "seen; so\nit is") for name in CHECK_NAMES]
    message = write_message(failures)
    assert "\n" not in message
    assert read_names(message) == list(CHECK_NAMES)
    assert read_names(f"CatchResponseError({message!r})") == list(CHECK_NAMES)


def test_a_check_that_fails_twice_is_one_group() -> None:
    message = write_message([Failure("distinct", "one"), Failure("distinct", "two")])
    assert message == "distinct: one (and 1 more)"


def test_what_a_service_wrote_cannot_pose_as_a_check() -> None:
    message = write_message([Failure("status_code", "500; distinct: no")])
    assert read_names(message) == ["status_code"]
    assert read_names("ConnectionError('refused')") == ["other"]


@pytest.mark.parametrize(
    ("header", "seconds"),
    [(None, 1), ("0", 0), (" 7 ", 7), ("99999", 60), ("-1", 1), ("nan", 1), ("soon", 1)],
)
def test_retry_after_in_seconds(header: str | None, seconds: float) -> None:
    assert retry_after_s(header) == seconds


def test_retry_after_as_a_date() -> None:
    soon = format_datetime(datetime.now(UTC) + timedelta(seconds=20), usegmt=True)
    assert 15 < retry_after_s(soon) <= 20
    assert retry_after_s("Wed, 21 Oct 2015 07:28:00 GMT") == 0


def models_body(vae: int, diffusion: int) -> bytes:
    """Return an answer of GET /v1/models with these numbers of running replicas."""
    data = [
        {"id": "a-vae", "replicas": {"running": vae, "target": 1}},
        {"id": "b-diffusion", "replicas": {"running": diffusion}},
    ]
    return json.dumps({"data": data}).encode()


@pytest.mark.parametrize("body", [b"", b"{}", b'{"data": 3}', b'{"data": [1, {"id": "a"}]}'])
def test_answers_without_replicas_have_no_counts(body: bytes) -> None:
    assert read_counts(body) == {}


def test_the_table_shows_the_changes_only() -> None:
    log = ReplicaLog()
    for second, diffusion in enumerate([1, 1, 2, 2, 1]):
        log.add(float(second), read_counts(models_body(1, diffusion)))
    assert log.table().splitlines()[1:] == [
        "    time   a-vae   b-diffusion",
        "     0 s     1/1             1",
        "     2 s     1/1             2",
        "     4 s     1/1             1",
    ]


def test_a_service_without_replicas_is_said_so() -> None:
    sampler = ReplicaSampler(lambda: b"{}")
    sampler.sample()
    assert "states no replicas" in sampler.log.table()


def test_a_service_that_is_away_is_said_so() -> None:
    def refuse() -> bytes:
        raise ConnectionRefusedError("refused")

    sampler = ReplicaSampler(refuse)
    sampler.sample()
    assert "refused" in sampler.log.table()


def options(models: str = "both", first_seed: int = 7) -> Options:
    """Return options as the command line would give them."""
    return Options(10, models, first_seed, 0.1, 1, False, 0, 300.0, None, None, None)


def test_only_chosen_fields_are_sent() -> None:
    assert options().fields(7) == {"n": "10", "seed": "7"}
    assert options("vae").fields(7) == {"n": "10", "seed": "7", "models": "vae"}
    assert options("vae").expected(7).sets == ("vae",)


def test_seeds_vary_and_stay_in_range() -> None:
    seeds = [options(first_seed=2**32 - 1).seed(number) for number in range(1000)]
    assert seeds[0] == 2**32 - 1
    assert len(set(seeds)) == 1000
    assert all(0 <= seed < 2**32 for seed in seeds)
