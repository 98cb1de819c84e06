"""What the traffic asks for: a few faces and seeds, each kind of request, wrong ones too."""

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from typing import Any, Literal

import httpx
from PIL import Image, ImageOps

from tests.support.services import SAMPLE_FACE

Kind = Literal["pairs", "vae", "diffusion", "stream", "sweep", "wrong", "leaves"]
MIX: dict[Kind, int] = {
    "pairs": 4,
    "vae": 2,
    "diffusion": 2,
    "stream": 2,
    "sweep": 1,
    "wrong": 2,
    "leaves": 1,
}
"""How often each kind is asked for, relative to the others."""
SEEDS = (7, 2**32 - 2)  # the second one wraps around within its set
N = 3
_SWEEP = {"n": "2", "diversity_factors": ["1", "7"]}


@dataclass(frozen=True)
class Ask:
    """One request that can be sent many times.

    Attributes:
        kind: of request.
        name: two asks of one name have the same images.
        request: what httpx builds a request from.
        expected_status: what a service that works answers.
    """

    kind: Kind
    name: str
    request: dict[str, Any]
    expected_status: int = 200

    def sent_by(self, client: httpx.AsyncClient, deadline_s: float) -> httpx.Request:
        """Build the request with a deadline; a wrong one goes as it is."""
        request = dict(self.request)
        if self.kind != "wrong":
            request["data"] = {**request["data"], "timeout_s": str(deadline_s)}
        return client.build_request(**request)


class Asks:
    """All asks, and a choice among them by a mix of kinds."""

    def __init__(self, steps: int) -> None:
        """Take the denoising steps of each diffusion set: they decide how long one takes."""
        self.by_kind: dict[Kind, list[Ask]] = {kind: [] for kind in MIX}
        for number, face in enumerate(_faces()):
            for seed in SEEDS:
                for ask in _right(f"face {number}, seed {seed}", face, seed, steps):
                    self.by_kind[ask.kind].append(ask)
        self.by_kind["wrong"] = list(_wrong(_faces()[0]))

    def chosen(self, dice: random.Random, mix: dict[Kind, int]) -> Ask:
        """Return one at random, its kind by the weights of the mix."""
        kind = dice.choices(list(mix), weights=list(mix.values()))[0]
        return dice.choice(self.by_kind[kind])

    def with_images(self) -> dict[str, Ask]:
        """Return one ask for each name whose answer has images."""
        asks = (ask for kind in MIX for ask in self.by_kind[kind] if kind != "wrong")
        return {ask.name: ask for ask in asks if ask.kind not in ("stream", "leaves")}


def _faces() -> list[bytes]:
    face = Image.open(SAMPLE_FACE).convert("RGB").resize((96, 96))
    variants = [face, ImageOps.mirror(face), ImageOps.posterize(face, 3)]
    return [_jpeg(variant) for variant in variants]


def _jpeg(image: Image.Image) -> bytes:
    buffer = BytesIO()
    image.save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


def _right(case: str, face: bytes, seed: int, steps: int) -> Iterator[Ask]:
    common = {"n": str(N), "seed": str(seed), "num_inference_steps": str(steps), "strength": "1"}
    yield Ask("pairs", f"pairs, {case}", _post(face, common))
    yield Ask("leaves", f"pairs, {case}", _post(face, common))
    stream = _post(face, common, headers={"Accept": "text/event-stream"})
    yield Ask("stream", f"pairs, {case}", stream)
    yield Ask("vae", f"vae, {case}", _post(face, {**common, "models": "vae"}))
    diffusion = _post(face, {**common, "models": "stable_diffusion"})
    yield Ask("diffusion", f"diffusion, {case}", diffusion)
    sweep = _post(face, {**_SWEEP, "seed": str(seed)}, url="/v1/sweep")
    yield Ask("sweep", f"sweep, {case}", sweep)


def _wrong(face: bytes) -> Iterator[Ask]:
    """Yield requests that no service should serve, each with the status of its answer."""
    yield Ask("wrong", "an unknown field", _post(face, {"n_images": "3"}), 400)
    yield Ask("wrong", "eleven images", _post(face, {"n": "11"}), 400)
    yield Ask("wrong", "not a picture", _post(b"not a picture", {}), 400)
    yield Ask("wrong", "no steps left", _post(face, {"strength": "0.001"}), 400)
    broken = {"content": json.dumps({"image": 7}), "headers": {"Content-Type": "application/json"}}
    yield Ask("wrong", "an image that is a number", {**_TO_PAIRS, **broken}, 400)
    yield Ask("wrong", "plain text", {**_TO_PAIRS, "content": "hello"}, 415)
    accept = {"headers": {"Accept": "video/mp4"}}
    yield Ask("wrong", "a film", {**_post(face, {}), **accept}, 406)
    yield Ask("wrong", "nowhere", {"method": "GET", "url": "/v2/pairs"}, 404)
    yield Ask("wrong", "a GET", {"method": "GET", "url": "/v1/pairs"}, 405)


_TO_PAIRS = {"method": "POST", "url": "/v1/pairs"}


def _post(face: bytes, fields: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {**_TO_PAIRS, "files": {"image": ("face.jpg", face)}, "data": fields, **more}
