"""The comparison in words: every sentence is chosen and filled by the numbers.

No sentence is a foregone conclusion. Where a measurement contradicts what is usually found, the
sentence says so. Two numbers count as equal when neither exceeds the other by more than a tenth.
"""

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import NamedTuple

from models.set_metrics import SetMetrics
from scripts.report_findings import Numbers

EQUAL_WITHIN = 1.1
"""Ratio up to which two numbers count as equal: ten images tell no finer."""


class Topic(NamedTuple):
    """One paragraph: what it is about, and its sentences."""

    title: str
    sentences: Sequence[str]


def comparison(numbers: Numbers) -> list[Topic]:
    """Return the paragraphs of the comparison."""
    topics = [
        Topic("Sharpness", _sharpness(numbers)),
        Topic("Diversity", _diversity(numbers)),
        Topic("Distance to the input", _distance(numbers)),
        Topic("The served factor", _served_factor(numbers)),
        Topic("Time", _time(numbers)),
    ]
    if numbers.simulated:
        warning = (
            "These pictures are simulated, coloured noise over the input: the sentences below "
            "follow from the numbers as always, but say nothing about any model."
        )
        topics.insert(0, Topic("Simulated", [warning]))
    return topics


def summary(topics: Sequence[Topic]) -> list[str]:
    """Return the leading sentence of each paragraph but the served factor's."""
    return [topic.sentences[0] for topic in topics if topic.title != "The served factor"]


def ratio(a: float, b: float) -> float:
    """Return a / b; infinite where only b is zero, 1 where both are."""
    if b > 0:
        return a / b
    return float("inf") if a > 0 else 1.0


def order(a: float, b: float) -> int:
    """Return 1 where a is larger than b, -1 where it is smaller, 0 where they count as equal."""
    quotient = ratio(a, b)
    return int(quotient > EQUAL_WITHIN) - int(quotient < 1 / EQUAL_WITHIN)


def times(a: float, b: float) -> str:
    """Return how often b goes into a, in words: "1.6 times"."""
    quotient = ratio(a, b)
    if quotient == float("inf"):
        return "infinitely many times"
    return f"{quotient:.1f} times" if quotient < 9.95 else f"{quotient:.0f} times"


def from_factor_on(numbers: Numbers, holds: Callable[[SetMetrics], bool]) -> float | None:
    """Return the smallest factor of the sweep from which on a condition holds at every factor."""
    first = None
    for factor, metrics in reversed(list(numbers.sweep.items())):
        if not holds(metrics):
            break
        first = factor
    return first


def sharp(value: float) -> str:
    """Return a Laplacian variance with three significant digits and no exponent."""
    if value <= 0:
        return "0"
    digits = 0 if value >= 100 else 3 + next(i for i in range(-2, 12) if value * 10**i >= 1) - 1
    return f"{value:.{max(digits, 0)}f}"


def _sharpness(numbers: Numbers) -> list[str]:
    return [
        _sharper_set(numbers),
        _blur(numbers),
        _noise_and_sharpness(numbers),
        _diffusion_and_input(numbers),
    ]


def _sharper_set(numbers: Numbers) -> str:
    vae, diffusion = numbers.vae.laplacian_variance, numbers.diffusion.laplacian_variance
    values = f"Laplacian variance {sharp(diffusion)} against {sharp(vae)}"
    match order(diffusion, vae):
        case 1:
            return (
                f"The diffusion images are sharper than the VAE's: {values}, "
                f"{times(diffusion, vae)} as much."
            )
        case 0:
            return (
                f"The usual finding, a blurred VAE beside sharp diffusion, does not show here: the "
                f"sets are about equally sharp ({values})."
            )
    return (
        "The usual finding, a blurred VAE beside sharp diffusion, is reversed here: the VAE's "
        f"images measure {times(vae, diffusion)} as sharp as the diffusion model's ({values})."
    )


def _blur(numbers: Numbers) -> str:
    after, before = numbers.reconstruction.laplacian_variance, numbers.input_sharpness
    values = f"{sharp(after)} against the input's {sharp(before)}"
    match order(after, before):
        case -1:
            return (
                f"The VAE's blur shows where no noise is added: its reconstruction keeps "
                f"{percent(after, before)} of the input's sharpness ({values})."
            )
        case 0:
            return f"The VAE's reconstruction is about as sharp as the input ({values}): no blur."
    return (
        f"The VAE's reconstruction measures {times(after, before)} as sharp as the input "
        f"({values}), which detail cannot explain: look for artefacts, or for a blurred input."
    )


def _noise_and_sharpness(numbers: Numbers) -> str:
    noisy, plain = numbers.vae.laplacian_variance, numbers.reconstruction.laplacian_variance
    factor = f"{numbers.chosen_factor:g}"
    match order(noisy, plain):
        case 1:
            return (
                f"At factor {factor} its images measure {times(noisy, plain)} as sharp as its "
                "reconstruction; noise holds no detail of this face, so that rise is texture and "
                "artefacts."
            )
        case 0:
            return f"Noise at factor {factor} leaves the VAE's sharpness where it was."
    return (
        f"Noise at factor {factor} softens the VAE's images further, to "
        f"{percent(noisy, plain)} of its reconstruction's sharpness."
    )


def _diffusion_and_input(numbers: Numbers) -> str:
    made, given = numbers.diffusion.laplacian_variance, numbers.input_sharpness
    match order(made, given):
        case 1:
            return f"The diffusion images measure {times(made, given)} as sharp as the input."
        case 0:
            return "The diffusion images are about as sharp as the input."
    return f"The diffusion images have {percent(made, given)} of the input's sharpness."


