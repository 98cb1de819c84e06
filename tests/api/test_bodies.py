"""Bodies that are written oddly: refused with a sentence, or read right."""

import base64
import gzip
import json
from typing import Any

import httpx
import pytest

from models.pixels import MIN_CROP_SIDE_PX
from tests.support.services import post_pairs

JSON = {"content-type": "application/json"}


@pytest.fixture(scope="module")
def encoded(small_face: bytes) -> str:
    return base64.b64encode(small_face).decode()


def _refusal(response: httpx.Response, status: int = 400) -> dict[str, Any]:
    assert response.status_code == status, response.text[:300]
    error: dict[str, Any] = response.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    return error


def _form(client: httpx.Client, *parts: bytes, kind: str = "; boundary=b") -> httpx.Response:
    body = b"".join(b"--b\r\nContent-Disposition: form-data; " + part + b"\r\n" for part in parts)
    headers = {"content-type": f"multipart/form-data{kind}"}
    return client.post("/v1/pairs", content=body + b"--b--\r\n", headers=headers)


def _field(name: str, value: bytes) -> bytes:
    return f'name="{name}"'.encode() + b"\r\n\r\n" + value


def _file(data: bytes, filename: bytes = b"face.png") -> bytes:
    return b'name="image"; filename="' + filename + b'"\r\n\r\n' + data


@pytest.mark.parametrize(
    ("text", "param", "words"),
    [
        ('{"n": 1, "n": 2}', "n", "twice"),
        ('{"parameters": {"n": 1, "n": 2}}', "n", "twice"),
        ('{"seed": ' + "9" * 5000 + "}", "seed", "whole number"),
        ('{"strength": ' + "9" * 5000 + "}", "strength", "finite"),
        ('{"strength": NaN}', "strength", "finite"),
        ('{"strength": -Infinity}', "strength", "finite"),
        ('{"strength": 1e999}', "strength", "finite"),
        ('{"strength": "0.5"}', "strength", "send a number"),
        ('{"n": 1.5}', "n", "send a whole number"),
        ('{"n": true}', "n", "send a whole number"),
        ('{"n": [1]}', "n", "send a whole number"),
        ('{"n": {"a": 1}}', "n", "send a whole number"),
        ('{"seeds": 7}', "seeds", "send a list"),
        ('{"seeds": [7, "8"]}', "seeds", "seeds[1]: send a whole number"),
        ('{"seeds": []}', "seeds", "at least 1 value"),
        ('{"seeds": [1,2,3,4,5,6,7,8,9,10,11]}', "seeds", "at most 10 values"),
        ('{"models": "vae"}', "models", "send a list"),
        ('{"models": [null]}', "models", "models[0]: send text"),
        ('{"prompt": 7}', "prompt", "send text"),
        ('{"prompt": "' + "x" * 2001 + '"}', "prompt", "at most 2000 characters"),
        ('{"prompt": "\\ud800"}', None, "UTF-8"),
        ('{"\\udc00": 1}', None, "UTF-8"),
        ('{"allow_partial": "yes"}', "allow_partial", "true or false"),
        ('{"output_format": "gif"}', "output_format", "'png', 'webp' or 'jpeg'"),
        ('{"crop": "0,0,4"}', "crop", f"at least {MIN_CROP_SIDE_PX}"),
        ('{"crop": "٠,٠,٦٤"}', "crop", "whole pixels"),
        ('{"' + "x" * 5000 + '": 1}', "x" * 60, "is not a field"),
        ('{"": 1}', "a field without name", "is not a field"),
        ('{"seeds": ' + "[" * 50_000 + "]" * 50_000 + "}", None, "JSON"),
        ('{"seeds": [' + "[]," * 1_000_000 + "[]]}", None, "too many values"),
        ('{"seeds": [' + "1," * 20_000 + "1]}", "seeds", "at most 10 values"),
    ],
)
def test_json_that_is_refused_names_the_field_and_the_fix(
    simulated: httpx.Client, encoded: str, text: str, param: str | None, words: str
) -> None:
    body = f'{{"image": "{encoded}", {text[1:]}'
    error = _refusal(simulated.post("/v1/pairs", content=body.encode(), headers=JSON))
    assert error["param"] == param
    assert words in error["message"]
    assert len(error["message"]) < 400


