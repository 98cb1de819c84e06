"""What a correct paired answer looks like, as pure functions that name each failure.

An answer that arrives with status 200 may still be wrong: an image twice, a list that is too
short, a seed beside the wrong picture. Each function here looks for one such fault and returns a
list of failures, empty when all is well. Decoded pictures travel along, so that two answers to
the same request can be compared without decoding again.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations

from loadtests.metadata import describe_fault
from loadtests.pixels import (
    DECODE_ERRORS,
    Picture,
    Pixels,
    are_same,
    decode_picture,
    describe_difference,
)
from loadtests.roles import SETS, VAE_SET

SEED_COUNT = 2**32
CHECK_NAMES = (
    "status_code",
    "overloaded",
    "no_answer",
    "dropped_arrival",
    "json",
    "stream_start",
    "stream_images",
    "stream_error",
    "stream_end",
    "sweep_sets",
    "pairs_count",
    "index_alignment",
    "seed_alignment",
    "missing_set",
    "status",
    "decodable",
    "metadata",
    "distinct",
    "same_seed_same_pixels",
)

Pictures = dict[str, list[Pixels | None]]
Pair = Mapping[str, object]


@dataclass(frozen=True)
class Expected:
    """What was asked for, as far as the answer must show it.

    `tolerance` is the largest difference, in 8-bit levels, at which two pixels count as the same;
    `factors` are those of a sweep, empty for pairs; `image_format` is what the files must be.
    """

    n: int
    seed: int
    sets: tuple[str, ...] = SETS
    diversity_factor: float | None = None
    tolerance: int = 1
    factors: tuple[float, ...] = ()
    image_format: str = "png"
    input_sha256: str | None = None

    def seeds(self) -> list[int]:
        """Return the seed of each pair: counting up from `seed`, modulo 2^32."""
        return [(self.seed + index) % SEED_COUNT for index in range(self.n)]


@dataclass(frozen=True)
class Failure:
    """One failed check: its name, and a sentence on what was seen."""

    check: str
    detail: str

    def __str__(self) -> str:
        """Return "name: detail", the form that Locust's failure table shows."""
        return f"{self.check}: {self.detail}"


@dataclass(frozen=True)
class Checked:
    """The outcome of checking one answer.

    `pictures` holds per set a list as long as `pairs`: (H, W, 3) uint8 RGB in [0, 255], or None
    where no picture could be read.
    """

    failures: list[Failure] = field(default_factory=list)
    pictures: Pictures = field(default_factory=dict)


def check_answer(body: bytes, expected: Expected) -> Checked:
    """Check the body of one 200 answer and return its failures and its decoded pictures."""
    answer = parse_object(body)
    if answer is None:
        return Checked([Failure("json", "the answer is not a JSON object")])
    return check_parsed(answer, expected)


def check_parsed(answer: Pair, expected: Expected) -> Checked:
    """Check one answer that is an object already."""
    pairs = list_pairs(answer)
    failures = [
        *check_pairs_count(pairs, expected),
        *check_index_alignment(pairs),
        *check_seed_alignment(pairs, expected),
    ]
    pictures: Pictures = {}
    for name in expected.sets:
        failures += check_missing_set(answer, pairs, name) + check_status(pairs, name)
        decoded, undecodable = decode_set(pairs, name)
        failures += undecodable
        failures += check_metadata(decoded, name, model_of(answer, name), expected)
        pictures[name] = [picture.pixels if picture else None for picture in decoded]
        # A diversity factor of 0 is the plain reconstruction: n times the same face, rightly.
        if name != VAE_SET or expected.diversity_factor != 0:
            failures += check_distinct(pictures[name], name, expected.tolerance)
    return Checked(failures, pictures)


def check_status_code(status_code: int, body: bytes) -> list[Failure]:
    """Check that the status is 200; the service's own error code is quoted where it gives one."""
    if status_code == 200:
        return []
    error = (parse_object(body) or {}).get("error")
    code = error.get("code") or error.get("type") if isinstance(error, dict) else None
    return [Failure("status_code", f"{status_code} instead of 200 (error code {code})")]


def check_pairs_count(pairs: Sequence[Pair], expected: Expected) -> list[Failure]:
    """Check that the list has exactly as many entries as were asked for."""
    if len(pairs) == expected.n:
        return []
    return [Failure("pairs_count", f"{len(pairs)} pairs instead of {expected.n}")]


def check_index_alignment(pairs: Sequence[Pair]) -> list[Failure]:
    """Check that each pair states its own place in the list."""
    return [
        Failure("index_alignment", f"pair {place} says index {pair.get('index')!r}")
        for place, pair in enumerate(pairs)
        if not is_integer(pair.get("index"), place)
    ]


