"""The paired request on the demo: what comes back, and that it comes back again."""

import base64
import json
import uuid
from io import BytesIO
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image
from skimage import data

from models.pixels import read_square
from models.provenance import read_provenance
from tests.support.in_process import answering
from tests.support.services import ROOT, post_pairs

pytestmark = pytest.mark.heavy

ROLES = {"vae": 150, "stable_diffusion": 128}


def _files(answer: dict[str, Any], role: str) -> list[bytes]:
    return [base64.b64decode(pair[role]["b64_json"]) for pair in answer["pairs"]]


def _pixels(file: bytes) -> np.ndarray:
    return np.asarray(Image.open(BytesIO(file)).convert("RGB")).astype(int)


def test_twenty_images_in_pairs(demo: httpx.Client, face: bytes) -> None:
    response = post_pairs(demo, face, seed=2**32 - 4)
    assert response.status_code == 200, response.text
    assert response.headers["x-request-id"]
    assert response.headers["cache-control"] == "no-store"
    answer = response.json()
    uuid.UUID(answer["id"])
    seeds = [(2**32 - 4 + k) % 2**32 for k in range(10)]
    assert [pair["index"] for pair in answer["pairs"]] == list(range(10))
    assert [pair["seed"] for pair in answer["pairs"]] == seeds
    assert answer["parameters"]["seeds"] == seeds
    for role, side in ROLES.items():
        images = [_pixels(file) for file in _files(answer, role)]
        assert {image.shape for image in images} == {(side, side, 3)}
        assert len({image.tobytes() for image in images}) == 10
        assert answer["sets"][role]["status"] == "ok"
        assert answer["sets"][role]["metrics"]["pairwise_rmse"] > 0.02
    assert answer["sets"]["stable_diffusion"]["encoder_calls"] == 1
    assert answer["sets"]["stable_diffusion"]["unet_calls"] >= 1


def test_every_parameter_stands_resolved_in_the_answer(demo: httpx.Client, face: bytes) -> None:
    defaults = {}
    for card in demo.get("/v1/models").json()["data"]:
        defaults.update(card["defaults"])
    parameters = post_pairs(demo, face, n=1, strength="0.5").json()["parameters"]
    assert parameters["strength"] == 0.5
    for name in ("diversity_factor", "prompt", "guidance_scale", "num_inference_steps"):
        assert parameters[name] == defaults[name]


@pytest.mark.slow
def test_the_same_request_has_the_same_bytes_also_after_a_restart(
    demo: httpx.Client, face: bytes
) -> None:
    first, again = (post_pairs(demo, face, seed=7).json() for _ in range(2))
    with answering(ROOT / "configs" / "demo.yaml") as other:
        restarted = post_pairs(other, face, seed=7).json()
    for role in ROLES:
        assert _files(first, role) == _files(again, role) == _files(restarted, role)


def test_one_seed_alone_gives_the_image_it_had_in_the_set(demo: httpx.Client, face: bytes) -> None:
    ten = post_pairs(demo, face, seed=100).json()
    for index in (0, 6):
        alone = post_pairs(demo, face, seeds=[100 + index]).json()
        for role in ROLES:
            difference = _pixels(_files(alone, role)[0]) - _pixels(_files(ten, role)[index])
            assert np.abs(difference).max() <= 1


def test_seeds_are_taken_in_their_order_in_form_and_json(demo: httpx.Client, face: bytes) -> None:
    form = post_pairs(demo, face, seeds=["9", "3"]).json()
    body = {"image": base64.b64encode(face).decode(), "seeds": [9, 3]}
    plain = demo.post("/v1/pairs", json=body).json()
    body["image"] = "data:image/png;base64," + body["image"]
    data_url = demo.post("/v1/pairs", json=body).json()
    assert [pair["seed"] for pair in form["pairs"]] == [9, 3]
    for role in ROLES:
        assert _files(form, role) == _files(plain, role) == _files(data_url, role)


def test_images_carry_where_they_come_from(demo: httpx.Client, face: bytes) -> None:
    for output_format in ("png", "webp", "jpeg"):
        answer = post_pairs(demo, face, n=1, seed=5, output_format=output_format).json()
        for role in ROLES:
            provenance = read_provenance(_files(answer, role)[0])
            assert provenance is not None
            assert provenance.seed == 5
            assert provenance.model == answer["sets"][role]["model"]
            assert provenance.input["sha256"] == answer["input"]["sha256"]


def test_one_model_may_be_asked_for_alone(demo: httpx.Client, face: bytes) -> None:
    answer = post_pairs(demo, face, n=2, models="vae").json()
    assert list(answer["sets"]) == ["vae"]
    assert all("stable_diffusion" not in pair for pair in answer["pairs"])


def _photograph() -> bytes:
    """Return a person's photograph as cameras store it: large, not square, turned by EXIF."""
    image = Image.fromarray(data.astronaut()).crop((60, 0, 400, 512)).resize((2040, 3072))
    exif = Image.Exif()
    exif[0x0112] = 8
    buffer = BytesIO()
    image.rotate(-90, expand=True).save(buffer, "JPEG", quality=90, exif=exif.tobytes())
    return buffer.getvalue()


def test_a_real_photograph_works_and_stands_upright(demo: httpx.Client) -> None:
    photograph = _photograph()
    response = post_pairs(demo, photograph, n=2, seed=1, diversity_factor="0", crop="600,200,1200")
    assert response.status_code == 200, response.text
    answer = response.json()
    assert (answer["input"]["width"], answer["input"]["height"]) == (2040, 3072)
    crop = {"x": 600, "y": 200, "side": 1200}
    assert answer["input"]["crop"] == crop
    upright = Image.fromarray(data.astronaut()).crop((60, 0, 400, 512)).resize((2040, 3072))
    expected = np.asarray(upright.crop((600, 200, 1800, 1400)).resize((150, 150))).astype(float)
    made = _pixels(_files(answer, "vae")[0]).astype(float)
    similar = np.corrcoef(made.ravel(), expected.ravel())[0, 1]
    turned = np.corrcoef(np.rot90(made).ravel(), expected.ravel())[0, 1]
    assert similar > 0.5
    assert similar > turned + 0.2


def test_what_is_served_says_that_it_is_a_demo(demo: httpx.Client) -> None:
    cards = {card["id"]: card for card in demo.get("/v1/models").json()["data"]}
    assert set(cards) == {"demo-vae", "demo-diffusion"}
    assert all(card["demo"] and "rendered faces" in card["note"] for card in cards.values())


def test_livez_readyz_and_openapi(demo: httpx.Client) -> None:
    assert demo.get("/livez").status_code == 200
    assert demo.get("/readyz").status_code == 200
    paths = json.loads(demo.get("/openapi.json").text)["paths"]
    properties = paths["/v1/pairs"]["post"]["requestBody"]["content"]["multipart/form-data"]
    assert all(
        "description" in field or name == "image"
        for name, field in properties["schema"]["properties"].items()
    )


def test_the_input_is_decoded_as_the_models_layer_decodes_it(
    demo: httpx.Client, face: bytes
) -> None:
    from models.pixels import PictureLimits

    answer = post_pairs(demo, face, n=1).json()
    assert answer["input"]["sha256"] == read_square(face, PictureLimits()).sha256
