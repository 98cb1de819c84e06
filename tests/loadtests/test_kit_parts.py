"""The small parts of the kit: faces, messages, waiting times, the table of replicas, options."""

from __future__ import annotations

import io
import json
import re
from collections import Counter
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest
from PIL import Image

from loadtests.asks import make_ask
from loadtests.backpressure import retry_after_s
from loadtests.checks import CHECK_NAMES, Failure
from loadtests.faces import draw_faces
from loadtests.messages import write_message
from loadtests.mix import DEFAULT_MIX, KINDS, read_mix
from loadtests.objectives import KEYS
from loadtests.options import Options
from loadtests.records import Tick
from loadtests.replicas import read_replicas, table
from loadtests.sampling import Sampler
from loadtests.shapes import SHAPES

ROOT = Path(__file__).parents[2]


def test_the_faces_are_varied_and_the_same_each_time() -> None:
    faces = draw_faces()
    draw_faces.cache_clear()
    assert draw_faces() == faces
    assert len({face.data for face in faces}) == len(faces)
    for face in faces:
        image = Image.open(io.BytesIO(face.data))
        assert image.size == (256, 256)
        assert face.content_type == f"image/{str(image.format).lower()}"


def test_a_check_that_fails_twice_is_one_group() -> None:
    message = write_message([Failure("distinct", "one"), Failure("distinct", "two")])
    assert message == "distinct: one (and 1 more)"


def test_a_message_is_one_line_whatever_the_service_wrote() -> None:
    message = write_message([Failure("status_code", "500; a\nb"), Failure("json", "no")])
    assert message == "status_code: 500, a b; json: no"


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
        {"id": "b-diffusion", "replicas": {"running": diffusion, "starting": 2}},
    ]
    return json.dumps({"data": data}).encode()


@pytest.mark.parametrize("body", [b"", b"{}", b'{"data": 3}', b'{"data": [1, {"id": "a"}]}'])
def test_answers_without_replicas_have_no_counts(body: bytes) -> None:
    assert read_replicas(body) == {}


def test_all_states_of_the_replicas_are_read() -> None:
    assert read_replicas(models_body(1, 3))["b-diffusion"] == {"running": 3, "starting": 2}


def test_the_table_shows_the_changes_only() -> None:
    counts = [read_replicas(models_body(1, diffusion)) for diffusion in [1, 1, 2, 2, 1]]
    ticks = [Tick(100.0 + second, 1, None, one) for second, one in enumerate(counts)]
    assert table(ticks, 100.0, None).splitlines()[1:] == [
        "    time   a-vae   b-diffusion",
        "     0 s     1/1             1",
        "     2 s     1/1             2",
        "     4 s     1/1             1",
    ]


def said_by(sampler: Sampler) -> str:
    """Return the table after one sample."""
    sampler.sample()
    return table(sampler.ticks, sampler.ticks[0].at_s, sampler.trouble)


def test_a_service_without_replicas_is_said_so() -> None:
    assert "states no replicas" in said_by(Sampler(lambda: b"{}"))


def test_a_service_that_is_away_is_said_so() -> None:
    def refuse() -> bytes:
        raise ConnectionRefusedError("refused")

    sampler = Sampler(refuse, lambda: 3)
    assert "refused" in said_by(sampler)
    assert sampler.ticks[0].users == 3


def test_seeds_vary_and_stay_in_range() -> None:
    options = Options(first_seed=2**32 - 1)
    seeds = [options.seed(number) for number in range(1000)]
    assert seeds[0] == 2**32 - 1
    assert len(set(seeds)) == 1000
    assert all(0 <= seed < 2**32 for seed in seeds)


def test_the_same_number_is_the_same_request_and_the_kinds_come_by_weight() -> None:
    options = Options(mix="pairs=3,vae=1,sweep=0")
    asks = [make_ask(options, number) for number in range(400)]
    assert asks == [make_ask(options, number) for number in range(400)]
    kinds = Counter(ask.kind for ask in asks)
    assert kinds == {"pairs": 300, "vae": 100}


def test_every_kind_comes_soon_and_often_enough() -> None:
    kinds = [make_ask(Options(), number).kind for number in range(10)]
    assert set(kinds) == set(KINDS)
    assert kinds[0] == "pairs"
    fractions = Counter(make_ask(Options(mix="pairs=0.5,vae=1"), one).kind for one in range(1000))
    assert abs(fractions["vae"] - 667) <= 1


def test_parameters_vary_unless_they_are_given_or_left_to_the_service() -> None:
    def fields(options: Options) -> dict[str, set[str]]:
        found: dict[str, set[str]] = {}
        for number in range(60):
            for name, value in make_ask(options, number).fields.items():
                found.setdefault(name, set()).add(value)
        return found

    varied = fields(Options(mix="pairs"))
    assert len(varied["strength"]) > 1
    assert len(varied["diversity_factor"]) > 1
    assert varied["output_format"] == {"png", "webp", "jpeg"}
    assert fields(Options(mix="pairs", strength=0.5))["strength"] == {"0.5"}
    assert set(fields(Options(mix="pairs", same_parameters=True))) == {"n", "seed"}


def test_each_kind_asks_for_what_its_name_says() -> None:
    asks = {kind: make_ask(Options(mix=kind), 5) for kind in KINDS}
    assert asks["vae"].fields["models"] == "vae"
    assert "strength" not in asks["vae"].fields
    assert asks["diffusion"].expected.sets == ("stable_diffusion",)
    assert asks["stream"].is_stream
    assert (asks["sweep"].path, asks["sweep"].fields["diversity_factors"]) == (
        "/v1/sweep",
        "1,4,7",
    )
    assert asks["cancel"].leave_after_s is not None
    assert {kind for kind, ask in asks.items() if ask.leave_after_s is not None} == {"cancel"}


def test_the_documents_name_every_check_objective_shape_and_kind() -> None:
    sources = "".join(path.read_text() for path in (ROOT / "loadtests").glob("*.py"))
    assert set(re.findall(r'Failure\(\s*"([a-z_]+)"', sources)) == set(CHECK_NAMES)
    readme = (ROOT / "loadtests" / "README.md").read_text()
    assert [name for name in CHECK_NAMES if f"`{name}`" not in readme] == []
    guide = (ROOT / "docs" / "loadtesting.md").read_text()
    assert [name for name in [*KEYS, *SHAPES] if f"`{name}`" not in guide] == []
    assert DEFAULT_MIX in guide


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("pears=1", "did you mean pairs?"),
        ("pairs=x", "pairs=x: the weight must be a number"),
        ("pairs=-1", "the weight must be a number"),
        ("pairs=0", "names no kind"),
        ("", "names no kind"),
    ],
)
def test_a_mix_that_is_none_is_refused(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=re.escape(words)):
        read_mix(text)