def _diversity(numbers: Numbers) -> list[str]:
    vae, diffusion = numbers.vae.pairwise_rmse, numbers.diffusion.pairwise_rmse
    reached = from_factor_on(numbers, lambda one: one.pairwise_rmse >= diffusion)
    return [
        _more_diverse_set(numbers, vae, diffusion),
        _reach(numbers, reached, "the VAE's set is at least as diverse as the diffusion set"),
        _growth(numbers, "diversity", lambda one: one.pairwise_rmse),
    ]


def _more_diverse_set(numbers: Numbers, vae: float, diffusion: float) -> str:
    ours = f"at factor {numbers.chosen_factor:g} the VAE's images differ from each other by"
    values = f"{ours} {vae:.3f} (RMSE), the diffusion images by {diffusion:.3f}"
    match order(vae, diffusion):
        case 1:
            return (
                f"The VAE's set is the more diverse: {values}, so {times(vae, diffusion)} as much."
            )
        case 0:
            return f"The two sets are about equally diverse: {values}."
    return (
        f"The diffusion set is the more diverse: {values}, so the diffusion images "
        f"{times(diffusion, vae)} as much."
    )


def _distance(numbers: Numbers) -> list[str]:
    diffusion, floor = numbers.diffusion.input_rmse, numbers.reconstruction.input_rmse
    further = from_factor_on(numbers, lambda one: one.input_rmse > diffusion)
    doubled = from_factor_on(numbers, lambda one: one.input_rmse > 2 * floor)
    crossed = from_factor_on(numbers, lambda one: one.pairwise_rmse > one.input_rmse)
    return [
        _nearer_set(numbers),
        _reach(numbers, further, "the VAE's images are further from the input than diffusion's"),
        _floor(numbers, floor),
        _reach(numbers, doubled, "the VAE's images are more than twice as far away as that"),
        _reach(
            numbers, crossed, "the VAE's images differ more from each other than from the input"
        ),
        _growth(numbers, "distance to the input", lambda one: one.input_rmse),
    ]


def _nearer_set(numbers: Numbers) -> str:
    vae, diffusion = numbers.vae.input_rmse, numbers.diffusion.input_rmse
    values = (
        f"the mean difference (RMSE) is {diffusion:.3f} for the diffusion images and {vae:.3f} for "
        f"the VAE's at factor {numbers.chosen_factor:g}"
    )
    match order(vae, diffusion):
        case 1:
            return (
                f"The diffusion set stays nearer to the input: {values}, {times(vae, diffusion)} "
                "as far."
            )
        case 0:
            return f"Both sets are about equally far from the input: {values}."
    return (
        f"The VAE's set stays nearer to the input: {values}; the diffusion images are "
        f"{times(diffusion, vae)} as far."
    )


def _floor(numbers: Numbers, floor: float) -> str:
    nearest = min(numbers.sweep, key=lambda factor: numbers.sweep[factor].input_rmse)
    least = numbers.sweep[nearest].input_rmse
    without = f"Without noise the VAE's reconstruction is {floor:.3f} from the input"
    if least >= floor:
        return f"{without}, and no factor of the sweep comes nearer."
    return f"{without}; factor {nearest:g} comes nearer, with {least:.3f}."


def _served_factor(numbers: Numbers) -> list[str]:
    last, extreme = list(numbers.sweep.items())[-1]
    chosen, factor = numbers.vae, f"{numbers.chosen_factor:g}"
    diversity = percent(chosen.pairwise_rmse, extreme.pairwise_rmse)
    distance = percent(chosen.input_rmse, extreme.input_rmse)
    return [
        f"At the served default, factor {factor}, the VAE's set has {diversity} of the diversity "
        f"that it has at factor {last:g}, at {distance} of the distance to the input."
    ]


def _time(numbers: Numbers) -> list[str]:
    vae, diffusion = numbers.vae_s, numbers.diffusion_s
    values = (
        f"for {numbers.n} images the VAE computed {vae:.2f} s, the diffusion model "
        f"{diffusion:.2f} s in {numbers.unet_calls} passes of its UNet"
    )
    match order(diffusion, vae):
        case 1:
            return [f"The VAE is faster: {values}, {times(diffusion, vae)} as long."]
        case 0:
            return [f"Both models take about as long: {values}."]
    return [f"The diffusion model is faster: {values}; the VAE {times(vae, diffusion)} as long."]


def _reach(numbers: Numbers, factor: float | None, statement: str) -> str:
    factors = list(numbers.sweep)
    if factor is None:
        return f"Up to factor {factors[-1]:g} there is none from which on {statement}."
    if factor == factors[0]:
        return f"At every factor of the sweep {statement}."
    return f"From factor {factor:g} on {statement}."


def _growth(numbers: Numbers, name: str, value: Callable[[SetMetrics], float]) -> str:
    factors = list(numbers.sweep)
    values = [value(one) for one in numbers.sweep.values()]
    ends = f"from {values[0]:.3f} at factor {factors[0]:g} to {values[-1]:.3f} at {factors[-1]:g}"
    falls = [
        f"{b:g}"
        for (a, b), (x, y) in zip(pairwise(factors), pairwise(values), strict=True)
        if y <= x
    ]
    if not falls:
        return f"Over the sweep {name} grows with every step, {ends}."
    return f"Over the sweep {name} goes {ends}, but does not grow at factor {', '.join(falls)}."


def percent(part: float, whole: float) -> str:
    """Return a share of a whole in words: "42 %"."""
    quotient = ratio(part, whole)
    if quotient == float("inf"):
        return "infinitely much"
    return f"{100 * quotient:.0f} %" if quotient >= 0.0995 else f"{100 * quotient:.1f} %"
