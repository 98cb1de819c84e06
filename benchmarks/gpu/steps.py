"""No step of a set waits for the GPU: whatever reads from it there raises an error."""

import torch

from benchmarks.gpu.parts import CheckSetting, Tell
from benchmarks.gpu.variant import Variant, sample
from benchmarks.gpu.weights import model_of


def run(setting: CheckSetting, tell: Tell) -> None:
    """Make a set whose steps may not wait, and see that the watch would have noticed one."""
    if not setting.is_gpu:
        tell(unmeasured="a CPU is not waited for")
        return
    model = model_of(setting, tell)
    sampler, seeds = Variant("ours").sampler(model), range(setting.workload.images)
    sample(sampler, model, seeds)  # the first set loads kernels
    told: list[int] = []

    def on_step(step: int, total: int) -> None:
        told.append(step)
        # From here on whatever waits for the GPU, such as reading a number from it, raises.
        torch.cuda.set_sync_debug_mode("default" if step == total else "error")

    try:
        sample(sampler, model, seeds, on_step)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    tell(steps=len(told), expected=setting.workload.unet_calls, watch_works=_is_noticed(setting))


def _is_noticed(setting: CheckSetting) -> bool:
    number = torch.ones(1, device=setting.device)
    torch.cuda.set_sync_debug_mode("error")
    try:
        number.item()
    except RuntimeError:
        return True
    finally:
        torch.cuda.set_sync_debug_mode("default")
    return False
