"""Random requests: the answer is the images or a sentence, and never holds the prompt."""

import base64
import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.faults.answers_of_errors import complaint
from tests.faults.corpus import four
from tests.faults.files import saved
from tests.support.services import changed_config, serving

SECRET = "xylophonist"
PICTURE = saved(four(80), "JPEG", quality=80)
ENCODED = base64.b64encode(PICTURE).decode()
BOUNDARY = "----a-boundary"

random_requests = settings(
    deadline=None,
    derandomize=True,  # the same ones each time: a failure in CI is a failure at home
    max_examples=50,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)

_MANY_DIGITS = "5000 digits"
"""Stands for them: Python writes no number of over 4300 digits, as it reads none."""

_numbers = st.one_of(
    st.integers(),
    st.floats(),
    st.sampled_from([0, 1, 10, 11, -1, 0.5, 2**32 - 1, 2**32, 10**400, 1e308]),
)
_texts = st.one_of(
    st.text(max_size=30),
    st.sampled_from(
        [
            "",
            "nan",
            "inf",
            "1e999",
            "٣",
            "0x10",
            "1_0",
            " 1 ",
            "\0",
            "\ud800",
            "\u202e",
            _MANY_DIGITS,
        ]
    ),
)
_junk = st.recursive(
    st.one_of(st.none(), st.booleans(), _numbers, _texts),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=8), inner, max_size=4)
    ),
    max_leaves=6,
)
_PROMPTS = st.sampled_from(
    [SECRET, SECRET * 300, f"{SECRET}\0", f"\ud800{SECRET}", f"é\u202e{SECRET}"]
)
_VALID: dict[str, st.SearchStrategy[Any]] = {
    "n": st.just(1),
    "seed": st.integers(0, 2**32 - 1),
    "seeds": st.lists(st.integers(0, 9), min_size=1, max_size=1),
    "models": st.sampled_from([["vae"], ["stable_diffusion"]]),
    "diversity_factor": st.floats(0, 10),
    "prompt": _PROMPTS,
    "negative_prompt": _PROMPTS,
    "strength": st.floats(0.1, 1),
    "guidance_scale": st.floats(0, 30),
    "num_inference_steps": st.integers(10, 20),
    "crop": st.sampled_from(["center", "0,0,64", "1,2,70"]),
    "output_format": st.sampled_from(["png", "webp", "jpeg"]),
    "timeout_s": st.floats(1, 60),
    "allow_partial": st.booleans(),
}


@st.composite
def _fields(draw: st.DrawFn) -> dict[str, Any]:
    """Draw fields of which most are valid: requests that get far are the interesting ones."""
    names = draw(st.lists(st.sampled_from(sorted(_VALID)), unique=True, max_size=6))
    spoiled = draw(st.one_of(st.none(), st.sampled_from(sorted(_VALID)), st.text(max_size=12)))
    fields = {name: draw(_VALID[name]) for name in names}
    if spoiled is not None:
        fields[spoiled] = draw(_junk)
    return fields


@pytest.fixture(scope="module")
def quick(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """Return a client of a service whose models take no time."""

    def change(application: dict[str, Any]) -> None:
        application["args"]["vae"]["options"] = {"fixed_s": 0.0, "image_step_s": 0.0}
        steps = {"fixed_s": 0.0, "step_s": 0.0, "image_step_s": 0.0}
        application["args"]["stable_diffusion"]["options"] = steps

    config = changed_config(tmp_path_factory.mktemp("quick"), "simulated.yaml", change)
    with serving(config, num_gpus=1) as client:
        yield client


def _check(response: httpx.Response) -> None:
    if response.status_code == 200:
        return
    assert response.status_code != 401  # the requests below carry a key
    complaint(response)
    assert SECRET not in response.text
    assert base64.b64encode(SECRET.encode()).decode()[:8] not in response.text


def _post(client: httpx.Client, body: bytes, kind: str, route: str = "/v1/pairs") -> None:
    _check(client.post(route, content=body, headers={"content-type": kind}))


def _form(fields: dict[str, Any], picture: bytes) -> bytes:
    """Write a form by hand: a client of httpx would refuse to send half of these."""
    parts = []
    for name, value in fields.items():
        for one in value if isinstance(value, list) else [value]:
            text = one if isinstance(one, str) else json.dumps(one)
            head = f'Content-Disposition: form-data; name="{name}"'.encode(errors="surrogatepass")
            parts.append(head + b"\r\n\r\n" + text.encode(errors="surrogatepass"))
    head = b'Content-Disposition: form-data; name="image"; filename="face.jpg"\r\n\r\n'
    parts.append(head + picture)
    edge = f"--{BOUNDARY}".encode()
    return b"".join(edge + b"\r\n" + part + b"\r\n" for part in parts) + edge + b"--\r\n"


def _json(fields: Any) -> bytes:
    # Text is escaped: half a surrogate pair arrives as \ud800, infinity as Infinity.
    return json.dumps(fields).replace(f'"{_MANY_DIGITS}"', "9" * 5000).encode()


@random_requests
@given(fields=_fields())
def test_random_forms(quick: httpx.Client, fields: dict[str, Any]) -> None:
    _post(quick, _form(fields, PICTURE), f"multipart/form-data; boundary={BOUNDARY}")


@random_requests
@given(fields=_fields(), route=st.sampled_from(["/v1/pairs", "/v1/sweep", "/v1/images/variations"]))
def test_random_json(quick: httpx.Client, fields: dict[str, Any], route: str) -> None:
    _post(quick, _json({"image": ENCODED, **fields}), "application/json", route)


@random_requests
@given(body=_junk, route=st.sampled_from(["/v1/pairs", "/sdapi/v1/img2img", "/hf/image-to-image"]))
def test_json_that_is_anything(quick: httpx.Client, body: Any, route: str) -> None:
    _post(quick, _json(body), "application/json", route)


@st.composite
def _broken(draw: st.DrawFn, whole: bytes) -> bytes:
    """Draw a file of which a few bytes are changed, cut out or doubled."""
    data = bytearray(whole)
    for _ in range(draw(st.integers(1, 4))):
        place = draw(st.integers(0, len(data)))
        change = draw(st.sampled_from(["replace", "cut", "double", "insert"]))
        if change == "replace":
            data[place : place + 1] = draw(st.binary(min_size=1, max_size=1))
        elif change == "cut":
            del data[place : place + draw(st.integers(1, 40))]
        elif change == "double":
            data[place:place] = data[place : place + draw(st.integers(1, 200))]
        else:
            data[place:place] = draw(st.binary(max_size=30))
    return bytes(data)


@random_requests
@given(body=_broken(_form({"n": 1, "models": ["vae"], "prompt": SECRET}, PICTURE)))
def test_broken_forms(quick: httpx.Client, body: bytes) -> None:
    _post(quick, body, f"multipart/form-data; boundary={BOUNDARY}")


@random_requests
@given(picture=_broken(PICTURE))
def test_broken_pictures(quick: httpx.Client, picture: bytes) -> None:
    body = _form({"n": 1, "models": ["vae"]}, picture)
    _post(quick, body, f"multipart/form-data; boundary={BOUNDARY}")
