"""The simulated service that benchmarks measure: a config, changed, and served."""

import copy
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from benchmarks.paths import ROOT
from benchmarks.service_process import TWINSET_SAYS, service_process

CONFIG = ROOT / "configs" / "rehearsal.yaml"
NUM_GPUS = 12
"""Pretended cards: two diffusion replicas on each."""

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
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "config.yaml"
        path.write_text(yaml.safe_dump(config))
        command = ["scripts.serve", "--config", str(path), "--port", "0"]
        with service_process([*command, "--num-gpus", str(num_gpus)], TWINSET_SAYS) as (url, _):
            yield url


def changed(settings: Mapping[str, Any], config: Config, name: str) -> Config:
    """Return the config with other autoscaling settings of one deployment; None takes one away."""
    other = copy.deepcopy(config)
    scaling = deployment(other, name)["autoscaling_config"]
    scaling.update(settings)
    for key in [key for key, value in scaling.items() if value is None]:
        del scaling[key]
    return other
