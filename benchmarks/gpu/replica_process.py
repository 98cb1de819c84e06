"""One model in its share of a card, loaded and warmed up as a replica does it, in one process.

    python -m benchmarks.gpu.replica_process stable_diffusion --weights DIR --share 0.45

Prints one JSON line when it is ready, makes sets of ten until its standard input is closed, and
prints a second line: the sets made, their median time, the most memory that was reserved, and what
became of a set that is too large. The parts `shares`, `too_small` and `start` run it.
"""

import argparse
import json
import logging
import re
import sys
import time
from pathlib import Path
from statistics import median
from threading import Event, Thread
from typing import Any

import numpy as np
import torch

from models.celeba_vae.checkpoint import load_vae
from models.cuda_context import GIB
from models.interfaces import DeviceMemoryError
from models.roles import FACTS, ROLES, VAE
from models.stable_diffusion.checkpoint import load_stable_diffusion
from models.weights_manifest import WeightsError

_TIMED = {"checked": "check_s", "compiled": "compile_s", "warmed": "warm_up_s"}
"""First words of what models log about their start, and what we call the seconds in it."""
_SECONDS = re.compile(r" in ([\d.]+) s")


class StartTimes(logging.Handler):
    """Sums the seconds of a start that models log, by their kind."""

    def __init__(self) -> None:
        """Begin with nothing."""
        super().__init__(logging.INFO)
        self.seconds: dict[str, float] = {}

    def emit(self, record: logging.LogRecord) -> None:
        """Take one message."""
        message = record.getMessage()
        kind, found = _TIMED.get(message.split(" ")[0]), _SECONDS.search(message)
        if kind and found:
            self.seconds[kind] = self.seconds.get(kind, 0.0) + float(found[1])


def main() -> int:
    """Parse the command line and run one model."""
    options = _parser().parse_args()
    try:
        _run(options)
    except (DeviceMemoryError, WeightsError, ValueError) as error:
        sys.stderr.write(f"twinset: {error}\n")
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("role", choices=ROLES)
    parser.add_argument("--weights", required=True, help="directory as `make weights` leaves it")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--share", type=float, default=1.0, help="of the card, 0 to 1")
    parser.add_argument("--image-px", type=int, default=512, help="side of diffusion's images")
    parser.add_argument("--compile-cache", type=Path, help="compile, and keep it here")
    parser.add_argument("--too-large", type=int, metavar="N", help="first ask for N images at once")
    return parser


def _run(options: argparse.Namespace) -> None:
    times = StartTimes()
    logging.getLogger("models").addHandler(times)
    logging.getLogger("models").setLevel(logging.INFO)
    started = time.monotonic()
    model: Any = _load(options)
    load_s = time.monotonic() - started
    weights_s = load_s - sum(times.seconds.values())
    info = model.info
    start_s = {"load_s": load_s, "weights_s": weights_s, **times.seconds}
    _say(
        {name: round(seconds, 1) for name, seconds in start_s.items()}
        | {
            "share": options.share,
            "precision": info.precision,
            "limit_gib": info.gpu_memory_limit_gib,
            "peak_gib": info.gpu_memory_peak_gib,
        }
    )
    closed = Event()
    Thread(target=_wait_for_end, args=(closed,), daemon=True).start()
    _say(_busy(model, closed, options.too_large))


def _load(options: argparse.Namespace) -> Any:
    device, share, weights = options.device, options.share, options.weights
    if options.role == VAE:
        return load_vae(weights_dir=weights, device=device, gpu_share=share)
    compiled: dict[str, Any] = {}
    if options.compile_cache:
        compiled = {"compile": "default", "compile_cache": str(options.compile_cache)}
        compiled["channels_last"] = True
    return load_stable_diffusion(
        weights_dir=weights,
        device=device,
        precision="float16" if device.startswith("cuda") else "float32",
        image_size_px=options.image_px,
        gpu_share=share,
        **compiled,
    )


def _busy(model: Any, closed: Event, too_large: int | None) -> dict[str, Any]:
    face = np.full((512, 512, 3), 128, dtype=np.uint8)
    parameters = FACTS[model.info.role].largest(model.info.defaults)
    facts: dict[str, Any] = {}
    if too_large:
        try:
            model.generate(face, range(too_large), parameters)
            facts["too_large"] = "made"
        except DeviceMemoryError as error:
            facts["too_large"] = str(error)
    taken: list[float] = []
    while not closed.is_set() or not taken:
        started = time.monotonic()
        made = model.generate(face, range(10), parameters)
        taken.append(time.monotonic() - started)
        if made.pixels.shape[0] != 10:
            raise RuntimeError(f"{made.pixels.shape[0]} images were made of 10")
    facts |= {"sets": len(taken), "median_s": round(median(taken), 4)}
    if torch.cuda.is_initialized():
        facts["reserved_gib"] = round(torch.cuda.max_memory_reserved() / GIB, 2)
    return facts


def _wait_for_end(closed: Event) -> None:
    sys.stdin.read()
    closed.set()


def _say(facts: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(facts) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
