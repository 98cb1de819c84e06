"""The simulated service that benchmarks measure: a config, changed, and served."""

import copy
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import yaml

ROOT = Path(__file__).resolve().parent.parent
CONFIG = ROOT / "configs" / "rehearsal.yaml"
NUM_GPUS = 12
"""Pretended cards: two diffusion replicas on each."""
_SAID = "Twinset serves at "
_STOP_TIMEOUT_S = 60

Config = dict[str, Any]


def rehearsal() -> Config:
    """Return the config of the rehearsal, open to anybody on this machine."""
    config: Config = yaml.safe_load(CONFIG.read_text())
    arguments = config["applications"][0]["args"]
    del arguments["api_keys_file"]
    arguments["allow_anonymous"] = True
    return config


def deployment(config: Config, name: str) -> dict[str, Any]:
    """Return the part of a config that is about one deployment."""
    found: dict[str, Any]
    (found,) = (one for one in config["applications"][0]["deployments"] if one["name"] == name)
    return found


def with_replicas(config: Config, replicas: int) -> Config:
    """Return the config with so many diffusion replicas, which do not scale."""
    fixed = copy.deepcopy(config)
    diffusion = deployment(fixed, "StableDiffusionDeployment")
    diffusion.pop("autoscaling_config", None)
    diffusion["num_replicas"] = replicas
    return fixed


@contextmanager
def serving(config: Config, num_gpus: int = NUM_GPUS) -> Iterator[str]:
    """Serve a config on a free port while the context lasts; yields its URL.

    Raises:
        RuntimeError: the service did not start; the message is what it printed.
    """
    with tempfile.TemporaryDirectory() as directory, tempfile.TemporaryFile("w+") as complaints:
        path = Path(directory) / "config.yaml"
        path.write_text(yaml.safe_dump(config))
        command = [sys.executable, "-m", "scripts.serve", "--config", str(path), "--port", "0"]
        process = subprocess.Popen(
            [*command, "--num-gpus", str(num_gpus)],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=complaints,
            text=True,
        )
        try:
            yield _announced_url(process, complaints)
        finally:
            process.terminate()
            process.communicate(timeout=_STOP_TIMEOUT_S)


def _announced_url(process: "subprocess.Popen[str]", complaints: IO[str]) -> str:
    # The command gives up by itself after three minutes, which closes the pipe.
    for line in process.stdout or ():
        if line.startswith(_SAID):
            return line.split()[3]
    complaints.seek(0)
    raise RuntimeError(f"the service did not start:\n{complaints.read()}")


def changed(settings: Mapping[str, Any], config: Config, name: str) -> Config:
    """Return the config with other autoscaling settings of one deployment; None takes one away."""
    other = copy.deepcopy(config)
    scaling = deployment(other, name)["autoscaling_config"]
    scaling.update(settings)
    for key in [key for key, value in scaling.items() if value is None]:
        del scaling[key]
    return other
