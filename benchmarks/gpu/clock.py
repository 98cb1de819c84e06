"""Time on a device that works on its own: on a GPU a call returns before its work is done."""

import time
from collections.abc import Callable
from typing import Any

import torch

GIB = 2**30
_WARM_UP = 3


class Clock:
    """Times work of one device, and its memory where the device is a GPU."""

    def __init__(self, device: torch.device) -> None:
        """Take the device."""
        self.device = device
        self.is_gpu = device.type == "cuda"

    def synchronize(self) -> None:
        """Wait until the device has nothing left to do."""
        if self.is_gpu:
            torch.cuda.synchronize(self.device)

    def wall(self, run: Callable[[], Any]) -> float:
        """Return the seconds of one run, from an idle device to an idle device."""
        self.synchronize()
        started = time.perf_counter()
        run()
        self.synchronize()
        return time.perf_counter() - started

    def each(self, run: Callable[[], Any], times: int) -> float:
        """Return the seconds of one of many runs in a row, by the device's own clock on a GPU."""
        for _ in range(_WARM_UP):
            run()
        if not self.is_gpu:
            return self.wall(lambda: [run() for _ in range(times)]) / times
        self.synchronize()
        before, after = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        before.record()
        for _ in range(times):
            run()
        after.record()
        self.synchronize()
        return before.elapsed_time(after) / 1000 / times

    def allocated_gib(self) -> float:
        """Return what tensors take of the GPU; 0 without one. Peaks count from here on."""
        if not self.is_gpu:
            return 0.0
        torch.cuda.reset_peak_memory_stats(self.device)
        return torch.cuda.memory_allocated(self.device) / GIB

    def peak_gib(self) -> float | None:
        """Return the most that tensors took since `allocated_gib` was asked; None without a GPU."""
        if not self.is_gpu:
            return None
        return torch.cuda.max_memory_allocated(self.device) / GIB

    def release(self) -> None:
        """Hand back what nothing holds any more."""
        if self.is_gpu:
            torch.cuda.empty_cache()
