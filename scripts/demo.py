"""Shows what Twinset is for: one face in, twenty images and a contact sheet out.

Serves the demo on an isolated local Ray, sends it a face, writes the answer into `out/`, and stops
what it started.
"""

import argparse
import base64
import sys
import threading
import time
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from tqdm import tqdm

from models.contact_sheet import SheetBlock, SheetTile, caption_lines, compose
from models.pixels import Crop, PictureLimits, read_square
from scripts.serve import ROOT, ServeError, running
from scripts.signals import stop_on_signals

SAMPLE_FACE = ROOT / "models" / "demo" / "weights" / "sample-face.png"
TIMEOUT_S = 120.0
TITLES = {"vae": "VAE", "stable_diffusion": "Stable Diffusion"}
SHOWN = {
    "vae": ("diversity_factor",),
    "stable_diffusion": ("strength", "guidance_scale", "num_inference_steps"),
}


@dataclass(frozen=True)
class Timings:
    """Seconds of a demo's parts, for people to see."""

    start_s: float
    request_s: float


def main() -> int:
    """Parse the command line and run the demo."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--face", type=Path, default=SAMPLE_FACE, help="JPEG, PNG or WebP")
    parser.add_argument("--out", type=Path, default=ROOT / "out", help="folder to write into")
    parser.add_argument("--config", type=Path, default=ROOT / "configs" / "demo.yaml")
    parser.add_argument("--seed", type=int, default=7)
    arguments = parser.parse_args()
    stop_on_signals()
    try:
        run(arguments.face, arguments.out, arguments.config, arguments.seed)
    except (ServeError, DemoError) as error:
        sys.stderr.write(f"twinset: {error}\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("\ntwinset: stopped\n")
        return 130
    return 0


class DemoError(Exception):
    """The demo could not be shown; the sentence says why."""


def run(face: Path, out: Path, config: Path, seed: int) -> None:
    """Serve, ask, write, report.

    Raises:
        DemoError: the face cannot be read, or the service refused it.
        ServeError: the service could not start.
    """
    try:
        picture = face.read_bytes()
    except OSError as error:
        raise DemoError(f"cannot read {face}: {error.strerror}; set FACE=path.jpg") from error
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DemoError(f"cannot write into {out}: {error.strerror}; see --out") from error
    started = time.monotonic()
    with running(config, port=0) as url:
        asked = time.monotonic()
        answer = _ask(url, picture, seed)
        done = time.monotonic()
    sheet = write_answer(answer, picture, out)
    _report(answer, out, sheet, Timings(asked - started, done - asked))


def _ask(url: str, picture: bytes, seed: int) -> dict[str, Any]:
    replies: list[httpx.Response | Exception] = []

    def post() -> None:
        try:
            files = {"image": ("face", picture)}
            replies.append(
                httpx.post(
                    f"{url}/v1/pairs",
                    files=files,
                    data={"seed": str(seed)},
                    timeout=TIMEOUT_S,
                    trust_env=False,
                )
            )
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            replies.append(error)

    thread = threading.Thread(target=post, daemon=True)
    thread.start()
    description = "generating 2 x 10 images"
    with tqdm(desc=description, bar_format="{desc}: {elapsed}", leave=False, disable=None) as bar:
        while thread.is_alive():
            thread.join(0.2)
            bar.update()
    return _checked(replies[0])


def _checked(reply: httpx.Response | Exception) -> dict[str, Any]:
    if isinstance(reply, Exception):
        raise DemoError(f"the service did not answer: {reply}")
    if reply.status_code != 200:
        raise DemoError(f"the service did not take the picture: {reply.text}")
    body: dict[str, Any] = reply.json()
    return body


def write_answer(answer: dict[str, Any], picture: bytes, out: Path) -> Path:
    """Write the images of an answer and their contact sheet into folder `out`; return its path."""
    for pair in answer["pairs"]:
        for role in answer["sets"]:
            name = f"{role}-{pair['index']}-seed-{pair['seed']}.{pair[role]['format']}"
            (out / name).write_bytes(base64.b64decode(pair[role]["b64_json"]))
    sheet = out / "contact-sheet.png"
    Image.fromarray(contact_sheet(answer, picture)).save(sheet)
    return sheet


def contact_sheet(answer: dict[str, Any], picture: bytes) -> NDArray[np.uint8]:
    """Compose the contact sheet of an answer, (H, W, 3) uint8."""
    parameters = answer["parameters"]
    blocks = [
        SheetBlock(
            TITLES[role],
            " · ".join([made["model"], *(f"{name} {parameters[name]:g}" for name in SHOWN[role])]),
            [_tile(pair, role) for pair in answer["pairs"]],
        )
        for role, made in answer["sets"].items()
    ]
    caption = caption_lines(
        parameters.get("prompt", ""), {}, parameters["seeds"], answer["input"]["sha256"]
    )
    notes = {note for made in answer["sets"].values() for note in made["notes"]}
    return compose(_cropped(answer, picture), blocks, caption, note="; ".join(sorted(notes)))


def _tile(pair: dict[str, Any], role: str) -> SheetTile:
    image = pair[role]
    pixels = _pixels(base64.b64decode(image["b64_json"])) if image["status"] == "ok" else None
    return SheetTile(pair["seed"], pixels, image["status"])


def _pixels(data: bytes) -> NDArray[np.uint8]:
    return np.asarray(Image.open(BytesIO(data)).convert("RGB"), dtype=np.uint8)


def _cropped(answer: dict[str, Any], picture: bytes) -> NDArray[np.uint8]:
    return read_square(picture, PictureLimits(), Crop(**answer["input"]["crop"])).pixels


def _report(answer: dict[str, Any], out: Path, sheet: Path, timings: Timings) -> None:
    lines = [f"service ready in {timings.start_s:.1f} s, answer in {timings.request_s:.1f} s"]
    for role, made in answer["sets"].items():
        metrics, milliseconds = made["metrics"], made["timings_ms"]
        lines.append(
            f"  {TITLES[role]:<17} {made['model']:<15} {milliseconds['model'] / 1000:5.2f} s"
            f"   pairwise_rmse {metrics['pairwise_rmse']:.3f}"
            f"   input_rmse {metrics['input_rmse']:.3f}"
            f"   laplacian_variance {metrics['laplacian_variance']:.4f}"
        )
    lines += [
        f"images         {out}/",
        f"contact sheet  {sheet}",
        "",
        "Call it yourself: `make serve`, then",
        "  curl -F image=@face.jpg -F seed=7 http://127.0.0.1:8000/v1/pairs -o pairs.json",
        "",
    ]
    sys.stdout.write("\n".join(lines))


if __name__ == "__main__":
    sys.exit(main())
