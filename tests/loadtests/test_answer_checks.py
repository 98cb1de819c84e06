"""Each check finds its own fault, and a correct answer has none."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from loadtests.checks import (
    Expected,
    check_answer,
    check_same_pixels,
    check_status_code,
)
from loadtests.pixels import decode_image
from tests.loadtests.conftest import make_answer

Answer = dict[str, Any]
EXPECTED = Expected(n=4, seed=7)


def names(answer: object, expected: Expected = EXPECTED) -> list[str]:
    """Return the names of the checks that an answer fails, each once, in order."""
    failures = check_answer(json.dumps(answer).encode(), expected).failures
    return list(dict.fromkeys(failure.check for failure in failures))


def encode(pixels: np.ndarray[Any, Any], image_format: str = "PNG", **options: int) -> str:
    """Return an array as a base64 image."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format=image_format, **options)
    return base64.b64encode(buffer.getvalue()).decode()


def test_a_correct_answer_has_no_failures(answer: Answer) -> None:
    checked = check_answer(json.dumps(answer).encode(), EXPECTED)
    assert checked.failures == []
    assert [len(pictures) for pictures in checked.pictures.values()] == [4, 4]


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b"\xff", b"[" * 100_000])
def test_what_is_no_object_fails_json(body: bytes) -> None:
    assert [failure.check for failure in check_answer(body, EXPECTED).failures] == ["json"]


@pytest.mark.parametrize("pairs", [None, {}, "pairs", []])
def test_pairs_that_are_no_list_fail_pairs_count(answer: Answer, pairs: object) -> None:
    answer["pairs"] = pairs
    assert names(answer) == ["pairs_count"]


def test_a_dropped_last_pair_fails_pairs_count(answer: Answer) -> None:
    answer["pairs"].pop()
    assert names(answer) == ["pairs_count"]


def test_a_pair_too_many_fails_pairs_count(answer: Answer, picture: Callable[..., str]) -> None:
    image = {"status": "ok", "b64_json": picture("more", 11)}
    answer["pairs"].append({"index": 4, "seed": 11, "vae": image, "stable_diffusion": image})
    assert names(answer) == ["pairs_count"]


def test_a_dropped_first_pair_also_fails_the_alignments(answer: Answer) -> None:
    del answer["pairs"][0]
    assert names(answer) == ["pairs_count", "index_alignment", "seed_alignment", "metadata"]


@pytest.mark.parametrize("index", [True, 1.0, "1", None, 2])
def test_an_index_must_be_the_very_integer(answer: Answer, index: object) -> None:
    answer["pairs"][1]["index"] = index
    assert names(answer) == ["index_alignment"]


def test_two_swapped_seeds_fail_seed_alignment(answer: Answer) -> None:
    pairs = answer["pairs"]
    pairs[1]["seed"], pairs[2]["seed"] = pairs[2]["seed"], pairs[1]["seed"]
    assert names(answer) == ["seed_alignment"]


def test_two_swapped_pairs_fail_both_alignments(answer: Answer) -> None:
    pairs = answer["pairs"]
    pairs[1], pairs[2] = pairs[2], pairs[1]
    assert names(answer) == ["index_alignment", "seed_alignment", "metadata"]


def test_two_swapped_images_are_told_by_what_the_files_say(answer: Answer) -> None:
    pairs = answer["pairs"]
    pairs[1]["vae"], pairs[2]["vae"] = pairs[2]["vae"], pairs[1]["vae"]
    failures = check_answer(json.dumps(answer).encode(), EXPECTED).failures
    assert [str(failure) for failure in failures] == [
        "metadata: image 1 of the vae set says seed 9 instead of 8",
        "metadata: image 2 of the vae set says seed 8 instead of 9",
    ]


@pytest.mark.parametrize("kind", ["png", "webp", "jpeg"])
def test_each_format_carries_its_metadata(picture: Callable[..., str], kind: str) -> None:
    form = {"n": "2", "seed": "7", "output_format": kind, "image": "abc123"}
    expected = Expected(n=2, seed=7, image_format=kind, input_sha256="abc123")
    assert names(make_answer(form), expected) == []
    assert names(make_answer(form), replace(expected, input_sha256="other")) == ["metadata"]
    assert names(make_answer({**form, "output_format": "png"}), expected) == (
        [] if kind == "png" else ["metadata"]
    )


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("seed", 8, "says seed 8 instead of 7"),
        ("model", "another", "says model another instead of fake-vae"),
        ("source_type", "a camera", "is not marked as made by a model (XMP)"),
    ],
)
def test_wrong_metadata_is_named(
    answer: Answer, picture: Callable[..., str], key: str, value: object, words: str
) -> None:
    answer["pairs"][0]["vae"]["b64_json"] = picture("vae7", **{key: value})
    failures = check_answer(json.dumps(answer).encode(), EXPECTED).failures
    assert [str(failure) for failure in failures] == [f"metadata: image 0 of the vae set {words}"]


def test_missing_metadata_is_named(answer: Answer) -> None:
    pixels = decode_image(answer["pairs"][0]["vae"]["b64_json"])
    answer["pairs"][0]["vae"]["b64_json"] = encode(pixels)
    failures = check_answer(json.dumps(answer).encode(), EXPECTED).failures
    assert [str(failure) for failure in failures] == [
        "metadata: image 0 of the vae set carries no parameters"
    ]


