"""A share of a card that is too small: a replica refuses to start, and says what it needs."""

import torch

from benchmarks.gpu.clock import GIB
from benchmarks.gpu.parts import CheckSetting, Tell
from benchmarks.gpu.replicas import Replica
from models.roles import DIFFUSION

SHARES_GIB = {"less than the weights": 2.5, "less than a set": 4.5}
"""With CUDA's own 0.85 GiB, less than the weights in float16 (2.55 GiB), and less than a set beside
them (7 GiB): by bytes, so that they are too small on every card."""


def run(setting: CheckSetting, tell: Tell) -> None:
    """Start both at once and tell their sentences."""
    if not setting.is_gpu:
        tell(unmeasured="a CPU has no shares of memory")
        return
    total_gib = torch.cuda.get_device_properties(setting.device).total_memory / GIB
    tell("starts two replicas that cannot fit")
    replicas = {
        name: Replica(DIFFUSION, gib / total_gib, setting) for name, gib in SHARES_GIB.items()
    }
    tell(sentences={name: one.refusal() for name, one in replicas.items()})
