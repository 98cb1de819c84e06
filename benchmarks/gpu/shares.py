"""A VAE and two diffusion processes on one card: each within its share."""

import time

from benchmarks.gpu.environment import driver
from benchmarks.gpu.parts import CheckSetting, Tell
from benchmarks.gpu.replicas import Replica
from benchmarks.gpu.workload import DIFFUSION_SHARE, VAE_SHARE
from models.roles import DIFFUSION, VAE


def run(setting: CheckSetting, tell: Tell) -> None:
    """Start one diffusion process alone, which is timed, then the other two beside it."""
    tell("starts a diffusion process")
    first = Replica(DIFFUSION, DIFFUSION_SHARE, setting)
    tell("starts two more", eager_start=(alone := first.ready()))
    too_large = str(setting.workload.too_many_images)
    replicas = {
        VAE: Replica(VAE, VAE_SHARE, setting),
        "diffusion with a set that is too large": Replica(
            DIFFUSION, DIFFUSION_SHARE, setting, "--too-large", too_large
        ),
    }
    facts = {"diffusion": alone, **{name: one.ready() for name, one in replicas.items()}}
    tell("all three make sets")
    time.sleep(setting.workload.busy_s)
    if setting.is_gpu:
        processes = driver("compute-apps=pid,used_memory").splitlines()
        tell(driver_counts={"card_used": driver("gpu=memory.used"), "processes": processes})
    for name, one in {"diffusion": first, **replicas}.items():
        facts[name] |= one.end()
    tell(processes=facts)
