"""Asks a running service fifty-odd questions and prints its answers, to compare two versions.

    make serve PORT=8000                                     # of one version, then of the other
    python -m tests.support.same_answers http://127.0.0.1:8000 > answers.json

What may differ from run to run is left out: ids, times, replicas. Images and other files are
digests of their bytes. `diff` of two such files is empty where both versions answer alike.
"""

import base64
import hashlib
import io
import json
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
from PIL import Image

SAMPLE = Path(__file__).resolve().parents[2] / "models" / "demo" / "weights" / "sample-face.png"
_PASSING = {"id", "created", "created_at", "timings_ms", "replicas", "uptime_s"}
_HEADERS = ("content-type", "cache-control", "retry-after", "content-disposition", "allow")


def _jpeg(side_px: int, quality: int = 90) -> bytes:
    buffer = io.BytesIO()
    Image.open(SAMPLE).convert("RGB").resize((side_px, side_px)).save(
        buffer, "JPEG", quality=quality
    )
    return buffer.getvalue()


FACE = _jpeg(160)
FACE64 = base64.b64encode(FACE).decode()


Question = tuple[str, str, str, dict[str, Any]]


def questions() -> Iterator[Question]:
    """Yield a name, the method, the path and httpx's arguments of each question."""
    yield from _ours()
    yield from _dialects()
    yield from _pages()


def _form(path: str, accept: str = "", **fields: Any) -> tuple[str, str, dict[str, Any]]:
    headers = {"Accept": accept} if accept else {}
    return "POST", path, {"files": {"image": FACE}, "data": fields, "headers": headers}


def _json(path: str, accept: str = "", **fields: Any) -> tuple[str, str, dict[str, Any]]:
    headers = {"Accept": accept} if accept else {}
    return "POST", path, {"json": fields, "headers": headers}


def _ours() -> Iterator[Question]:
    pairs, sweep = "/v1/pairs", "/v1/sweep"
    for accept in ("application/json", "application/zip", "image/png", "text/event-stream"):
        yield (f"pairs {accept}", *_form(pairs, accept, n="2", seed="7"))
    for written in ("webp", "jpeg"):
        yield (f"pairs {written}", *_form(pairs, n="1", seed="3", output_format=written))
        asked = {"n": "1", "seed": "3", "output_format": written}
        yield (f"pairs zip {written}", *_form(pairs, "application/zip", **asked))
    for which in ("vae", "stable_diffusion", "celeba-vae"):
        yield (f"pairs of {which}", *_json(pairs, image=FACE64, n=2, seed=1, models=[which]))
    yield ("pairs data URL", *_json(pairs, image=f"data:image/jpeg;base64,{FACE64}", seeds=[9, 4]))
    yield ("pairs seeds", *_form(pairs, seeds="5,6", models="vae"))
    yield ("pairs crop", *_form(pairs, n="1", seed="2", crop="10,20,100"))
    yield ("pairs partial", *_form(pairs, n="1", seed="2", allow_partial="true"))
    turned = {"prompt": "a smiling man", "negative_prompt": "a hat", "strength": "0.4"}
    turned |= {"guidance_scale": "3", "num_inference_steps": "12", "diversity_factor": "2"}
    yield ("pairs turned", *_form(pairs, n="2", seed="11", **turned))
    wrong = {
        "n": {"n": "11"},
        "unknown": {"colour": "red"},
        "both seeds": {"seed": "1", "seeds": "1,2", "n": "3"},
        "no step": {"strength": "0.01", "num_inference_steps": "5"},
        "crop": {"crop": "1,2,3"},
        "crop outside": {"crop": "100,100,100"},
        "models": {"models": "gan"},
        "format": {"output_format": "gif"},
        "timeout": {"timeout_s": "0.001"},
    }
    for name, fields in wrong.items():
        yield (f"wrong {name}", *_form(pairs, **fields))
    yield ("wrong accept", *_form(pairs, "text/plain"))
    yield ("wrong picture", *_json(pairs, image=base64.b64encode(b"no picture").decode()))
    yield ("wrong base64", *_json(pairs, image="&"))
    yield ("wrong URL", *_json(pairs, image="https://example.org/a.png"))
    yield ("wrong media", "POST", pairs, {"content": b"x", "headers": {"Content-Type": "text/css"}})
    yield ("wrong query", "POST", f"{pairs}?n=2", {"files": {"image": FACE}})
    yield ("sweep", *_form(sweep, n="2", seed="7", diversity_factors="1,7"))
    yield ("sweep json", *_json(sweep, image=FACE64, n=1, seed=7, diversity_factors=[0.0]))
    yield ("sweep wrong", *_form(sweep, prompt="a hat"))
    yield ("inspect nothing", *_form("/v1/inspect"))
    inspected = {"files": {"image": SAMPLE.read_bytes()}}
    yield ("inspect sample", "POST", "/v1/inspect", inspected)


