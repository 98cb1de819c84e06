"""Seconds until a replica that compiles is ready: weights, compilation, warm-up."""

import shutil
from pathlib import Path

from benchmarks.gpu.parts import CheckSetting, Tell
from benchmarks.gpu.replicas import Replica
from models.roles import DIFFUSION


def cache_of(setting: CheckSetting) -> Path:
    """Return where this check keeps what was compiled."""
    return setting.out / "compile"


def run(setting: CheckSetting, tell: Tell) -> None:
    """Start a replica with an empty cache, and another with what the first left there."""
    cache = cache_of(setting)
    shutil.rmtree(cache, ignore_errors=True)
    for state in ("cold", "warm"):
        tell(f"starts a replica, cache {state}")
        options = ("--compile-cache", str(cache))
        replica = Replica(DIFFUSION, 1.0, setting, *options)
        facts = replica.ready()
        tell(**{state: facts | replica.end()})
