"""What the report shows: the service's answers with pictures decoded and numbers in one place."""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import numpy as np
from PIL import Image

from models.interfaces import RGBPixels
from models.pixels import Crop, PictureLimits, SquarePicture, read_square
from models.provenance import read_provenance
from models.roles import DIFFUSION, VAE
from models.set_metrics import SetMetrics, descriptor, laplacian_variance
from scripts.report_answers import Answers, ReportError


@dataclass(frozen=True, eq=False)
class Tile:
    """One image of a set, or the word that says why there is none.

    Attributes:
        seed: of this image.
        pixels: (S, S, 3) uint8 in [0, 255]; None where there is no picture.
        status: "ok", "failed", "filtered" or "cancelled".
    """

    seed: int
    pixels: RGBPixels | None
    status: str = "ok"

    def sharpness(self) -> float | None:
        """Return its Laplacian variance as the service takes it; None without a picture."""
        return None if self.pixels is None else sharpness(self.pixels)


@dataclass(frozen=True, eq=False)
class ShownSet:
    """One set as the service described it.

    Attributes:
        tiles: in the order of the seeds.
        metrics: the service's own numbers.
        facts: the rest of the answer on this set: model, revision, timings, notes.
    """

    tiles: Sequence[Tile]
    metrics: SetMetrics
    facts: Mapping[str, Any]

    @property
    def model_s(self) -> float:
        """Seconds that the model computed."""
        return float(self.facts["timings_ms"]["model"]) / 1000


@dataclass(frozen=True)
class Numbers:
    """All that the report's sentences are made from.

    Attributes:
        n: images a set.
        input_sharpness: Laplacian variance of the input.
        reconstruction: the VAE's one image without noise.
        vae: the VAE's set at the chosen factor.
        diffusion: the diffusion model's set.
        chosen_factor: the served default.
        sweep: the VAE's sets by diversity factor, ascending.
        vae_s: seconds that the VAE computed.
        diffusion_s: seconds that the diffusion model computed.
        unet_calls: passes of the UNet, each over the whole set.
        simulated: the pictures come from no model.
    """

    n: int
    input_sharpness: float
    reconstruction: SetMetrics
    vae: SetMetrics
    diffusion: SetMetrics
    chosen_factor: float
    sweep: Mapping[float, SetMetrics]
    vae_s: float
    diffusion_s: float
    unet_calls: int
    simulated: bool = False


@dataclass(frozen=True, eq=False)
class Findings:
    """Everything that the figures and the page show.

    Attributes:
        face: the cropped input, (S, S, 3) uint8 in [0, 255].
        input_facts: digest, size and crop of the input.
        reconstruction: the VAE's one image at factor 0.
        vae: its set at the served default.
        diffusion: the diffusion model's set.
        sweep: the VAE's sets by diversity factor, ascending.
        parameters: of the paired request, resolved.
        cards: what `/v1/models` says of each role.
        software: name and version of the service, as its images say.
        numbers: for the sentences.
    """

    face: RGBPixels
    input_facts: Mapping[str, Any]
    reconstruction: ShownSet
    vae: ShownSet
    diffusion: ShownSet
    sweep: Mapping[float, ShownSet]
    parameters: Mapping[str, Any]
    cards: Mapping[str, Mapping[str, Any]]
    software: str
    numbers: Numbers

    def repeated_within(self) -> int | None:
        """Return the largest difference, of 255, between the two askings for the chosen factor.

        The paired request and the sweep both hold that set when the factor is one of the sweep's;
        None when it is not, or when images are missing.
        """
        again = self.sweep.get(self.numbers.chosen_factor)
        if again is None:
            return None
        differences = []
        for one, other in zip(self.vae.tiles, again.tiles, strict=True):
            if one.pixels is None or other.pixels is None:
                return None
            difference = np.abs(one.pixels.astype(np.int16) - other.pixels.astype(np.int16))
            differences.append(int(difference.max()))
        return max(differences)


def sharpness(pixels: RGBPixels) -> float:
    """Return the Laplacian variance of (S, S, 3) uint8 on 128 px, as the service takes it."""
    return laplacian_variance(descriptor(pixels).astype(np.float32) / 255.0)


def read_findings(answers: Answers, picture: bytes) -> Findings:
    """Decode the answers' pictures and collect their numbers.

    Raises:
        ReportError: an answer lacks what the contract promises.
    """
    try:
        return _read(answers, picture)
    except (KeyError, TypeError, ValueError, OSError, IndexError) as error:
        raise ReportError(
            f"the service's answer is not of this version ({type(error).__name__}: {error}): "
            "serve this checkout with `make serve`, or leave --url out"
        ) from error


def _read(answers: Answers, picture: bytes) -> Findings:
    pairs = answers.pairs
    face = _face(answers, picture)
    reconstruction = _paired_set(answers.reconstruction, VAE)
    vae, diffusion = _paired_set(pairs, VAE), _paired_set(pairs, DIFFUSION)
    sweep = {float(one["diversity_factor"]): _sweep_set(one) for one in answers.sweep["sets"]}
    sweep = dict(sorted(sweep.items()))
    return Findings(
        face=face.pixels,
        input_facts=pairs["input"],
        reconstruction=reconstruction,
        vae=vae,
        diffusion=diffusion,
        sweep=sweep,
        parameters=pairs["parameters"],
        cards={card["role"]: card for card in answers.models["data"]},
        software=_software(pairs),
        numbers=Numbers(
            n=len(vae.tiles),
            input_sharpness=sharpness(face.pixels),
            reconstruction=reconstruction.metrics,
            vae=vae.metrics,
            diffusion=diffusion.metrics,
            chosen_factor=float(pairs["parameters"]["diversity_factor"]),
            sweep={factor: one.metrics for factor, one in sweep.items()},
            vae_s=vae.model_s,
            diffusion_s=diffusion.model_s,
            unet_calls=int(diffusion.facts["unet_calls"]),
            simulated=any(bool(one["simulated"]) for one in pairs["sets"].values()),
        ),
    )


def _face(answers: Answers, picture: bytes) -> SquarePicture:
    """Cut the square that the service used, under its limits."""
    names = ("max_bytes", "min_side_px", "max_side_px", "max_pixels", "max_aspect")
    limits = PictureLimits(**{name: answers.models["limits"][name] for name in names})
    return read_square(picture, limits, Crop(**answers.pairs["input"]["crop"]))


def _paired_set(answer: Mapping[str, Any], role: str) -> ShownSet:
    tiles = [_tile(pair[role], pair["seed"]) for pair in answer["pairs"]]
    return _shown_set(tiles, answer["sets"][role])


def _sweep_set(answer: Mapping[str, Any]) -> ShownSet:
    return _shown_set([_tile(image, image["seed"]) for image in answer["images"]], answer)


def _shown_set(tiles: Sequence[Tile], answer: Mapping[str, Any]) -> ShownSet:
    facts = {name: value for name, value in answer.items() if name != "images"}
    return ShownSet(tiles, SetMetrics(**answer["metrics"]), facts)


def _tile(image: Mapping[str, Any], seed: int) -> Tile:
    file = image.get("b64_json")
    if file is None:
        return Tile(seed, None, str(image["status"]))
    with Image.open(BytesIO(base64.b64decode(file))) as opened:
        return Tile(seed, np.asarray(opened.convert("RGB")), str(image["status"]))


def _software(pairs: Mapping[str, Any]) -> str:
    for pair in pairs["pairs"]:
        provenance = read_provenance(base64.b64decode(pair[VAE]["b64_json"] or ""))
        if provenance is not None:
            return provenance.software
    return "not said"
