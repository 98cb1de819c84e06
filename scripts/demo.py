"""Shows what Twinset is for: one face in, twenty images and a contact sheet out.

Serves the demo on an isolated local Ray, sends it a face, writes the answer into `out/`, and stops
what it started.
"""

import argparse
import json
import sys
import threading
import time
import zipfile
from dataclasses import dataclass
from io import BytesIO
from os.path import relpath
from pathlib import Path
from typing import Any

import httpx
from tqdm import tqdm

from models.roles import FACTS
from scripts.serve import ROOT, SAMPLE_FACE, RunningService, ServeError, running
from scripts.signals import stop_on_signals

TIMEOUT_S = 120.0
MANIFEST, SHEET = "manifest.json", "contact-sheet.png"  # as they are named in the zip answer


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
    with running(config, port=0) as service:
        asked = time.monotonic()
        archive = _ask(service, picture, seed)
        done = time.monotonic()
    manifest = write_answer(archive, out)
    (out / f"input{face.suffix}").write_bytes(picture)
    _report(manifest, out, Timings(asked - started, done - asked))


def _ask(service: RunningService, picture: bytes, seed: int) -> bytes:
    replies: list[httpx.Response | Exception] = []

    def post() -> None:
        try:
            files = {"image": ("face", picture)}
            replies.append(
                httpx.post(
                    f"{service.url}/v1/pairs",
                    files=files,
                    headers={"Accept": "application/zip", **service.headers},
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


def _checked(reply: httpx.Response | Exception) -> bytes:
    if isinstance(reply, Exception):
        raise DemoError(f"the service did not answer: {reply}")
    if reply.status_code != 200:
        raise DemoError(f"the service did not take the picture: {reply.text}")
    return reply.content


def write_answer(archive: bytes, out: Path) -> dict[str, Any]:
    """Write the files of an answer into folder `out`; returns its manifest."""
    with zipfile.ZipFile(BytesIO(archive)) as opened:
        manifest: dict[str, Any] = json.loads(opened.read(MANIFEST))
        (out / SHEET).write_bytes(opened.read(SHEET))
        for pair in manifest["pairs"]:
            for role in manifest["sets"]:
                file = pair[role]["file"]
                name = f"{role}-{pair['index']}-seed-{pair['seed']}{Path(file).suffix}"
                (out / name).write_bytes(opened.read(file))
                pair[role]["file"] = name
    (out / MANIFEST).write_text(json.dumps(manifest, indent=2, ensure_ascii=False))
    return manifest


def _report(answer: dict[str, Any], out: Path, timings: Timings) -> None:
    lines = [f"service ready in {timings.start_s:.1f} s, answer in {timings.request_s:.1f} s"]
    for role, made in answer["sets"].items():
        metrics, milliseconds = made["metrics"], made["timings_ms"]
        lines.append(
            f"  {FACTS[role].title:<17} {made['model']:<15} {milliseconds['model'] / 1000:5.2f} s"
            f"   pairwise_rmse {metrics['pairwise_rmse']:.3f}"
            f"   input_rmse {metrics['input_rmse']:.3f}"
            f"   laplacian_variance {metrics['laplacian_variance']:.4f}"
        )
    lines += [
        f"images         {out}/",
        f"contact sheet  {out / SHEET}",
        "",
        "Call it yourself: `make serve`, then",
        f"  curl -F image=@{relpath(SAMPLE_FACE)} -F seed=7 http://127.0.0.1:8000/v1/pairs "
        "-o pairs.json",
        "",
    ]
    sys.stdout.write("\n".join(lines))


if __name__ == "__main__":
    sys.exit(main())
