"""Requests for sets of odd sizes, formats and counts on every route, wrong ones and leavers too."""

import base64
import itertools
import math
import random
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from PIL import Image

from tests.faults.asks import Asks
from tests.faults.bodies import bodies
from tests.faults.corpus import Entry, corpus
from tests.faults.corpus_jpeg import turned_away
from tests.faults.files import saved
from tests.faults.profiles import DISPLAY_P3
from tests.support.services import SAMPLE_FACE

BLOCK = ("whole",) * 13 + ("leaves",) * 3 + ("bad file",) * 3 + ("bad body",)
"""What is asked for in every twenty requests, in an order of its own."""
ROUTES = ("pairs",) * 6 + ("sweep", "variations", "edits", "a1111", "hf", "inspect")
_PHOTOGRAPHS = 60
_SIDES_PX = (64, 2400)  # the shorter one
_LONGEST_PX = 4000
_FORMATS = ("png", "webp", "jpeg")
_ACCEPTS = ("application/json", "application/zip", "image/png", "text/event-stream")
_MOST_BYTES = 15_000_000  # longer ones do not fit into JSON


@dataclass(frozen=True)
class OddAsk:
    """One request.

    Attributes:
        kind: the route, or what is wrong with it.
        name: of the file, where one is odd.
        request: what httpx builds a request from.
        statuses: of a right answer.
        leaves_after_s: when its caller leaves; None for one who stays.
    """

    kind: str
    name: str
    request: dict[str, Any]
    statuses: tuple[int, ...] = (200,)
    leaves_after_s: float | None = None

    @property
    def makes_a_set(self) -> bool:
        """Whether a 200 holds images."""
        return self.kind != "inspect"


def odd_asks(seed: int, made: bytes) -> Iterator[OddAsk]:
    """Yield requests without end, the same for the same seed; `made` is a file from Twinset."""
    dice = random.Random(seed)
    source = _Source(dice, made)
    while True:
        for turn in dice.sample(BLOCK, len(BLOCK)):
            if turn == "bad file":
                yield source.bad_file()
            elif turn == "bad body":
                yield next(source.bad_bodies)
            elif turn == "leaves":
                ask = source.whole(steps=40)
                yield replace(ask, kind="leaves", leaves_after_s=dice.uniform(0.005, 0.4))
            else:
                yield source.whole(steps=dice.randint(1, 6))


