"""Memory that large requests and answers took goes back to the system.

glibc keeps what is freed for later, and takes ever larger blocks from its heaps the more of them it
has seen (`mallopt(3)`, M_MMAP_THRESHOLD). Bodies of 26 MB and answers of 10 MB, in a dozen threads
with a heap each, leave holes that nothing fits into: an ingress replica grew to 500 MB and on. With
a fixed threshold each large block is a mapping of its own, which ends with it.
"""

import ctypes

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8
_LARGE_BYTES = 256 * 1024
_ARENAS = 2


def give_back_large_blocks() -> bool:
    """Set this process's allocator so; False where it is none that can be told."""
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError):  # another C library
        return False
    return all(
        mallopt(option, value)
        for option, value in (
            (_M_MMAP_THRESHOLD, _LARGE_BYTES),
            (_M_TRIM_THRESHOLD, 4 * _LARGE_BYTES),
            (_M_ARENA_MAX, _ARENAS),
        )
    )
