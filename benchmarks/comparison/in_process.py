"""Makes sets inside one process: the notebook loop, diffusers' batched call, or our own model.

A child of the runner's, so that each has a process of its own. It prints `{"ready": true, ...}`
once the model is loaded, then answers each line of its standard input, `{"seeds": [...]}`, with
one line of JSON, and ends where the input does. The clock of a set runs from the picture's bytes to
the images' bytes; files are written after it has stopped.
"""

import argparse
import json
import resource
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal, get_args

import yaml

from benchmarks.comparison.job import demo_job
from benchmarks.paths import ROOT

Arm = Literal["notebook", "diffusers", "twinset"]
ARMS: tuple[Arm, ...] = get_args(Arm)
CONFIG = ROOT / "configs" / "demo.yaml"


def environment_of(arm: Arm) -> dict[str, str]:
    """Return what an arm's process needs in its environment beside the usual: as when served."""
    if arm != "twinset":
        return {}
    (deployment,) = (
        one for one in application()["deployments"] if one["name"] == "StableDiffusionDeployment"
    )
    places = [application(), deployment["ray_actor_options"]]
    return {
        name: str(value)
        for place in places
        for name, value in place["runtime_env"]["env_vars"].items()
    }


def application() -> dict[str, Any]:
    """Return the application that the demo's config describes."""
    found: dict[str, Any] = yaml.safe_load(CONFIG.read_text())["applications"][0]
    return found


def main() -> int:
    """Load one arm and answer lines until the input ends."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("arm", choices=ARMS)
    parser.add_argument("--out", type=Path, required=True, help="directory for the images")
    arguments = parser.parse_args()
    # Imported here: the runner imports this file for its names, and needs no torch.
    import torch

    from benchmarks.comparison.arms import load_arm

    arguments.out.mkdir(parents=True, exist_ok=True)
    arm = load_arm(arguments.arm)
    _say({"ready": True, "arm": arguments.arm, "torch_threads": torch.get_num_threads()})
    for number, line in enumerate(sys.stdin):
        job = demo_job(tuple(json.loads(line)["seeds"]))
        made = arm.make(job)
        files = _write(made.images, arguments.out / f"{arguments.arm}-{number}", job.seeds)
        measured = {name: value for name, value in asdict(made).items() if name != "images"}
        sizes = sum(file.stat().st_size for file in files)
        paths = [str(file) for file in files]
        _say({**measured, "files": paths, "bytes": sizes, "peak_rss_mib": _peak_rss_mib()})
    return 0


def _write(images: Sequence[bytes], stem: Path, seeds: Sequence[int]) -> list[Path]:
    files = [stem.with_name(f"{stem.name}-seed-{seed}.png") for seed in seeds]
    for file, image in zip(files, images, strict=True):
        file.write_bytes(image)
    return files


def _say(answer: dict[str, Any]) -> None:
    print(json.dumps(answer), flush=True)


def _peak_rss_mib() -> float:
    """Return the most memory that this process ever held, in MiB (Linux counts in KiB)."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    sys.exit(main())
