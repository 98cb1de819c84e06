"""Which kinds of callers there are, and in what proportion they come."""

from __future__ import annotations

from argparse import ArgumentTypeError
from difflib import get_close_matches
from functools import cache

KINDS = {
    "pairs": "both sets as one JSON answer",
    "vae": "the VAE's set alone",
    "diffusion": "the diffusion model's set alone",
    "stream": "both sets as events, each image as soon as it exists",
    "sweep": "one VAE set for each of three diversity factors",
    "cancel": "pairs or a stream, but the caller leaves early",
}
DEFAULT_MIX = "pairs=4,vae=1,diffusion=1,stream=2,sweep=1,cancel=1"

LONGEST_ORDER = 1000

Mix = dict[str, float]


def read_mix(text: str) -> Mix:
    """Read `pairs=4,vae=2` into weights by kind.

    Raises:
        ValueError: a kind is unknown, a weight is no number of 0 or more, or all are 0.
    """
    weights: Mix = {}
    for part in filter(None, text.replace(" ", "").split(",")):
        kind, _, number = part.partition("=")
        weights[known_kind(kind)] = read_weight(kind, number or "1")
    if not sum(weights.values()):
        raise ValueError(f"{text!r} names no kind of caller: give for example {DEFAULT_MIX}")
    return weights


def known_kind(kind: str) -> str:
    """Return the kind; raises ValueError with the nearest name where there is no such kind."""
    if kind in KINDS:
        return kind
    near = get_close_matches(kind, KINDS, 1)
    hint = f"did you mean {near[0]}?" if near else f"choose from {', '.join(KINDS)}"
    raise ValueError(f"{kind!r} is no kind of caller: {hint}")


def read_weight(kind: str, number: str) -> float:
    """Read the weight of a kind."""
    try:
        weight = float(number)
    except ValueError:
        weight = -1.0
    if not 0 <= weight < float("inf"):
        raise ValueError(f"{kind}={number}: the weight must be a number of 0 or more")
    return weight


def checked_mix(text: str) -> str:
    """Return the text as it is where it is a mix: the form that Locust hands on to workers."""
    try:
        read_mix(text)
    except ValueError as error:
        raise ArgumentTypeError(str(error)) from error
    return text


@cache
def order(text: str) -> tuple[str, ...]:
    """Return the kinds of a mix in an order to repeat: each as often as its weight, well spread.

    Drawn at random, a short run would often miss a kind. The kind that is furthest behind its
    share is always next (smooth weighted round-robin).
    """
    mix = read_mix(text)
    total = sum(mix.values())
    is_whole = all(weight.is_integer() for weight in mix.values()) and total <= LONGEST_ORDER
    behind = dict.fromkeys(mix, 0.0)
    kinds = []
    for _ in range(int(total) if is_whole else LONGEST_ORDER):
        for kind, weight in mix.items():
            behind[kind] += weight
        kinds.append(max(behind, key=lambda kind: behind[kind]))
        behind[kinds[-1]] -= total
    return tuple(kinds)
