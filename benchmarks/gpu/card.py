"""Card, driver, compiler, the rate at which it multiplies matrices, and the floor of a set."""

from dataclasses import asdict

import torch

from benchmarks.gpu.clock import GIB, Clock
from benchmarks.gpu.environment import driver
from benchmarks.gpu.floor import copy_rate, count_operations, matrix_rate
from benchmarks.gpu.parts import CheckSetting, Tell
from models.stable_diffusion.compilation import check_toolchain

_QUERY = "gpu=name,driver_version,memory.total,clocks.max.sm,power.limit,mig.mode.current"


def run(setting: CheckSetting, tell: Tell) -> None:
    """Tell what is here first: it costs nothing."""
    tell("asks the driver", driver=driver(_QUERY), compiler=_compiler(setting.device))
    if setting.is_gpu:
        seen = torch.cuda.get_device_properties(setting.device)
        tell(torch_sees=f"{seen.name}, {seen.total_memory / GIB:.1f} GiB")
    workload, clock = setting.workload, Clock(setting.device)
    operations = count_operations(workload)
    of_set = operations.of_set(workload.images, workload.unet_calls)
    tell("multiplies matrices", operations=asdict(operations), set_tflop=of_set / 1e12)
    rates = {
        str(dtype).removeprefix("torch."): matrix_rate(clock, workload.matrix_side, dtype)
        for dtype in (torch.bfloat16, torch.float16, torch.float32)
    }
    copied = copy_rate(clock, 2 * GIB if clock.is_gpu else GIB // 256)
    tell(
        tflop_per_s={name: rate / 1e12 for name, rate in rates.items()},
        copy_gb_per_s=copied / 1e9,
        floor_s=of_set / max(rates["bfloat16"], rates["float16"]),
    )


def _compiler(device: torch.device) -> str:
    try:
        check_toolchain(device)
    except ValueError as error:
        return str(error)
    return "there is one, with Python's headers"