def test_half_a_character_does_not_come_back_in_an_echo(
    simulated: httpx.Client, encoded: str
) -> None:
    # A1111's answer repeats the request, also what means nothing here.
    body = f'{{"init_images": ["{encoded}"], "steps": 5, "force_task_id": "\\ud800"}}'
    response = simulated.post("/sdapi/v1/img2img", content=body.encode(), headers=JSON)
    assert "UTF-8" in _refusal(response)["message"]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32", "latin-1"])
def test_json_in_another_encoding_is_refused(
    simulated: httpx.Client, encoded: str, encoding: str
) -> None:
    body = json.dumps({"image": encoded, "prompt": "é"}, ensure_ascii=False).encode(encoding)
    assert "JSON" in _refusal(simulated.post("/v1/pairs", content=body, headers=JSON))["message"]


@pytest.mark.parametrize("prompt", ["‮ right to left", "a\0b", "😀", "e\u0301", ""])
def test_odd_prompts_are_taken_as_they_are(
    simulated: httpx.Client, encoded: str, prompt: str
) -> None:
    fields = {"image": encoded, "n": 1, "models": ["stable_diffusion"], "prompt": prompt}
    body = b"\xef\xbb\xbf" + json.dumps({**fields, "num_inference_steps": 5}).encode()
    kind = {"content-type": "Application/JSON; charset=latin-1"}
    response = simulated.post("/v1/pairs", content=body, headers=kind)
    assert response.status_code == 200
    assert response.json()["parameters"]["prompt"] == prompt


def test_base64_is_taken_as_tools_write_it(simulated: httpx.Client, small_face: bytes) -> None:
    lines = base64.encodebytes(small_face).decode()
    url_safe = base64.urlsafe_b64encode(small_face).decode().rstrip("=")
    expected = None
    for text in (
        lines,
        lines.replace("\n", "\r\n "),
        url_safe,
        f"data:image/png;base64,{lines}",
        f"DATA:image/x-anything;charset=utf-8;BASE64,{url_safe}",
    ):
        fields = {"image": text, "n": 1, "models": ["vae"], "seed": 3}
        response = simulated.post("/v1/pairs", json=fields)
        assert response.status_code == 200, response.text
        expected = expected or response.json()["pairs"]
        assert response.json()["pairs"] == expected


@pytest.mark.parametrize(
    ("image", "words"),
    [
        ("data:text/html;base64,PGI+", "data URLs only"),
        ("data:image/png,%89PNG", "data URLs only"),
        ("HTTPS://example.org/face.png", "never fetched"),
        ("file:///etc/passwd", "never fetched"),
        ("iVBOR=w0KGgo", "base64"),
        ("é" * 8, "base64"),
        ("", "empty"),
        (None, "base64"),
        ({"url": "x"}, "base64"),
    ],
)
def test_pictures_that_are_not_in_base64(
    simulated: httpx.Client, image: object, words: str
) -> None:
    error = _refusal(simulated.post("/v1/pairs", json={"image": image}))
    assert error["param"] == "image"
    assert words in error["message"]


@pytest.mark.parametrize(
    "filename",
    [b"../../../etc/passwd", b"", b"a\0b", "😀.png".encode(), b"\xff\xfe", b"C:\\x\\face.png"],
)
def test_a_files_name_does_not_matter(
    simulated: httpx.Client, small_face: bytes, filename: bytes
) -> None:
    parts = (_file(small_face, filename), _field("n", b"1"), _field("models", b"vae"))
    assert _form(simulated, *parts).status_code == 200


