"""Where a model computes: the device and the CPU threads, set once per replica."""

import torch

_NEEDED = {"13": "driver 580 or later and cards of compute capability 7.5 or later"}
"""By the CUDA version that torch is built for."""


def prepare_device(device: str, torch_threads: int | None = None) -> torch.device:
    """Check the device, make it the current one, and set torch's CPU threads for this process.

    Ray sets OMP_NUM_THREADS to the replica's whole CPUs, at least 1, so a replica with a fraction
    of a CPU would compute on one thread; the serving configuration says what it really may use.

    Returns:
        The device; a GPU always has its index ("cuda" becomes "cuda:0"), because some of torch's
        functions refuse one without.

    Raises:
        RuntimeError: `device` names a GPU and there is none, or not that one. A model never moves
            to the CPU in silence: it would answer, a hundred times slower.
    """
    if torch_threads is not None:
        torch.set_num_threads(torch_threads)
    target = torch.device(device)
    return _prepare_gpu(target) if target.type == "cuda" else target


def _prepare_gpu(asked: torch.device) -> torch.device:
    if not torch.cuda.is_available():
        raise RuntimeError(
            f"device is {str(asked)!r} but torch sees no GPU here: give the replica one (num_gpus) "
            f"or set device to 'cpu'{_what_the_driver_sees()}"
        )
    target, visible = with_index(asked), torch.cuda.device_count()
    if target.index >= visible:
        raise RuntimeError(
            f"device is {str(asked)!r} but torch sees {visible} GPU(s) here, counted from 0: Ray "
            "shows a replica only its own; set device to 'cuda'"
        )
    # Calls that name no device, in torch and in libraries, mean this one from here on.
    torch.cuda.set_device(target)
    # Without this torch computes convolutions of float32 in TF32, which has 10 bits of mantissa:
    # "float32" is to mean float32, on every card.
    torch.backends.cudnn.conv.fp32_precision = "ieee"  # type: ignore[attr-defined]
    torch.backends.cuda.matmul.fp32_precision = "ieee"
    return target


def _what_the_driver_sees() -> str:
    """Return a sentence on cards that NVML knows and torch does not; empty without one."""
    try:
        import pynvml  # not where torch alone is installed, as for `make gpu-check`'s bare form
    except ImportError:
        return ""
    try:
        pynvml.nvmlInit()
        count, driver = pynvml.nvmlDeviceGetCount(), pynvml.nvmlSystemGetDriverVersion()
    except pynvml.NVMLError:
        return ""
    built_for = torch.version.cuda or ""
    needed = _NEEDED.get(built_for.partition(".")[0], "a driver that knows it")
    found = f". This machine has {count} GPU(s) and driver {driver}"
    return f"{found}: torch {torch.__version__} is built for CUDA {built_for}, which needs {needed}"


def with_index(device: torch.device) -> torch.device:
    """Return a GPU with its index, the current one's where it has none; others as they are."""
    if device.type != "cuda" or device.index is not None:
        return device
    return torch.device("cuda", torch.cuda.current_device())
