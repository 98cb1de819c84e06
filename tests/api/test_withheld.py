"""An image that a safety checker withholds, in every format; a model that runs out of memory."""

import base64
import io
import json
import zipfile
from collections.abc import Iterator
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image

from tests.broken_models import FILTERED_SEED
from tests.support.in_process import answering
from tests.support.services import changed_config, post_pairs, read_events

FIRST = FILTERED_SEED - 3
FIELDS = {"seed": FIRST, "n": 10}


@pytest.fixture(scope="module")
def filtering(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """Return a simulated service whose safety checker flags the image at index 3."""

    def change(application: dict[str, Any]) -> None:
        application["args"]["stable_diffusion"] = {
            "factory": "tests.broken_models:load_filtering_diffusion"
        }

    config = changed_config(tmp_path_factory.mktemp("filter"), "simulated.yaml", change)
    with answering(config, num_gpus=1) as client:
        yield client


def _assert_only_three(statuses: list[str], files: list[str | None]) -> None:
    assert statuses == ["ok"] * 3 + ["filtered"] + ["ok"] * 6
    assert [file is None for file in files] == [index == 3 for index in range(10)]
    assert len(set(files)) == 10


def test_json_keeps_its_place_and_the_others(filtering: httpx.Client, face: bytes) -> None:
    answer = post_pairs(filtering, face, **FIELDS).json()
    images = [pair["stable_diffusion"] for pair in answer["pairs"]]
    _assert_only_three([one["status"] for one in images], [one.get("b64_json") for one in images])
    assert [pair["vae"]["status"] for pair in answer["pairs"]] == ["ok"] * 10
    nine = post_pairs(
        filtering, face, seeds=[FIRST + k for k in range(10) if k != 3], models="stable_diffusion"
    ).json()
    assert answer["sets"]["stable_diffusion"]["metrics"] == pytest.approx(
        nine["sets"]["stable_diffusion"]["metrics"]
    )  # what is not shown does not count
    alone = post_pairs(filtering, face, seeds=[FILTERED_SEED]).json()
    assert alone["pairs"][0]["stable_diffusion"]["status"] == "filtered"
    assert alone["sets"]["stable_diffusion"]["metrics"] is None


def test_stream_zip_and_sheet(filtering: httpx.Client, face: bytes) -> None:
    with filtering.stream(
        "POST",
        "/v1/pairs",
        files={"image": face},
        data=FIELDS,
        headers={"accept": "text/event-stream"},
    ) as response:
        images = [
            data
            for name, data in read_events(response.iter_lines())
            if name == "image" and data["role"] == "stable_diffusion"
        ]
    _assert_only_three([one["status"] for one in images], [one["b64_json"] for one in images])
    archive = filtering.post(
        "/v1/pairs", files={"image": face}, data=FIELDS, headers={"accept": "application/zip"}
    )
    with zipfile.ZipFile(io.BytesIO(archive.content)) as opened:
        manifest = json.loads(opened.read("manifest.json"))
        listed = [pair["stable_diffusion"] for pair in manifest["pairs"]]
        _assert_only_three([one["status"] for one in listed], [one.get("file") for one in listed])
        assert len(opened.namelist()) == 19 + 2
    sheet = filtering.post(
        "/v1/pairs", files={"image": face}, data=FIELDS, headers={"accept": "image/png"}
    )
    assert Image.open(io.BytesIO(sheet.content)).width > 500


def test_the_other_dialects(filtering: httpx.Client, face: bytes) -> None:
    fields = {**FIELDS, "prompt": "x"}
    edits = filtering.post("/v1/images/edits", files={"image": face}, data=fields).json()["data"]
    _assert_only_three([one["status"] for one in edits], [one["b64_json"] for one in edits])
    with filtering.stream(
        "POST", "/v1/images/edits", files={"image": face}, data={**fields, "stream": "true"}
    ) as response:
        events = [data for name, data in read_events(response.iter_lines()) if data]
    _assert_only_three([one["status"] for one in events], [one["b64_json"] for one in events])
    b64 = base64.b64encode(face).decode()
    body = {"init_images": [b64], "seed": FIRST, "batch_size": 10}
    answer = filtering.post("/sdapi/v1/img2img", json=body).json()
    assert json.loads(answer["info"])["filtered"] == [3]
    assert len(answer["images"]) == 10
    black = np.asarray(Image.open(io.BytesIO(base64.b64decode(answer["images"][3]))))
    assert black.max() == 0
    task = {"inputs": b64, "parameters": {"seed": FILTERED_SEED}}
    refused = filtering.post("/hf/image-to-image", json=task)
    assert refused.status_code == 400
    assert refused.json()["error"]["code"] == "content_filtered"
    task["parameters"] = {"seed": FIRST}
    assert filtering.post("/hf/image-to-image", json=task).status_code == 200


def _pixels(answer: dict[str, Any]) -> list[bytes]:
    """Return the pixels of the diffusion images; their files name all seeds of their set."""
    files = [base64.b64decode(pair["stable_diffusion"]["b64_json"]) for pair in answer["pairs"]]
    return [Image.open(io.BytesIO(file)).tobytes() for file in files]


@pytest.mark.parametrize("name", ["safety_checker", "options"])
def test_no_request_switches_it_off(filtering: httpx.Client, face: bytes, name: str) -> None:
    response = post_pairs(filtering, face, **FIELDS, **{name: "false"})
    assert response.status_code == 400
    assert response.json()["error"]["param"] == name


@pytest.mark.slow
def test_a_set_too_large_for_memory_is_made_in_halves_or_refused_and_the_replica_lives_on(
    face: bytes, tmp_path_factory: pytest.TempPathFactory
) -> None:
    def change(application: dict[str, Any]) -> None:
        application["args"]["stable_diffusion"] = {
            "factory": "tests.broken_models:load_exhausted_diffusion"
        }

    config = changed_config(tmp_path_factory.mktemp("memory"), "simulated.yaml", change)
    with answering(config, num_gpus=1) as client:
        before = post_pairs(client, face, n=2, seed=5, models="stable_diffusion")
        halved = post_pairs(client, face, n=4, seed=5, models="stable_diffusion")
        response = post_pairs(client, face, n=5)
        after = post_pairs(client, face, n=2, models="stable_diffusion")
    assert halved.status_code == 200, halved.text
    made = halved.json()
    assert "two halves" in " ".join(made["sets"]["stable_diffusion"]["notes"])
    assert [pair["seed"] for pair in made["pairs"]] == [5, 6, 7, 8]
    assert _pixels(made)[:2] == _pixels(before.json())
    assert len(set(_pixels(made))) == 4
    assert response.status_code == 503
    assert response.json()["error"]["code"] == "out_of_memory"
    assert int(response.headers["retry-after"]) >= 1
    assert after.status_code == 200
    replicas = [one.json()["sets"]["stable_diffusion"]["replicas"] for one in (before, after)]
    assert replicas[0] == replicas[1]
