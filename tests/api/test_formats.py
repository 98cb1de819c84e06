"""One request in every format, and every image tells where it comes from."""

import base64
import io
import json
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image

from tests.support.services import ROOT, post_pairs, read_events

pytestmark = pytest.mark.heavy

FORMATS = ("png", "webp", "jpeg")
_PNG_AND_SLOWLY_THE_OTHERS = [
    pytest.param(name, marks=() if name == "png" else pytest.mark.slow) for name in FORMATS
]
FIELDS: dict[str, Any] = {"seed": 7, "n": 2, "prompt": "naïve, “red” hair 😀", "strength": 0.5}


def _ask(client: httpx.Client, face: bytes, accept: str, **fields: Any) -> httpx.Response:
    return client.post("/v1/pairs", files={"image": face}, data=fields, headers={"accept": accept})


def test_a_zip_holds_the_images_of_the_json_answer(demo: httpx.Client, face: bytes) -> None:
    answer = post_pairs(demo, face, **FIELDS).json()
    response = _ask(demo, face, "application/zip", **FIELDS)
    assert response.headers["content-type"] == "application/zip"
    with zipfile.ZipFile(io.BytesIO(response.content)) as archive:
        assert archive.testzip() is None
        manifest = json.loads(archive.read("manifest.json"))
        for pair, listed in zip(answer["pairs"], manifest["pairs"], strict=True):
            for role in ("vae", "stable_diffusion"):
                assert listed[role]["file"] == f"{role}/0{pair['index']}-seed-{pair['seed']}.png"
                file = archive.read(listed[role]["file"])
                assert base64.b64encode(file).decode() == pair[role]["b64_json"]
        assert manifest["parameters"] == answer["parameters"]
        assert {entry.date_time[0] for entry in archive.infolist()} == {1980}
        assert len(archive.namelist()) == 2 * 2 + 2
        sheet = Image.open(io.BytesIO(archive.read("contact-sheet.png")))
        assert sheet.width > 500


def test_a_contact_sheet_shows_the_images(demo: httpx.Client, face: bytes) -> None:
    response = _ask(demo, face, "image/png", **FIELDS)
    assert response.headers["content-type"] == "image/png"
    sheet = np.asarray(Image.open(io.BytesIO(response.content)).convert("RGB")).astype(int)
    pair = post_pairs(demo, face, **FIELDS).json()["pairs"][0]
    for role in ("vae", "stable_diffusion"):
        image = Image.open(io.BytesIO(base64.b64decode(pair[role]["b64_json"]))).convert("RGB")
        tile = np.asarray(image.resize((192, 192), Image.Resampling.LANCZOS)).astype(int)
        assert _stands_in(sheet, tile), role


def _stands_in(sheet: np.ndarray, tile: np.ndarray) -> bool:
    # The first row of the tile gives few candidates; the whole tile decides.
    row = tile[0]
    width = sheet.shape[1] - tile.shape[1] + 1
    for top in range(sheet.shape[0] - tile.shape[0] + 1):
        for left in range(width):
            if np.abs(sheet[top, left : left + 4] - row[:4]).max() > 1:
                continue
            part = sheet[top : top + tile.shape[0], left : left + tile.shape[1]]
            if np.abs(part - tile).max() <= 1:
                return True
    return False


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        ("", "application/json"),
        ("*/*", "application/json"),
        ("text/html, application/zip;q=0.5", "application/zip"),
        ("application/json;q=0.2, image/png;q=0.9", "image/png"),
        ("image/*", "image/png"),
        ("application/*;q=0.5, application/json;q=0", "application/zip"),
    ],
)
def test_accept_is_negotiated(demo: httpx.Client, face: bytes, accept: str, expected: str) -> None:
    response = _ask(demo, face, accept, n=1, models="vae")
    assert response.headers["content-type"].startswith(expected)