def check_seed_alignment(pairs: Sequence[Pair], expected: Expected) -> list[Failure]:
    """Check that pair i has seed + i modulo 2^32."""
    return [
        Failure("seed_alignment", f"pair {place} has seed {pair.get('seed')!r} instead of {seed}")
        for place, (pair, seed) in enumerate(zip(pairs, expected.seeds(), strict=False))
        if not is_integer(pair.get("seed"), seed)
    ]


def check_missing_set(answer: Pair, pairs: Sequence[Pair], name: str) -> list[Failure]:
    """Check that a set is in every pair and is described under `sets`."""
    failures = [
        Failure("missing_set", f"the {name} set is missing from pair {place}")
        for place, pair in enumerate(pairs)
        if not isinstance(pair.get(name), dict)
    ]
    described = answer.get("sets")
    if not isinstance(described, dict) or not isinstance(described.get(name), dict):
        failures.append(Failure("missing_set", f"the {name} set is missing from 'sets'"))
    return failures


def check_status(pairs: Sequence[Pair], name: str) -> list[Failure]:
    """Check that every image of a set says that it is ok."""
    return [
        Failure("status", f"image {place} of the {name} set has status {image.get('status')!r}")
        for place, image in images_of(pairs, name)
        if image.get("status") != "ok"
    ]


def decode_set(pairs: Sequence[Pair], name: str) -> tuple[list[Picture | None], list[Failure]]:
    """Decode every image of a set that says it is ok; return pictures and `decodable` failures."""
    pictures: list[Picture | None] = [None] * len(pairs)
    failures = []
    for place, image in images_of(pairs, name):
        if image.get("status") != "ok":
            continue
        try:
            pictures[place] = decode_picture(image.get("b64_json"))
        except DECODE_ERRORS as error:
            detail = f"image {place} of the {name} set: {error or type(error).__name__}"
            failures.append(Failure("decodable", detail))
    return pictures, failures


def check_metadata(
    pictures: Sequence[Picture | None], name: str, model: object, expected: Expected
) -> list[Failure]:
    """Check the files' format, and that each states its own seed, its model and its input."""
    failures = []
    for place, (picture, seed) in enumerate(zip(pictures, expected.seeds(), strict=False)):
        if picture is None:
            continue
        fault = describe_fault(picture.marks, seed, model, expected.input_sha256)
        if picture.image_format != expected.image_format:
            fault = f"is {picture.image_format} instead of {expected.image_format}"
        if fault:
            failures.append(Failure("metadata", f"image {place} of the {name} set {fault}"))
    return failures


def model_of(answer: Pair, name: str) -> object:
    """Return what an answer calls the model of one set, None where it does not say."""
    described = answer.get("sets")
    one = described.get(name) if isinstance(described, dict) else None
    return one.get("model") if isinstance(one, dict) else None


def check_distinct(
    pictures: Sequence[Pixels | None], name: str, tolerance: int = 1
) -> list[Failure]:
    """Check that the pictures of one set differ pairwise in their pixels."""
    present = [(place, pixels) for place, pixels in enumerate(pictures) if pixels is not None]
    return [
        Failure("distinct", f"images {one} and {other} of the {name} set are the same")
        for (one, first), (other, second) in combinations(present, 2)
        if are_same(first, second, tolerance)
    ]


def check_same_pixels(first: Pictures, again: Pictures, expected: Expected) -> list[Failure]:
    """Check that two answers to one request show the same pictures, within the tolerance."""
    failures = []
    for name in first:
        both = zip(first.get(name, []), again.get(name, []), expected.seeds(), strict=False)
        for place, (one, other, seed) in enumerate(both):
            # A picture that could not be read has failed a check of its own already.
            if one is None or other is None:
                continue
            if not are_same(one, other, expected.tolerance):
                seen = describe_difference(one, other)
                detail = f"image {place} of the {name} set, seed {seed}, {seen} when repeated"
                failures.append(Failure("same_seed_same_pixels", detail))
    return failures


def images_of(pairs: Sequence[Pair], name: str) -> list[tuple[int, Pair]]:
    """Return the entries of a set that are there, each with its place in the list."""
    images = [(place, pair.get(name)) for place, pair in enumerate(pairs)]
    return [(place, image) for place, image in images if isinstance(image, dict)]


def parse_object(body: bytes) -> dict[str, object] | None:
    """Return the JSON object in `body`, or None where there is none."""
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return answer if isinstance(answer, dict) else None


def list_pairs(answer: Pair) -> list[Pair]:
    """Return the `pairs` of an answer; an entry that is no object becomes an empty one."""
    pairs = answer.get("pairs")
    if not isinstance(pairs, list):
        return []
    return [pair if isinstance(pair, dict) else {} for pair in pairs]


def is_integer(value: object, wanted: int) -> bool:
    """Say whether a JSON value is this very integer; true and 1.0 are not 1."""
    return type(value) is int and value == wanted
