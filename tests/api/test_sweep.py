"""The report's experiment: the same face and seeds at growing diversity factors."""

import base64
from io import BytesIO

import httpx
import numpy as np
import pytest
from PIL import Image

from models.set_metrics import descriptor, measure
from tests.support.services import post_pairs


def _sweep(client: httpx.Client, face: bytes, **fields: object) -> httpx.Response:
    return client.post("/v1/sweep", files={"image": face}, data=fields)


def _descriptor(b64_json: str) -> np.ndarray:
    image = Image.open(BytesIO(base64.b64decode(b64_json))).convert("RGB")
    return descriptor(np.asarray(image))


def test_ten_factors_of_ten_images_by_default(demo: httpx.Client, face: bytes) -> None:
    answer = _sweep(demo, face, seed=3).json()
    factors = [made["diversity_factor"] for made in answer["sets"]]
    assert factors == answer["parameters"]["diversity_factors"] == [float(n) for n in range(1, 11)]
    assert answer["parameters"]["seeds"] == list(range(3, 13))
    diversity = [made["metrics"]["pairwise_rmse"] for made in answer["sets"]]
    distance = [made["metrics"]["input_rmse"] for made in answer["sets"]]
    assert diversity == sorted(diversity)
    assert distance == sorted(distance)
    assert diversity[-1] > 5 * diversity[0]
    for made in answer["sets"]:
        assert [image["seed"] for image in made["images"]] == list(range(3, 13))
        assert len({image["b64_json"] for image in made["images"]}) == 10


def test_a_factor_is_the_same_set_as_in_a_pair(demo: httpx.Client, face: bytes) -> None:
    made = _sweep(demo, face, seeds="5,9", diversity_factors="4.5", crop="20,10,400").json()
    pair = post_pairs(
        demo, face, seeds=[5, 9], diversity_factor=4.5, crop="20,10,400", models="vae"
    ).json()
    assert [image["b64_json"] for image in made["sets"][0]["images"]] == [
        one["vae"]["b64_json"] for one in pair["pairs"]
    ]
    assert made["sets"][0]["metrics"] == pair["sets"]["vae"]["metrics"]
    assert made["input"] == pair["input"]


def test_the_metrics_are_those_of_the_images(demo: httpx.Client, face: bytes) -> None:
    answer = _sweep(demo, face, n=4, seed=1, diversity_factors=["0", "7"]).json()
    original = descriptor(np.asarray(Image.open(BytesIO(face)).convert("RGB")))
    for made in answer["sets"]:
        images = np.stack([_descriptor(image["b64_json"]) for image in made["images"]])
        expected = vars(measure(images, original))
        assert made["metrics"] == pytest.approx(expected, rel=1e-6)
    plain = answer["sets"][0]["metrics"]
    assert plain["pairwise_rmse"] == 0  # factor 0 is the reconstruction, ten times


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"diversity_factors": "11"}, "diversity_factors"),
        ({"diversity_factors": "nan"}, "diversity_factors"),
        ({"diversity_factors": ",".join(["1"] * 13)}, "diversity_factors"),
        ({"diversity_factors": ""}, "diversity_factors"),
        ({"strength": "0.5"}, "strength"),
        ({"seeds": "1,2", "n": "3"}, None),
    ],
)
def test_what_cannot_be_swept(
    demo: httpx.Client, face: bytes, fields: dict[str, str], param: str | None
) -> None:
    response = _sweep(demo, face, **fields)
    assert response.status_code == 400, response.text
    assert response.json()["error"]["param"] == param


def test_a_sweep_in_json_and_past_its_deadline(demo: httpx.Client, face: bytes) -> None:
    body = {"image": base64.b64encode(face).decode(), "diversity_factors": [1, 2], "n": 1}
    assert len(demo.post("/v1/sweep", json=body).json()["sets"]) == 2
    late = demo.post("/v1/sweep", json={**body, "timeout_s": 0.001})
    assert late.status_code == 504
    assert late.json()["error"]["code"] == "deadline_exceeded"
