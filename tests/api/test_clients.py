"""Other services' clients, unmodified: OpenAI's SDK, Hugging Face's client, A1111's payload."""

import base64
import json
from io import BytesIO
from typing import Any

import httpx
import numpy as np
import openai
import pytest
from huggingface_hub import InferenceClient
from huggingface_hub.errors import HfHubHTTPError
from PIL import Image

from tests.support.services import post_pairs

pytestmark = pytest.mark.heavy


@pytest.fixture(scope="module")
def sdk(demo: httpx.Client) -> openai.OpenAI:
    """Return OpenAI's client of the demo."""
    url = str(demo.base_url.join("v1"))
    return openai.OpenAI(base_url=url, api_key="unused", max_retries=0)


def _picture(b64_json: str) -> np.ndarray:
    image = Image.open(BytesIO(base64.b64decode(b64_json)))
    return np.asarray(image.convert("RGB")).astype(int)


@pytest.mark.filterwarnings("ignore:deprecated:DeprecationWarning")
def test_openai_variations_are_the_vae_of_a_pair(
    sdk: openai.OpenAI, demo: httpx.Client, face: bytes
) -> None:
    answer = sdk.images.create_variation(
        image=("face.png", face),
        n=3,
        response_format="b64_json",
        user="me",
        extra_body={"seed": 7, "diversity_factor": 5.0},
    )
    assert isinstance(answer, openai.types.ImagesResponse)
    assert answer.data is not None
    pairs = post_pairs(demo, face, n=3, seed=7, diversity_factor=5.0, models="vae").json()["pairs"]
    assert [image.b64_json for image in answer.data] == [pair["vae"]["b64_json"] for pair in pairs]
    one = sdk.images.create_variation(image=face, model="stable-diffusion-v1-5")
    assert one.data is not None
    assert len(one.data) == 1  # the dialect's default
    assert one.model == "demo-diffusion"  # type: ignore[attr-defined]
    assert one.size == "128x128"


def test_openai_edits_are_the_diffusion_of_a_pair(
    sdk: openai.OpenAI, demo: httpx.Client, face: bytes
) -> None:
    answer = sdk.images.edit(
        image=[("face.png", face)],
        prompt="a person with red hair",
        model="demo-diffusion",
        n=2,
        size="auto",
        quality="auto",
        background="auto",
        output_format="webp",
        extra_body={"seeds": [9, 3], "strength": 0.5},
    )
    assert isinstance(answer, openai.types.ImagesResponse)
    assert answer.data is not None
    assert answer.output_format == "webp"
    expected = post_pairs(
        demo,
        face,
        seeds=[9, 3],
        prompt="a person with red hair",
        strength=0.5,
        models="stable_diffusion",
        output_format="webp",
    ).json()["pairs"]
    assert [image.b64_json for image in answer.data] == [
        pair["stable_diffusion"]["b64_json"] for pair in expected
    ]


def test_openai_edits_take_json_with_a_data_url(sdk: openai.OpenAI, face: bytes) -> None:
    url = "data:image/png;base64," + base64.b64encode(face).decode()
    body = {"images": [{"image_url": url}], "prompt": "red hair", "n": 1}
    answer = sdk.post("/images/edits", cast_to=openai.types.ImagesResponse, body=body)
    assert answer.data is not None
    assert _picture(answer.data[0].b64_json or "").shape == (128, 128, 3)
    body = {"images": [{"image_url": "https://example.com/face.png"}], "prompt": "x"}
    with pytest.raises(openai.BadRequestError, match="never fetched"):
        sdk.post("/images/edits", cast_to=openai.types.ImagesResponse, body=body)


def test_openai_streams_edits_in_the_sdks_own_events(sdk: openai.OpenAI, face: bytes) -> None:
    stream = sdk.images.edit(
        image=face, prompt="red hair", n=3, stream=True, partial_images=2, extra_body={"seed": 5}
    )
    events = list(stream)
    assert [type(event) for event in events] == [openai.types.ImageEditCompletedEvent] * 3
    assert [event.seed for event in events] == [5, 6, 7]  # type: ignore[union-attr]
    assert {_picture(event.b64_json).shape for event in events} == {(128, 128, 3)}
    assert events[0].size == "128x128"


def test_openai_raises_the_right_exceptions(sdk: openai.OpenAI, face: bytes) -> None:
    refused: list[dict[str, Any]] = [
        {"size": "1024x1024"},
        {"response_format": "url"},
        {"model": "dall-e-2"},
        {"model": "celeba-vae"},
        {"n": 11},
        {"quality": "high"},
        {"mask": ("mask.png", face)},
        {"extra_body": {"strenght": 0.5}},
        {"extra_body": {"seed": -1}},
    ]
    for arguments in refused:
        with pytest.raises(openai.BadRequestError) as caught:
            sdk.images.edit(image=face, prompt="x", **arguments)
        name = next(iter(arguments.get("extra_body", arguments)))
        assert caught.value.param == name
        assert caught.value.type == "invalid_request_error"
        assert name in str(caught.value)
        assert caught.value.request_id
    with pytest.raises(openai.BadRequestError, match="cannot be decoded"):
        sdk.images.edit(image=b"no picture", prompt="x")
    with pytest.raises(openai.APIStatusError) as oversized:
        sdk.images.edit(image=bytes(21_000_000), prompt="x")
    assert oversized.value.status_code == 413
    with pytest.raises(openai.NotFoundError):
        sdk.images.generate(prompt="x")
    with pytest.raises(openai.APIError, match="not ready") as late:
        list(sdk.images.edit(image=face, prompt="x", stream=True, extra_body={"timeout_s": 0.1}))
    assert late.value.code == "deadline_exceeded"