@pytest.mark.parametrize("accept", ["text/html", "application/json;q=0", "image/webp"])
def test_what_is_not_made_is_406(demo: httpx.Client, face: bytes, accept: str) -> None:
    response = _ask(demo, face, accept, n=1, models="vae")
    assert response.status_code == 406
    assert response.json()["error"]["code"] == "not_acceptable"


def _images(client: httpx.Client, face: bytes, output_format: str) -> Iterator[tuple[str, bytes]]:
    """Yield (route, file) of an image out of every route that makes some."""
    common = {"prompt": FIELDS["prompt"], "strength": 0.5, "output_format": output_format}
    for pair in post_pairs(client, face, seed=7, n=2, **common).json()["pairs"]:
        for role in ("vae", "stable_diffusion"):
            yield f"/v1/pairs {role}", base64.b64decode(pair[role]["b64_json"])
    archive = _ask(client, face, "application/zip", seed=7, n=1, **common).content
    with zipfile.ZipFile(io.BytesIO(archive)) as opened:
        for name in opened.namelist():
            if name.startswith(("vae", "stable_diffusion")):
                yield f"zip {name}", opened.read(name)
    with client.stream(
        "POST",
        "/v1/pairs",
        files={"image": face},
        data={"seed": "7", "n": "1", **common},
        headers={"accept": "text/event-stream"},
    ) as response:
        for name, data in read_events(response.iter_lines()):
            if name == "image":
                yield f"stream {data['role']}", base64.b64decode(data["b64_json"])
    fields = {"seed": "7", "n": "1", "diversity_factors": "3", "output_format": output_format}
    sweep = client.post("/v1/sweep", files={"image": face}, data=fields).json()
    yield "/v1/sweep", base64.b64decode(sweep["sets"][0]["images"][0]["b64_json"])
    for route in ("edits", "variations"):
        images = client.post(
            f"/v1/images/{route}", files={"image": face}, data={"seed": "7", **common}
        )
        yield route, base64.b64decode(images.json()["data"][0]["b64_json"])
    body = {
        "inputs": base64.b64encode(face).decode(),
        "parameters": {"seed": 7, "prompt": FIELDS["prompt"], "strength": 0.5},
    }
    accept = {"accept": f"image/{output_format}"}
    yield "/hf", client.post("/hf/image-to-image", json=body, headers=accept).content
    if output_format == "png":
        a1111 = {
            "init_images": [body["inputs"]],
            "seed": 7,
            "prompt": FIELDS["prompt"],
            "denoising_strength": 0.5,
        }
        answer = client.post("/sdapi/v1/img2img", json=a1111).json()
        yield "/sdapi", base64.b64decode(answer["images"][0])


@pytest.mark.parametrize("output_format", _PNG_AND_SLOWLY_THE_OTHERS)
def test_an_image_of_every_route_says_how_it_was_made(
    demo: httpx.Client, face: bytes, output_format: str
) -> None:
    cards = {card["id"]: card for card in demo.get("/v1/models").json()["data"]}
    answer = post_pairs(demo, face, **FIELDS).json()
    routes = 0
    for route, file in _images(demo, face, output_format):
        routes += 1
        assert Image.open(io.BytesIO(file)).format == output_format.upper()
        response = demo.post("/v1/inspect", files={"image": file})
        assert response.status_code == 200, (route, response.text)
        facts = response.json()
        card = cards[facts["model"]]
        assert facts["revision"] == card["revision"]
        assert facts["seed"] in (7, 8), route
        assert facts["seed"] in facts["parameters"]["seeds"]
        assert facts["input"] == answer["input"]
        assert facts["software"].startswith("Twinset ")
        assert facts["precision"] == card["precision"]
        assert facts["scheduler"] == card["scheduler"]
        if card["role"] == "vae":
            factor = 3.0 if route == "/v1/sweep" else 7.0
            assert facts["parameters"]["diversity_factor"] == factor
            assert facts["unet_calls"] == 0
        else:
            for name in ("prompt", "strength", "negative_prompt", "guidance_scale"):
                assert facts["parameters"][name] == answer["parameters"][name], (route, name)
            assert facts["unet_calls"] == answer["sets"]["stable_diffusion"]["unet_calls"]
    assert routes >= 12


