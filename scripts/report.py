"""Writes the seed report of a face: ten VAE images, a sweep, ten diffusion images, compared.

Serves a config, or asks a service that runs already, over HTTP only, and writes one HTML page that
holds everything, its figures as PNG files and `report.json` with every number.
"""

import argparse
import json
import os
import platform
import shlex
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from models.roles import DIFFUSION, VAE
from scripts.report_answers import Answers, Caller, ReportError, ask
from scripts.report_figures import Drawing, draw_all
from scripts.report_findings import Findings, read_findings
from scripts.report_page import render
from scripts.report_words import comparison
from scripts.serve import ROOT, RunningService, ServeError, running
from scripts.signals import stop_on_signals

SAMPLE_FACE = ROOT / "models" / "demo" / "weights" / "sample-face.png"
PAGE, NUMBERS = "report.html", "report.json"


@dataclass(frozen=True)
class Wish:
    """What the command line asks for; `url` and `api_key` name a service that runs already."""

    face: Path
    out: Path
    config: Path
    num_gpus: int
    seed: int
    url: str | None = None
    api_key: str | None = None

    def command(self) -> str:
        """Return the command that makes the report again; without folders, addresses and keys."""
        options = {"--face": _within_checkout(self.face), "--seed": str(self.seed)}
        if self.url is None:
            options["--config"] = _within_checkout(self.config)
        if self.num_gpus and self.url is None:
            options["--num-gpus"] = str(self.num_gpus)
        words = [word for option in options.items() for word in option]
        return shlex.join(["python", "-m", "scripts.report", *words])


def _within_checkout(path: Path) -> str:
    """Return a path without what says on whose machine it lies."""
    whole = path.resolve()
    return str(whole.relative_to(ROOT)) if whole.is_relative_to(ROOT) else path.name


def main() -> int:
    """Parse the command line and make the report."""
    stop_on_signals()
    try:
        make(_wish())
    except (ServeError, ReportError) as error:
        sys.stderr.write(f"twinset: {error}\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("\ntwinset: stopped\n")
        return 130
    return 0


def _wish() -> Wish:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--face", type=Path, default=SAMPLE_FACE, help="JPEG, PNG or WebP")
    parser.add_argument(
        "--out", type=Path, default=ROOT / "out" / "report", help="folder to write into"
    )
    parser.add_argument("--config", type=Path, default=ROOT / "configs" / "demo.yaml")
    parser.add_argument("--num-gpus", type=int, default=0, help="GPUs to pretend to have")
    parser.add_argument("--seed", type=int, default=7, help="of the first image of each set")
    parser.add_argument("--url", help="base URL of a service that runs; else one is started")
    parser.add_argument("--api-key", help="what the service behind --url wants from its callers")
    return Wish(**vars(parser.parse_args()))


def make(wish: Wish) -> None:
    """Ask, draw, write, say what was found.

    Raises:
        ReportError: the face cannot be read, the service is away or refuses, or nothing can be
            written.
        ServeError: the service could not start.
    """
    try:
        picture = wish.face.read_bytes()
    except OSError as error:
        raise ReportError(
            f"cannot read {wish.face}: {error.strerror}; set FACE=path.jpg"
        ) from error
    with _writing(wish.out):
        wish.out.mkdir(parents=True, exist_ok=True)
    started = time.monotonic()
    with _service(wish) as service:
        answers = ask(Caller(service.url, service.headers), picture, wish.seed)
    findings = read_findings(answers, picture)
    drawings = draw_all(findings)
    with _writing(wish.out):
        write(wish, answers, findings, drawings)
    _report(wish, findings, time.monotonic() - started)


@contextmanager
def _service(wish: Wish) -> Iterator[RunningService]:
    if wish.url is not None:
        yield RunningService(wish.url, wish.api_key)
        return
    with running(wish.config, port=0, num_gpus=wish.num_gpus) as service:
        key = wish.api_key or service.api_key  # one's own where the config names a file of keys
        yield RunningService(service.url, key)


@contextmanager
def _writing(out: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ReportError(f"cannot write into {out}: {error.strerror}; see --out") from error


def write(
    wish: Wish, answers: Answers, findings: Findings, drawings: Mapping[str, Drawing]
) -> None:
    """Write the page, the figures and the numbers.

    Raises:
        OSError: the folder cannot be written.
    """
    for name, drawing in drawings.items():
        (wish.out / f"{name}.png").write_bytes(drawing.light)
    facts = machine_facts(wish)
    numbers = as_json(wish, answers, findings, list(drawings))
    text = json.dumps(numbers, indent=2, ensure_ascii=False)
    (wish.out / NUMBERS).write_text(text + "\n", encoding="utf-8")
    page = render(findings, drawings, facts, wish.command(), answers.pairs["created"])
    (wish.out / PAGE).write_text(page, encoding="utf-8")


def as_json(wish: Wish, answers: Answers, findings: Findings, figures: list[str]) -> dict[str, Any]:
    """Return all numbers, parameters and versions, unrounded; no pictures."""
    return {
        "object": "twinset.report",
        "created": answers.pairs["created"],
        "command": wish.command(),
        "seed": wish.seed,
        "input": {
            **findings.input_facts,
            "laplacian_variance": findings.numbers.input_sharpness,
        },
        "models": answers.models["data"],
        "parameters": findings.parameters,
        "chosen_factor": findings.numbers.chosen_factor,
        "reconstruction": findings.reconstruction.facts,
        "sets": {VAE: findings.vae.facts, DIFFUSION: findings.diffusion.facts},
        "image_sharpness": {
            "reconstruction": [tile.sharpness() for tile in findings.reconstruction.tiles],
            VAE: [tile.sharpness() for tile in findings.vae.tiles],
            DIFFUSION: [tile.sharpness() for tile in findings.diffusion.tiles],
        },
        "sweep": {
            "parameters": answers.sweep["parameters"],
            "sets": [shown.facts for shown in findings.sweep.values()],
        },
        "repeated_within_255ths": findings.repeated_within(),
        "request_seconds": answers.seconds,
        "comparison": [topic._asdict() for topic in comparison(findings.numbers)],
        "figures": [f"{name}.png" for name in figures],
        "software": findings.software,
        "machine": machine_facts(wish),
    }


def machine_facts(wish: Wish) -> dict[str, str]:
    """Return what machine and software made the report; no names of hosts or people."""
    names = ("matplotlib", "numpy", "pillow") + (() if wish.url else ("torch", "diffusers", "ray"))
    where = "a service that ran already, perhaps on another machine" if wish.url else "this machine"
    return {
        "served on": where,
        "report made on": f"{platform.system()} {platform.machine()}, {os.cpu_count()} CPU cores, "
        f"Python {platform.python_version()}",
        "libraries": ", ".join(f"{name} {version(name)}" for name in names),
    }


def _report(wish: Wish, findings: Findings, seconds: float) -> None:
    topics = comparison(findings.numbers)
    lines = [f"report made in {seconds:.1f} s"]
    if findings.numbers.simulated:
        lines.append("the pictures are simulated: no model made them")
    lines += [f"  {topic.sentences[0]}" for topic in topics if topic.title != "Simulated"]
    lines += [f"page     {wish.out / PAGE}", f"numbers  {wish.out / NUMBERS}", ""]
    sys.stdout.write("\n".join(lines))


if __name__ == "__main__":
    sys.exit(main())