def test_a_prompt_of_latin_letters_is_read(simulated: httpx.Client, small_face: bytes) -> None:
    steps = _field("num_inference_steps", b"5")
    response = _form(
        simulated, _file(small_face), _field("prompt", b"caf\xe9"), _field("n", b"1"), steps
    )
    assert response.json()["parameters"]["prompt"] == "café"


def test_forms_that_are_refused_say_what_is_wrong(
    simulated: httpx.Client, small_face: bytes
) -> None:
    file = _file(small_face)
    nested = b'name="image"\r\nContent-Type: multipart/mixed; boundary=c\r\n\r\n--c\r\n\r\nx--c--'
    cases = [
        ((file, file), "sent 2 times", 400),
        ((file, _field("image", b"text")), "sent 2 times", 400),
        ((file, _field("n", b"1"), _field("n", b"1")), "n is given twice", 400),
        ((file, *[_field(f"f{number}", b"1") for number in range(65)]), "too many parts", 400),
        ((_field("image", bytes(70_000)),), "as a file", 400),
        ((file, b'name="prompt"; filename="p"\r\n\r\nx'), "send it as a field", 400),
        ((file, b"\r\n\r\nx"), "each part has a name", 400),
        ((_file(small_face, b"x" * 10_000),), "cannot be read", 400),
        ((nested,), "must be a file", 400),
        ((), "must be a file", 400),
    ]
    for parts, words, status in cases:
        assert words in _refusal(_form(simulated, *parts), status)["message"]
    for kind in ("", "; boundary=", "; boundary=" + "c" * 3000, "; boundary=c"):
        assert "boundary" in _refusal(_form(simulated, file, kind=kind))["message"]
    utf_7 = _form(simulated, file, kind="; boundary=b; charset=utf-7")
    assert "UTF-8" in _refusal(utf_7, 415)["message"]


def test_a_form_that_was_cut_short_is_not_read_in_part(
    simulated: httpx.Client, small_face: bytes
) -> None:
    body = b"--b\r\nContent-Disposition: form-data; " + _file(small_face)
    body += b"\r\n--b\r\nContent-Disposition: form-data; " + _field("seed", b"1234567")
    headers = {"content-type": "multipart/form-data; boundary=b"}
    response = simulated.post("/v1/pairs", content=body[:-3], headers=headers)
    assert "closing boundary" in _refusal(response)["message"]


def test_a_compressed_body_is_refused(simulated: httpx.Client, encoded: str) -> None:
    body = gzip.compress(json.dumps({"image": encoded}).encode())
    headers = {**JSON, "content-encoding": "gzip"}
    response = simulated.post("/v1/pairs", content=body, headers=headers)
    assert "uncompressed" in _refusal(response, 415)["message"]


def test_a_body_in_chunks_is_read(simulated: httpx.Client, small_face: bytes) -> None:
    request = simulated.build_request(
        "POST", "/v1/pairs", files={"image": small_face}, data={"n": 1, "models": "vae"}
    )
    whole = request.read()
    pieces = (whole[start : start + 777] for start in range(0, len(whole), 777))
    headers = {"content-type": request.headers["content-type"]}
    response = simulated.post("/v1/pairs", content=pieces, headers=headers)
    assert response.status_code == 200


def test_what_was_refused_leaves_no_trace(simulated: httpx.Client, small_face: bytes) -> None:
    assert post_pairs(simulated, small_face, n=1).status_code == 200


def test_fields_that_are_echoed_may_not_be_nested_without_end(
    simulated: httpx.Client, small_face: bytes
) -> None:
    deep: Any = []
    for _ in range(300):
        deep = [deep]
    picture = base64.b64encode(small_face).decode()
    body = {"init_images": [picture], "force_task_id": deep, "steps": 10}
    response = simulated.post("/sdapi/v1/img2img", json=body)
    assert response.status_code == 400
    assert "nested" in response.json()["error"]["message"]