class _Source:
    """Makes requests from a pool of files."""

    def __init__(self, dice: random.Random, made: bytes) -> None:
        entries = [entry for entry in corpus() if len(entry.data) < _MOST_BYTES]
        self._dice = dice
        self._made = made
        self._odd = [entry for entry in entries if entry.statuses == (200,)]
        self._bad = [entry for entry in entries if entry.statuses != (200,)]
        self._photographs = [_photograph(dice) for _ in range(_PHOTOGRAPHS)]
        self.bad_bodies = _bad_bodies()

    def whole(self, steps: int) -> OddAsk:
        """Return a request that has to be served, on any route."""
        file = self._dice.choice(self._photographs if self._dice.random() < 0.6 else self._odd)
        route = self._dice.choice(ROUTES)
        request = {
            "pairs": self._pairs,
            "sweep": self._sweep,
            "variations": self._variations,
            "edits": self._edits,
            "a1111": self._a1111,
            "hf": self._hf,
            "inspect": self._inspect,
        }[route](file.data, steps)
        return OddAsk(route, file.name, {"method": "POST", **request})

    def bad_file(self) -> OddAsk:
        """Return a request whose file has to be refused, or may be."""
        entry = self._dice.choice(self._bad)
        request = self._dice.choice((self._pairs, self._hf, self._variations))(entry.data, 2)
        return OddAsk("bad file", entry.name, {"method": "POST", **request}, entry.statuses)

    def _fields(self, steps: int) -> dict[str, Any]:
        fields = {
            "output_format": self._dice.choice(_FORMATS),
            "num_inference_steps": steps,
            "strength": 1,
        }
        count = self._dice.randint(1, 10)
        if self._dice.random() < 0.3:
            return {**fields, "seeds": [self._dice.randrange(2**32) for _ in range(count)]}
        return {**fields, "n": count}

    def _sent(self, data: bytes, fields: dict[str, Any]) -> dict[str, Any]:
        """Send a picture and fields as a form or as JSON."""
        if self._dice.random() < 0.5:
            return {"files": {"image": ("face", data)}, "data": fields}
        return {"json": {"image": _base64(data), **fields}}

    def _pairs(self, data: bytes, steps: int) -> dict[str, Any]:
        fields = self._fields(steps)
        if self._dice.random() < 0.4:
            fields["models"] = [self._dice.choice(("vae", "stable_diffusion"))]
        accept = {"Accept": self._dice.choice(_ACCEPTS)}
        return {"url": "/v1/pairs", "headers": accept, **self._sent(data, fields)}

    def _sweep(self, data: bytes, steps: int) -> dict[str, Any]:
        factors = [self._dice.randint(0, 10) for _ in range(self._dice.randint(1, 4))]
        fields = {"n": self._dice.randint(1, 5), "diversity_factors": factors}
        return {"url": "/v1/sweep", **self._sent(data, fields)}

    def _variations(self, data: bytes, steps: int) -> dict[str, Any]:
        return {"url": "/v1/images/variations", **self._as_openai(data, self._fields(steps))}

    def _edits(self, data: bytes, steps: int) -> dict[str, Any]:
        fields = {**self._fields(steps), "prompt": "a face in the evening light"}
        if self._dice.random() < 0.3:
            fields["stream"] = True
        return {"url": "/v1/images/edits", **self._as_openai(data, fields)}

    def _as_openai(self, data: bytes, fields: dict[str, Any]) -> dict[str, Any]:
        if self._dice.random() < 0.5:
            texts = {name: str(value).lower() for name, value in fields.items() if name != "seeds"}
            seeds = {"seeds": fields["seeds"]} if "seeds" in fields else {}
            return {"files": {"image": ("face", data)}, "data": {**texts, **seeds}}
        url = f"data:image/png;base64,{_base64(data)}"
        return {"json": {"images": [{"image_url": url}], **fields}}

    def _a1111(self, data: bytes, steps: int) -> dict[str, Any]:
        count = self._dice.randint(1, 10)
        fields = {"batch_size": count, "steps": steps, "denoising_strength": 1}
        body = {"init_images": [_base64(data)], "prompt": "a face", **fields}
        return {"url": "/sdapi/v1/img2img", "json": body}

    def _hf(self, data: bytes, steps: int) -> dict[str, Any]:
        accept = {"Accept": f"image/{self._dice.choice(_FORMATS)}"}
        if self._dice.random() < 0.5:
            headers = {"Content-Type": "image/jpeg", **accept}
            return {"url": "/hf/image-to-image", "content": data, "headers": headers}
        parameters = {"num_inference_steps": steps, "strength": 1}
        body = {"inputs": _base64(data), "parameters": parameters}
        return {"url": "/hf/image-to-image", "json": body, "headers": accept}

    def _inspect(self, data: bytes, steps: int) -> dict[str, Any]:
        return {"url": "/v1/inspect", **self._sent(self._made, {})}


def _bad_bodies() -> Iterator[OddAsk]:
    """Yield small wrong requests and bodies of the largest size in turn, without end."""
    small = itertools.cycle(Asks(steps=2).by_kind["wrong"])
    while True:
        for name, content_type, body in bodies():
            ask = next(small)
            yield OddAsk("bad body", ask.name, ask.request, (ask.expected_status,))
            headers = {"Content-Type": content_type}
            request = {"method": "POST", "url": "/v1/pairs", "content": body, "headers": headers}
            yield OddAsk("bad body", name, request, (400, 413))


def _photograph(dice: random.Random) -> Entry:
    """Return the sample face as a camera, a phone or a painter of icons might save it."""
    shorter = round(math.exp(dice.uniform(*(math.log(side) for side in _SIDES_PX))))
    size = [shorter, min(_LONGEST_PX, round(shorter * dice.uniform(1, 3.9)))]
    dice.shuffle(size)
    face = Image.open(SAMPLE_FACE).convert("RGB").resize((size[0], size[1]))
    profile = DISPLAY_P3 if dice.random() < 0.2 else None
    kind = dice.choice(("JPEG", "PNG", "WEBP"))
    if kind == "JPEG":
        stored, exif = turned_away(face, dice.randint(1, 8))
        progressive = dice.random() < 0.3
        data = saved(stored, kind, exif=exif, progressive=progressive, icc_profile=profile)
    else:
        mode = dice.choice(("RGB", "RGBA", "L", "P") if kind == "PNG" else ("RGB", "RGBA"))
        speed = {"compress_level": 1} if kind == "PNG" else {"method": 0}
        data = saved(face.convert(mode), kind, icc_profile=profile, **speed)
    return Entry(f"{size[0]}x{size[1]} {kind}", data, (200,))


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()
