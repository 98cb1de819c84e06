"""What a correct answer of `POST /v1/sweep` looks like: a set like any other for each factor."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TypeGuard

from loadtests.checks import Checked, Expected, Failure, check_parsed, parse_object
from loadtests.roles import VAE_SET


def check_sweep(body: bytes, expected: Expected) -> Checked:
    """Check the body of one 200 answer; pictures stand under `vae at 4` and so on."""
    answer = parse_object(body)
    if answer is None:
        return Checked([Failure("json", "the answer is not a JSON object")])
    listed = answer.get("sets")
    sets = [one if isinstance(one, dict) else {} for one in listed] if is_list(listed) else []
    checked = Checked(check_factors(sets, expected))
    for factor, one in zip(expected.factors, sets, strict=False):
        found = check_parsed(as_pairs(one), replace(expected, diversity_factor=factor))
        where = f"at factor {factor:g}: "
        checked.failures.extend(Failure(one.check, where + one.detail) for one in found.failures)
        checked.pictures[f"{VAE_SET} at {factor:g}"] = found.pictures[VAE_SET]
    return checked


def is_list(value: object) -> TypeGuard[list[object]]:
    """Say whether a JSON value is a list."""
    return isinstance(value, list)


def check_factors(sets: list[dict[str, object]], expected: Expected) -> list[Failure]:
    """Check that there is one set for each factor asked for, in that order."""
    seen = [one.get("diversity_factor") for one in sets]
    if seen == list(expected.factors):
        return []
    return [Failure("sweep_sets", f"factors {seen} instead of {list(expected.factors)}")]


def as_pairs(one: Mapping[str, object]) -> dict[str, object]:
    """Return one set of a sweep in the form of a paired answer."""
    images = one.get("images")
    entries = [image for image in images if isinstance(image, dict)] if is_list(images) else []
    pairs = [
        {"index": image.get("index"), "seed": image.get("seed"), VAE_SET: image}
        for image in entries
    ]
    return {"pairs": pairs, "sets": {VAE_SET: one}}
