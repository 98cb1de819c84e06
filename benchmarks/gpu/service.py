"""serve_config.yaml on the one card at hand, with random weights (make gpu-check SERVE=1).

A VAE and two diffusion replicas share the card. Pairs are asked for and checked, a diffusion
replica is killed while both make a set, and a minute of the load test follows. It needs the whole
environment; `python -m benchmarks.gpu` needs neither Ray nor HTTP.
"""

import argparse
import base64
import io
import json
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import psutil
import torch
import yaml
from PIL import Image
from tqdm import tqdm

from benchmarks.gpu.environment import driver, now
from benchmarks.gpu.parts import PARTS
from benchmarks.gpu.report import Report
from benchmarks.gpu.running import command_for, run_parts
from benchmarks.paths import ROOT, SAMPLE_FACE
from models.roles import DIFFUSION as ROLE
from models.roles import ROLES
from scripts.loadtest import run_locust
from scripts.serve import RunningService, ServeError, running
from scripts.signals import stop_on_signals

DIFFUSION = "StableDiffusionDeployment"
REPLICAS = 2
_TIMEOUT_S = 180.0
_KILL_AFTER_S = 0.5


class ServiceCheckError(Exception):
    """The service answered something else than it has to."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse the command line, serve, ask, kill, load."""
    parser = argparse.ArgumentParser(
        prog="make gpu-check SERVE=1", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--out", type=Path, default=ROOT / "out" / "gpu-check")
    parser.add_argument("--tiny", action="store_true", help="tiny networks on the CPU: a trial")
    parser.add_argument("--minutes", type=float, default=1.0, help="of the load test (default: 1)")
    options = parser.parse_args(arguments)
    stop_on_signals()
    out = options.out.resolve()
    if not (options.tiny or torch.cuda.is_available()):
        sys.stderr.write("twinset: torch sees no GPU here: use BENCH=--tiny for a trial\n")
        return 2
    if not (out / "weights").is_dir() and not _write_weights(out, options.tiny):
        return 1
    facts: dict[str, Any] = {
        "benchmark": "gpu-check-service",
        "card": "no GPU: the CPU"
        if options.tiny
        else driver("gpu=name,driver_version,memory.total"),
        "begun": now(),
    }
    try:
        _check(out, options, facts)
    except (ServeError, ServiceCheckError, httpx.HTTPError) as error:
        facts["error"] = str(error)
        sys.stderr.write(f"twinset: {error}\n")
    except KeyboardInterrupt:
        sys.stderr.write("\ntwinset: stopped\n")
        return 130
    file = out / "gpu-check-service.json"
    file.write_text(json.dumps(facts, indent=1) + "\n")
    sys.stdout.write(json.dumps(facts, indent=1) + f"\n{file}\n")
    return 1 if "error" in facts else 0


def _write_weights(out: Path, tiny: bool) -> bool:
    report = Report.begin(out / "gpu-check-weights.json", {}, {})
    part = next(one for one in PARTS if one.name == "weights")
    run_parts([part], report, 5, command_for(out, tiny))
    return report.parts["weights"]["status"] == "measured"


def config_of(production: dict[str, Any], weights_dir: Path, tiny: bool) -> dict[str, Any]:
    """Return serve_config.yaml with other weights and both diffusion replicas from the start.

    Args:
        production: serve_config.yaml.
        weights_dir: with weights as `make weights` leaves them.
        tiny: on the CPU, with tiny networks and little of the machine's cores.
    """
    (application,) = production["applications"]
    for role in ROLES:
        options = application["args"][role]["options"]
        options["weights_dir"] = str(weights_dir)
        if tiny:
            options |= {"device": "cpu", "torch_threads": 1}
    if tiny:
        application["args"][ROLE]["options"] |= {
            "precision": "float32",
            "image_size_px": 32,
        }
    for deployment in application["deployments"]:
        if deployment["name"] == DIFFUSION:
            deployment["autoscaling_config"] |= {"min_replicas": REPLICAS, "max_replicas": REPLICAS}
        if tiny:
            deployment["ray_actor_options"]["num_cpus"] = 0.1
    return production


def _check(out: Path, options: argparse.Namespace, facts: dict[str, Any]) -> None:
    config = out / "serve_config.yaml"
    production = yaml.safe_load((ROOT / "serve_config.yaml").read_text())
    config.write_text(yaml.safe_dump(config_of(production, out / "weights", options.tiny)))
    started = time.monotonic()
    with running(config, port=0, num_gpus=1) as service:
        _wait_for_replicas()
        facts["ready_s"] = round(time.monotonic() - started, 1)
        with _client(service) as client:
            facts["pairs"] = [_pairs(client, seed) for seed in (0, 100, 200)]
            facts["repeated_largest_difference"] = _repeated(client)
            facts["killed"] = _kill_in_mid_set(client)
            started = time.monotonic()
            _wait_for_replicas()
            facts["killed"]["replaced_s"] = round(time.monotonic() - started, 1)
        report = out / "loadtest"
        seconds = f"{60 * options.minutes:.0f}s"
        status = run_locust(service, ["--out", str(report), "--run-time", seconds])
        facts["loadtest"] = {"exit_code": status, "report": str(report)}
        if status:
            raise ServiceCheckError(f"the load test ended with {status}: see {report}")


def _wait_for_replicas() -> None:
    from ray import serve

    deadline = time.monotonic() + _TIMEOUT_S
    with tqdm(desc="two diffusion replicas", bar_format="{desc}: {elapsed}", disable=None) as bar:
        while time.monotonic() < deadline:
            (application,) = serve.status().applications.values()
            states = application.deployments[DIFFUSION].replica_states
            if states.get("RUNNING", 0) == REPLICAS and len(states) == 1:
                return
            bar.update()
            time.sleep(0.5)
    raise ServiceCheckError(
        f"{REPLICAS} diffusion replicas were not running after {_TIMEOUT_S:.0f} s"
    )


@contextmanager
def _client(service: RunningService) -> Iterator[httpx.Client]:
    with httpx.Client(
        base_url=service.url, headers=service.headers, timeout=_TIMEOUT_S, trust_env=False
    ) as client:
        yield client


def _ask(client: httpx.Client, seed: int) -> dict[str, Any]:
    """Return the answer to ten pairs.

    Raises:
        ServiceCheckError: it is no whole one.
    """
    response = client.post(
        "/v1/pairs",
        files={"image": SAMPLE_FACE.read_bytes()},
        data={"n": "10", "seed": str(seed), "prompt": "a face"},
    )
    if response.status_code != 200:
        raise ServiceCheckError(f"seed {seed}: {response.status_code} {response.text[:300]}")
    answer: dict[str, Any] = response.json()
    seeds = [pair["seed"] for pair in answer["pairs"]]
    if seeds != list(range(seed, seed + 10)):
        raise ServiceCheckError(f"seed {seed}: the pairs have the seeds {seeds}")
    for pair in answer["pairs"]:
        for role in ROLES:
            # Random weights make noise, of which a safety checker may think anything.
            if pair[role]["status"] not in ("ok", "filtered"):
                raise ServiceCheckError(f"seed {pair['seed']}, {role}: {pair[role]['status']}")
    return answer


def _images(answer: dict[str, Any]) -> list[Any]:
    """Return the pixels of both sets, (S, S, 3) uint8 each."""
    return [
        np.asarray(Image.open(io.BytesIO(base64.b64decode(pair[role]["b64_json"]))).convert("RGB"))
        for pair in answer["pairs"]
        for role in ROLES
        if pair[role].get("b64_json")
    ]


def _pairs(client: httpx.Client, seed: int) -> dict[str, Any]:
    started = time.monotonic()
    answer = _ask(client, seed)
    images = _images(answer)
    if not images or any(one.std() == 0 for one in images):
        raise ServiceCheckError(f"seed {seed}: an image is of one colour")
    sets = answer["sets"]
    return {
        "seconds": round(time.monotonic() - started, 2),
        "images": len(images),
        "replicas": {role: len(one["replicas"]) for role, one in sets.items()},
    }


def _repeated(client: httpx.Client) -> int:
    """Return by how much pixels of two equal requests differ at most, of 255."""
    first, second = (_images(_ask(client, 7)) for _ in range(2))
    pairs = zip(first, second, strict=True)
    return max(int(np.abs(one.astype(int) - other).max()) for one, other in pairs)


def _kill_in_mid_set(client: httpx.Client) -> dict[str, Any]:
    """Kill one of two diffusion replicas while each makes a set; both answers must be whole."""
    before = _replica_processes()
    if len(before) != REPLICAS:
        raise ServiceCheckError(
            f"{len(before)} processes of {DIFFUSION} were found, not {REPLICAS}"
        )
    started = time.monotonic()
    with ThreadPoolExecutor(2 * REPLICAS) as pool:
        asked = [pool.submit(_ask, client, 1000 * index) for index in range(2 * REPLICAS)]
        time.sleep(_KILL_AFTER_S)
        under_way = sum(not one.done() for one in asked)
        before[0].kill()
        for one in asked:
            one.result()
    return {
        "requests": len(asked),
        "under_way_when_killed": under_way,
        "answered_whole": len(asked),
        "seconds": round(time.monotonic() - started, 2),
    }


def _replica_processes() -> list[psutil.Process]:
    found = []
    for process in psutil.Process().children(recursive=True):
        try:
            name = " ".join(process.cmdline())
        except psutil.Error:
            continue
        if "ServeReplica" in name and DIFFUSION in name:
            found.append(process)
    return found


if __name__ == "__main__":
    sys.exit(main())