def test_seeds_wrap_at_two_to_the_32() -> None:
    assert Expected(n=3, seed=2**32 - 2).seeds() == [2**32 - 2, 2**32 - 1, 0]


def test_a_set_missing_from_one_pair_is_named(answer: Answer) -> None:
    del answer["pairs"][2]["vae"]
    failures = check_answer(json.dumps(answer).encode(), EXPECTED).failures
    assert [str(failure) for failure in failures] == [
        "missing_set: the vae set is missing from pair 2"
    ]


def test_a_set_missing_from_sets_is_named(answer: Answer) -> None:
    del answer["sets"]["stable_diffusion"]
    assert names(answer) == ["missing_set"]


def test_a_set_that_was_not_asked_for_is_not_missed(answer: Answer) -> None:
    for pair in answer["pairs"]:
        del pair["stable_diffusion"]
    del answer["sets"]["stable_diffusion"]
    assert names(answer, Expected(n=4, seed=7, sets=("vae",))) == []


@pytest.mark.parametrize("status", ["filtered", "failed", None, 1])
def test_an_image_that_is_not_ok_fails_status(answer: Answer, status: object) -> None:
    answer["pairs"][3]["vae"] = {"status": status}
    assert names(answer) == ["status"]


@pytest.mark.parametrize("b64_json", [None, "", 5, "not base64!", "aGVsbG8="])
def test_what_is_no_image_fails_decodable(answer: Answer, b64_json: object) -> None:
    answer["pairs"][0]["vae"]["b64_json"] = b64_json
    assert names(answer) == ["decodable"]


def test_a_truncated_image_fails_decodable(answer: Answer) -> None:
    image = answer["pairs"][0]["vae"]
    data = base64.b64decode(image["b64_json"])
    image["b64_json"] = base64.b64encode(data[: len(data) // 2]).decode()
    assert names(answer) == ["decodable"]


def test_an_image_that_is_not_square_fails_decodable(answer: Answer) -> None:
    image = np.zeros((24, 25, 3), dtype=np.uint8)
    answer["pairs"][0]["vae"]["b64_json"] = encode(image)
    assert names(answer) == ["decodable"]


def test_the_same_pixels_in_other_bytes_fail_distinct(answer: Answer) -> None:
    pairs = answer["pairs"]
    again = encode(decode_image(pairs[1]["vae"]["b64_json"]), compress_level=0)
    assert again != pairs[1]["vae"]["b64_json"]
    pairs[3]["vae"]["b64_json"] = again
    failures = check_answer(json.dumps(answer).encode(), EXPECTED).failures
    assert "distinct: images 1 and 3 of the vae set are the same" in map(str, failures)


def test_one_pixel_beside_the_coarse_grid_is_enough_to_be_distinct(answer: Answer) -> None:
    pairs = answer["pairs"]
    pixels = decode_image(pairs[1]["vae"]["b64_json"]).copy()
    pixels[3, 5, 0] ^= 0x80
    pairs[3]["vae"]["b64_json"] = encode(pixels)
    assert names(answer) == ["metadata"]


def test_the_same_picture_in_both_sets_is_no_failure(
    answer: Answer, picture: Callable[..., str]
) -> None:
    pair = answer["pairs"][0]
    pair["vae"]["b64_json"] = picture("same")
    pair["stable_diffusion"]["b64_json"] = picture("same", model="fake-diffusion")
    assert names(answer) == []


def test_the_plain_reconstruction_may_repeat_itself(
    answer: Answer, picture: Callable[..., str]
) -> None:
    for pair in answer["pairs"]:
        pair["vae"]["b64_json"] = picture("same", pair["seed"])
    assert names(answer) == ["distinct"]
    assert names(answer, Expected(n=4, seed=7, diversity_factor=0.0)) == []


@pytest.mark.parametrize(("difference", "found"), [(1, False), (2, True)])
def test_a_repeat_may_differ_by_the_tolerance(difference: int, found: bool) -> None:
    first = np.full((24, 24, 3), 100, dtype=np.uint8)
    again = first.copy()
    again[11, 13, 2] += difference
    failures = check_same_pixels({"vae": [first]}, {"vae": [again]}, Expected(1, 7, ("vae",)))
    assert [failure.check for failure in failures] == ["same_seed_same_pixels"] * found


def test_a_repeat_of_another_size_is_found() -> None:
    first, again = np.zeros((8, 8, 3), dtype=np.uint8), np.zeros((9, 9, 3), dtype=np.uint8)
    failures = check_same_pixels({"vae": [first]}, {"vae": [again]}, Expected(1, 7, ("vae",)))
    assert "another size" in failures[0].detail


def test_a_difference_wraps_at_neither_end() -> None:
    black, white = np.zeros((8, 8, 3), dtype=np.uint8), np.full((8, 8, 3), 255, dtype=np.uint8)
    failures = check_same_pixels({"vae": [black]}, {"vae": [white]}, Expected(1, 7, ("vae",)))
    assert "255/255" in failures[0].detail


def test_the_status_code_is_quoted_with_the_error_code() -> None:
    body = b'{"error": {"message": "no", "code": "bad_image"}}'
    assert check_status_code(200, b"") == []
    assert str(check_status_code(400, body)[0]) == (
        "status_code: 400 instead of 200 (error code bad_image)"
    )
    assert check_status_code(502, b"<html>")[0].check == "status_code"