def test_openai_lists_the_models(sdk: openai.OpenAI) -> None:
    assert [model.id for model in sdk.models.list()] == ["demo-vae", "demo-diffusion"]


def test_hugging_face_returns_a_picture(demo: httpx.Client, face: bytes) -> None:
    client = InferenceClient(model=str(demo.base_url.join("hf/image-to-image")), token="unused")
    image = client.image_to_image(
        face, prompt="red hair", negative_prompt="hat", guidance_scale=2, seed=7, strength=0.6
    )
    pairs = post_pairs(
        demo,
        face,
        n=1,
        seed=7,
        prompt="red hair",
        negative_prompt="hat",
        guidance_scale=2,
        strength=0.6,
    ).json()["pairs"]
    expected = _picture(pairs[0]["stable_diffusion"]["b64_json"])
    assert np.array_equal(np.asarray(image.convert("RGB")), expected)
    assert client.image_to_image(face).size == (128, 128)  # without parameters: the bare bytes
    for parameters in ({"target_size": {"width": 512, "height": 512}}, {"n": 2}, {"colour": 1}):
        with pytest.raises(HfHubHTTPError) as caught:
            client.image_to_image(face, **parameters)  # type: ignore[arg-type]
        assert caught.value.response.status_code == 400


def _payload(face: bytes, **changes: Any) -> dict[str, Any]:
    """Return all fields of A1111's img2img API, as its web front end sends them."""
    return {
        "prompt": "a portrait, red hair",
        "negative_prompt": "glasses",
        "styles": [],
        "seed": 11,
        "subseed": -1,
        "subseed_strength": 0,
        "seed_resize_from_h": -1,
        "seed_resize_from_w": -1,
        "sampler_name": "DPM++ 2M",
        "scheduler": "Automatic",
        "batch_size": 2,
        "n_iter": 2,
        "steps": 20,
        "cfg_scale": 2,
        "width": 512,
        "height": 512,
        "restore_faces": False,
        "tiling": False,
        "do_not_save_samples": False,
        "do_not_save_grid": False,
        "eta": 0,
        "denoising_strength": 0.75,
        "s_min_uncond": 0,
        "s_churn": 0,
        "s_tmax": 0,
        "s_tmin": 0,
        "s_noise": 1,
        "override_settings": {},
        "override_settings_restore_afterwards": True,
        "refiner_checkpoint": None,
        "refiner_switch_at": None,
        "disable_extra_networks": False,
        "firstpass_image": None,
        "comments": {},
        "init_images": ["data:image/png;base64," + base64.b64encode(face).decode()],
        "resize_mode": 0,
        "image_cfg_scale": 1.5,
        "mask": None,
        "mask_blur_x": 4,
        "mask_blur_y": 4,
        "mask_blur": 0,
        "mask_round": True,
        "inpainting_fill": 0,
        "inpaint_full_res": True,
        "inpaint_full_res_padding": 0,
        "inpainting_mask_invert": 0,
        "initial_noise_multiplier": 1,
        "latent_mask": None,
        "force_task_id": "task(1)",
        "sampler_index": "Euler",
        "include_init_images": False,
        "script_name": None,
        "script_args": [],
        "send_images": True,
        "save_images": False,
        "alwayson_scripts": {},
        "infotext": None,
        **changes,
    }


def test_a1111_front_ends_get_images_and_info(demo: httpx.Client, face: bytes) -> None:
    response = demo.post("/sdapi/v1/img2img", json=_payload(face))
    assert response.status_code == 200, response.text
    answer = response.json()
    info = json.loads(answer["info"])
    assert info["all_seeds"] == [11, 12, 13, 14]
    assert info["width"] == 128  # what was made, not what was asked for by default
    assert "init_images" not in answer["parameters"]
    assert answer["parameters"]["denoising_strength"] == 0.75
    expected = post_pairs(
        demo,
        face,
        n=4,
        seed=11,
        prompt="a portrait, red hair",
        negative_prompt="glasses",
        num_inference_steps=20,
        guidance_scale=2,
        strength=0.75,
        models="stable_diffusion",
    ).json()["pairs"]
    assert answer["images"] == [pair["stable_diffusion"]["b64_json"] for pair in expected]
    for text, seed in zip(info["infotexts"], info["all_seeds"], strict=True):
        assert text.startswith("a portrait, red hair\nNegative prompt: glasses\nSteps: 20, ")
        assert f"Seed: {seed}, " in text
    chunk = Image.open(BytesIO(base64.b64decode(answer["images"][0]))).info["parameters"]
    assert chunk == info["infotexts"][0]


def test_a1111_minus_one_is_random_and_what_it_cannot_do_is_named(
    demo: httpx.Client, face: bytes
) -> None:
    small = {"seed": -1, "batch_size": 1, "n_iter": 1, "steps": 2}
    seeds = set()
    for _ in range(2):
        answer = demo.post("/sdapi/v1/img2img", json=_payload(face, **small)).json()
        seeds.update(json.loads(answer["info"])["all_seeds"])
    assert len(seeds) == 2
    refused: list[dict[str, Any]] = [
        {"mask": "iVBORw0KGgo="},
        {"alwayson_scripts": {"controlnet": {"args": []}}},
        {"width": 768},
        {"sampler_name": "Euler a"},
        {"restore_faces": True},
        {"batch_size": 11},
        {"init_images": []},
        {"init_images": ["http://127.0.0.1/face.png"]},
        {"seed": 2**32},
        {"colour": 1},
        {"send_images": False},
    ]
    for change in refused:
        response = demo.post("/sdapi/v1/img2img", json=_payload(face, **{**small, **change}))
        assert response.status_code == 400, change
        assert response.json()["error"]["param"] == next(iter(change))
    assert demo.post("/sdapi/v1/img2img", files={"init_images": face}).status_code == 415
