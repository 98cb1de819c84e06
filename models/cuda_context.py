"""How much memory of a card the CUDA context of this process takes."""

import os
from typing import Any

import torch

try:
    import pynvml
except ImportError:  # where torch stands alone, as for the bare form of `make gpu-check`
    pynvml: Any = None  # type: ignore[no-redef]

GIB = 2**30
DEFAULT_BYTES = int(0.6 * GIB)
"""Of a context that cannot be measured: no NVML, or others started on the card meanwhile."""
_LEAST_BYTES = int(0.1 * GIB)
_UUID_PREFIXES = ("GPU-", "MIG-")  # torch leaves them out; a slice of a card has the second


def context_bytes(device: torch.device, uuid: str) -> int:
    """Create the CUDA context and return what it takes.

    By NVML's count of this process; where that is not to be had, as in a container, whose process
    ids NVML does not know, by the growth of what the whole card has in use. A neighbour that starts
    at the same moment makes that growth too large, so it counts up to the default alone.

    Args:
        device: a GPU.
        uuid: of it, as torch says it.
    """
    handle = _handle(uuid)
    before = _used_bytes(handle)
    torch.zeros(1, device=device)
    torch.cuda.synchronize(device)
    allocated = torch.cuda.memory_reserved(device)
    own = _own_bytes(handle)
    if own is not None:
        return max(_LEAST_BYTES, own - allocated)
    after = _used_bytes(handle)
    if before is None or after is None or after - before - allocated < _LEAST_BYTES:
        return DEFAULT_BYTES
    return min(after - before - allocated, DEFAULT_BYTES)


def _handle(uuid: str) -> object | None:
    if pynvml is None:
        return None
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return None
    for prefix in _UUID_PREFIXES:
        try:
            found: object = pynvml.nvmlDeviceGetHandleByUUID(f"{prefix}{uuid}")
        except pynvml.NVMLError:
            continue
        return found
    return None


def _own_bytes(handle: object | None) -> int | None:
    """Return what NVML counts for this process, None where it does not."""
    if handle is None:
        return None
    try:
        processes = pynvml.nvmlDeviceGetComputeRunningProcesses(handle)
    except pynvml.NVMLError:
        return None
    own = [one.usedGpuMemory for one in processes if one.pid == os.getpid()]
    return own[0] if own and own[0] else None


def _used_bytes(handle: object | None) -> int | None:
    if handle is None:
        return None
    try:
        used: int = pynvml.nvmlDeviceGetMemoryInfo(handle).used
    except pynvml.NVMLError:
        return None
    return used
