"""Where a model computes: the device and the CPU threads, set once per replica."""

import torch


def prepare_device(device: str, torch_threads: int | None) -> torch.device:
    """Check the device and set torch's CPU threads for this process.

    Ray sets OMP_NUM_THREADS to the replica's whole CPUs, at least 1, so a replica with a fraction
    of a CPU would compute on one thread; the serving configuration says what it really may use.

    Raises:
        RuntimeError: `device` names a GPU and there is none. A model never moves to the CPU in
            silence: it would answer, a hundred times slower.
    """
    if torch_threads is not None:
        torch.set_num_threads(torch_threads)
    target = torch.device(device)
    if target.type == "cuda" and not torch.cuda.is_available():
        raise RuntimeError(
            f"device is {device!r} but torch sees no GPU here: give the replica one (num_gpus) "
            "or set device to 'cpu'"
        )
    return target