def test_the_sheet_says_how_it_was_made(demo: httpx.Client, face: bytes) -> None:
    sheet = _ask(demo, face, "image/png", **FIELDS).content
    facts = demo.post("/v1/inspect", json={"image": base64.b64encode(sheet).decode()}).json()
    answer = post_pairs(demo, face, **FIELDS).json()
    assert facts["parameters"] == answer["parameters"]
    assert facts["model"] == "demo-vae + demo-diffusion"
    assert facts["input"] == answer["input"]


def test_inspect_refuses_what_says_nothing(demo: httpx.Client, face: bytes) -> None:
    for picture, sentence in ((face, "nothing of Twinset"), (b"text", "cannot be opened")):
        response = demo.post("/v1/inspect", files={"image": picture})
        assert response.status_code == 400
        assert sentence in response.json()["error"]["message"]
    unknown = demo.post("/v1/inspect", files={"image": face}, data={"n": "1"})
    assert unknown.json()["error"]["param"] == "n"


def test_nothing_of_the_inputs_exif_reaches_an_image(demo: httpx.Client, face: bytes) -> None:
    exif = Image.Exif()
    exif[0x010E] = "SECRET-DESCRIPTION"
    exif[0x9286] = "SECRET-COMMENT"
    buffer = io.BytesIO()
    Image.open(io.BytesIO(face)).convert("RGB").save(buffer, "JPEG", exif=exif)
    for output_format in FORMATS:
        answer = post_pairs(demo, buffer.getvalue(), n=1, output_format=output_format).json()
        for role in ("vae", "stable_diffusion"):
            file = base64.b64decode(answer["pairs"][0][role]["b64_json"])
            assert b"SECRET" not in file


@pytest.mark.parametrize("output_format", _PNG_AND_SLOWLY_THE_OTHERS)
def test_replay_gives_the_same_pixels(
    demo: httpx.Client, face: bytes, tmp_path: Path, output_format: str
) -> None:
    answer = post_pairs(
        demo, face, n=6, seed=40, output_format=output_format, crop="20,10,400"
    ).json()
    (tmp_path / "face.png").write_bytes(face)
    for role in ("vae", "stable_diffusion"):
        image = tmp_path / f"{role}.{output_format}"
        image.write_bytes(base64.b64decode(answer["pairs"][3][role]["b64_json"]))
        done = _replay(demo, image, tmp_path / "face.png")
        assert done.stdout.startswith("the same: every pixel of seed 43"), done.stderr
    other = tmp_path / "other.png"
    Image.open(tmp_path / "face.png").convert("L").save(other)
    refused = _replay(demo, image, other)
    assert refused.returncode == 1
    assert "is not the picture" in refused.stderr


def test_replay_tells_when_it_is_not_the_same(
    demo: httpx.Client, face: bytes, tmp_path: Path
) -> None:
    from models.provenance import encode_with_provenance, read_provenance

    answer = post_pairs(demo, face, n=1, seed=40, models="vae").json()
    file = base64.b64decode(answer["pairs"][0]["vae"]["b64_json"])
    facts = read_provenance(file)
    assert facts is not None
    changed = np.array(Image.open(io.BytesIO(file)))
    changed[0, 0, 0] ^= 64
    (tmp_path / "changed.png").write_bytes(encode_with_provenance(changed, "png", facts))
    (tmp_path / "face.png").write_bytes(face)
    done = _replay(demo, tmp_path / "changed.png", tmp_path / "face.png")
    assert done.returncode == 1
    assert "not the same: pixels differ by up to 64" in done.stderr


def _replay(client: httpx.Client, image: Path, picture: Path) -> "subprocess.CompletedProcess[str]":
    script = ROOT / "examples" / "replay.py"
    url = str(client.base_url).rstrip("/")
    command = [sys.executable, str(script), str(image), str(picture), "--url", url]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)
