"""Tells errors of a GPU from errors of the model that runs on it."""

import torch


def is_out_of_memory(error: RuntimeError) -> bool:
    """Say whether memory was short: in torch's allocator, or where CUDA and cuBLAS take theirs."""
    if isinstance(error, torch.OutOfMemoryError):
        return True
    text = str(error)
    short = isinstance(error, torch.AcceleratorError) and "out of memory" in text
    return short or "CUBLAS_STATUS_ALLOC_FAILED" in text or "CUDNN_STATUS_ALLOC_FAILED" in text


def is_device_lost(error: RuntimeError) -> bool:
    """Say whether a GPU's context is dead after an error that is not one of memory.

    Libraries such as cuBLAS raise errors of their own for it; CUDA then says so when it is asked.
    """
    if isinstance(error, torch.AcceleratorError):
        return True
    if not torch.cuda.is_initialized():
        return False
    try:
        torch.cuda.synchronize()
    except RuntimeError:
        return True
    return False
