"""Steps that are queued ahead of a device, and told of when they are done."""

from collections import deque
from collections.abc import Callable
from typing import Protocol

import torch

from models.interfaces import StepCallback

_IN_FLIGHT = 2


class Mark(Protocol):
    """Stands in a device's queue, behind all work queued before it."""

    def synchronize(self) -> None:
        """Wait until the device has come to the mark."""
        ...


class StepPacer:
    """Keeps at most two steps in a device's queue, and tells of each when it is done.

    With one step in the queue the device would idle while the next one is being queued. With all
    of them a caller would see every step at once, could end none, and would not notice that the
    device hangs.
    """

    def __init__(
        self, total: int, on_step: StepCallback, mark: Callable[[], Mark] | None = None
    ) -> None:
        """Take the number of steps, whom to tell, and what marks the end of what is queued.

        Args:
            total: number of steps.
            on_step: called with 1, 2, ... `total`, in order; what it raises goes through.
            mark: puts a mark into the device's queue; None where nothing is queued, because a
                step is done when its call returns.
        """
        self._total = total
        self._on_step = on_step
        self._mark = mark
        self._marks: deque[Mark] = deque()
        self._told = 0

    def queued(self) -> None:
        """Note that a step was queued; wait until there is room for the next one."""
        if self._mark is None:
            self._tell()
            return
        self._marks.append(self._mark())
        if len(self._marks) >= _IN_FLIGHT:
            self._wait()

    def finish(self) -> None:
        """Wait for the steps that are still in the queue, and tell of them."""
        while self._marks:
            self._wait()

    def _wait(self) -> None:
        self._marks.popleft().synchronize()
        self._tell()

    def _tell(self) -> None:
        self._told += 1
        self._on_step(self._told, self._total)


def end_marker(device: torch.device) -> Callable[[], Mark] | None:
    """Return what puts a mark into a GPU's queue, None for devices without one."""
    if device.type != "cuda":
        return None

    def mark() -> Mark:
        # Blocking: to wait in a busy loop would take a core from the threads that encode images.
        event = torch.cuda.Event(blocking=True)
        event.record(torch.cuda.current_stream(device))
        return event

    return mark