def _dialects() -> Iterator[Question]:
    edits, variations, sdapi = "/v1/images/edits", "/v1/images/variations", "/sdapi/v1/img2img"
    yield ("edits", *_form(edits, prompt="red hair", n="2", seed="5"))
    yield ("edits stream", *_form(edits, prompt="red hair", n="1", seed="5", stream="true"))
    yield ("edits model", *_form(edits, prompt="x", model="stable-diffusion-v1-5", seed="1"))
    yield ("edits wrong model", *_form(edits, prompt="x", model="dall-e-2"))
    yield ("edits url", *_form(edits, prompt="x", response_format="url"))
    yield ("edits size", *_form(edits, prompt="x", size="64x64"))
    yield ("variations", *_form(variations, n="2", seed="5"))
    yield ("variations model", *_form(variations, model="stable-diffusion-v1-5", seed="1"))
    yield ("variations unknown", *_form(variations, colour="red"))
    asked = {"init_images": [FACE64], "prompt": "red hair", "seed": 3, "batch_size": 2}
    yield ("img2img", *_json(sdapi, **asked))
    yield ("img2img turned", *_json(sdapi, **asked, steps=8, cfg_scale=2.0, tiling=False))
    yield ("img2img tiling", *_json(sdapi, **asked, tiling=True))
    yield ("img2img many", *_json(sdapi, **asked, n_iter=9))
    yield ("img2img form", *_form(sdapi, prompt="x"))
    task = {"inputs": FACE64, "parameters": {"prompt": "red hair", "seed": 3}}
    yield ("task", *_json("/hf/image-to-image", **task))
    yield ("task webp", *_json("/hf/image-to-image", "image/webp", **task))
    seeds = {"seeds": [1, 2]}
    yield ("task two", *_json("/hf/image-to-image", inputs=FACE64, parameters=seeds))


def _pages() -> Iterator[Question]:
    for path in ("/livez", "/readyz", "/v1/models", "/", "/docs", "/openapi.json", "/web/page.js"):
        yield f"GET {path}", "GET", path, {}
    yield "no route", "GET", "/v1/nothing", {}
    yield "no method", "GET", "/v1/pairs", {}


def _digest(content: bytes) -> str:
    return f"{len(content)} bytes, sha256 {hashlib.sha256(content).hexdigest()}"


def _lasting(value: Any) -> Any:
    """Return JSON without what passes, and with long texts as digests."""
    if isinstance(value, dict):
        return {name: _lasting(one) for name, one in value.items() if name not in _PASSING}
    if isinstance(value, list):
        return [_lasting(one) for one in value]
    if isinstance(value, str) and len(value) > 400:
        return _digest(value.encode())
    return value


def _events(text: str) -> dict[str, list[Any]]:
    """Return the events by role: how those of two roles mix depends on the moment."""
    found: dict[str, list[Any]] = {}
    for block in text.split("\n\n"):
        data = [line.removeprefix("data: ") for line in block.splitlines() if "data: " in line]
        if data and data[0] != "[DONE]":
            event = json.loads(data[0])
            found.setdefault(str(event.get("role", "")), []).append(_lasting(event))
    return found


def _content(response: httpx.Response) -> Any:
    kind = response.headers.get("content-type", "")
    if kind.startswith("application/json"):
        return _lasting(response.json())
    if kind.startswith("text/event-stream"):
        return _events(response.text)
    if kind.startswith("application/zip"):
        with zipfile.ZipFile(io.BytesIO(response.content)) as opened:
            return {
                name: _lasting(json.loads(opened.read(name)))
                if name.endswith(".json")
                else _digest(opened.read(name))
                for name in opened.namelist()
            }
    return _digest(response.content)


def answer_to(client: httpx.Client, method: str, path: str, arguments: dict[str, Any]) -> Any:
    """Ask one question and return what lasts of its answer."""
    response = client.request(method, path, **arguments)
    headers = {one: response.headers[one] for one in _HEADERS if one in response.headers}
    return {"status": response.status_code, **headers, "content": _content(response)}


def main() -> int:
    """Ask, print."""
    with httpx.Client(base_url=sys.argv[1], timeout=120, trust_env=False) as client:
        answers = {name: answer_to(client, *question) for name, *question in questions()}
    sys.stdout.write(json.dumps(answers, indent=1, sort_keys=True) + "\n")
    sys.stderr.write(f"{len(answers)} answers\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
