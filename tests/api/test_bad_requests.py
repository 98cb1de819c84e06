"""What cannot be served gets one envelope with one sentence, and the next request works."""

import base64
import struct
import zlib
from io import BytesIO

import httpx
import pytest
from PIL import Image

from tests.support.services import post_pairs


def _envelope(response: httpx.Response, status: int, param: str | None) -> str:
    assert response.status_code == status, response.text
    error = response.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert error["param"] == param
    assert "Traceback" not in response.text
    assert response.headers["x-request-id"]
    return str(error["message"])


def _png(width: int, height: int) -> bytes:
    buffer = BytesIO()
    Image.new("RGB", (width, height)).save(buffer, "PNG")
    return buffer.getvalue()


def _huge_header() -> bytes:
    body = b"IHDR" + struct.pack(">IIBBBBB", 20000, 20000, 8, 2, 0, 0, 0)
    header = struct.pack(">I", 13) + body + struct.pack(">I", zlib.crc32(body))
    return _png(64, 64)[:8] + header + _png(64, 64)[33:]


def _truncated_jpeg() -> bytes:
    buffer = BytesIO()
    Image.effect_noise((300, 300), 80).save(buffer, "JPEG")
    return buffer.getvalue()[:5000]


PICTURES = {
    "an empty file": b"",
    "a text file": b"hello, I am a text file",
    "a truncated JPEG": _truncated_jpeg(),
    "one pixel": _png(1, 1),
    "a header of 20000x20000": _huge_header(),
    "a very long strip": _png(1000, 100),
}


@pytest.mark.parametrize("name", PICTURES)
def test_pictures_that_cannot_be_used(simulated: httpx.Client, face: bytes, name: str) -> None:
    _envelope(post_pairs(simulated, PICTURES[name], n=1), 400, "image")
    assert post_pairs(simulated, face, n=1).status_code == 200


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"n": "0"}, "n"),
        ({"n": "11"}, "n"),
        ({"n": "two"}, "n"),
        ({"colour": "red"}, "colour"),
        ({"strength": "nan"}, "strength"),
        ({"strength": "inf"}, "strength"),
        ({"strength": "0"}, "strength"),
        ({"strength": "0.01", "num_inference_steps": "50"}, "strength"),
        ({"guidance_scale": "31"}, "guidance_scale"),
        ({"diversity_factor": "10.5"}, "diversity_factor"),
        ({"seed": "-1"}, "seed"),
        ({"seed": str(2**32)}, "seed"),
        ({"seed": "9" * 5000}, "seed"),
        ({"n": ["1", "2"]}, "n"),
        ({"models": "dalle"}, "models"),
        ({"crop": "1,2"}, "crop"),
        ({"crop": "0,0,99999"}, "crop"),
        ({"output_format": "gif"}, "output_format"),
        ({"timeout_s": "0"}, "timeout_s"),
        ({"seeds": ["1", "2"], "n": "3"}, None),
        ({"seeds": ["1"], "seed": "3"}, None),
    ],
)
def test_fields_that_cannot_be_used(
    simulated: httpx.Client, face: bytes, fields: dict, param: str | None
) -> None:
    message = _envelope(post_pairs(simulated, face, **fields), 400, param)
    if param is not None:
        assert param in message
    assert post_pairs(simulated, face, n=1).status_code == 200


def test_a_strength_that_leaves_no_step_names_both(simulated: httpx.Client, face: bytes) -> None:
    response = post_pairs(simulated, face, strength="0.02", num_inference_steps="20")
    message = _envelope(response, 400, "strength")
    assert "num_inference_steps" in message


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"[" * 100_000,
        b'{"n": 1}',
        b'{"image": 5}',
        b'{"image": "not base64!"}',
        b'{"image": "http://127.0.0.1/face.png"}',
    ],
)
def test_json_bodies_that_cannot_be_read(simulated: httpx.Client, body: bytes) -> None:
    headers = {"content-type": "application/json"}
    response = simulated.post("/v1/pairs", content=body, headers=headers)
    assert response.status_code == 400
    assert response.json()["error"]["message"]


def test_json_is_taken_strictly(simulated: httpx.Client, face: bytes) -> None:
    image = base64.b64encode(face).decode()
    _envelope(simulated.post("/v1/pairs", json={"image": image, "n": "1"}), 400, "n")
    raw = b'{"strength": NaN, "image": "' + image.encode() + b'"}'
    headers = {"content-type": "application/json"}
    _envelope(simulated.post("/v1/pairs", content=raw, headers=headers), 400, "strength")


def test_an_empty_request_and_other_media(simulated: httpx.Client, face: bytes) -> None:
    _envelope(simulated.post("/v1/pairs"), 400, "image")
    _envelope(simulated.post("/v1/pairs", content=b"x"), 415, None)
    _envelope(simulated.post("/v1/pairs", data={"n": "1"}), 415, None)
    without = {"content-type": "multipart/form-data"}
    _envelope(simulated.post("/v1/pairs", content=b"x", headers=without), 400, None)
    image = {"image": (None, "just text")}
    _envelope(simulated.post("/v1/pairs", files=image), 400, "image")


def test_routes_methods_and_accept(simulated: httpx.Client, face: bytes) -> None:
    _envelope(simulated.get("/v1/nothing"), 404, None)
    _envelope(simulated.get("/v1/pairs"), 405, None)
    response = simulated.post(
        "/v1/pairs", files={"image": face}, data={"n": "1"}, headers={"accept": "text/html"}
    )
    _envelope(response, 406, None)


def test_a_body_over_the_limit(simulated: httpx.Client) -> None:
    _envelope(post_pairs(simulated, bytes(21_000_000)), 413, None)


def test_a_deadline_that_passes(simulated: httpx.Client, face: bytes) -> None:
    response = post_pairs(simulated, face, timeout_s="0.05")
    _envelope(response, 504, None)
    assert post_pairs(simulated, face, n=1).status_code == 200
