"""How long the work that was let in will take, learnt from the sets that were made."""

import math
from collections.abc import Callable

from models.parameters import ImageToImageParameters, Parameters

_SMOOTHING = 0.1


def work_of(parameters: Parameters, images: int) -> int:
    """Return the work of a set: images times denoising steps; a VAE's set has one step."""
    if isinstance(parameters, ImageToImageParameters):
        return images * max(1, int(parameters.num_inference_steps * parameters.strength))
    return images


class Backlog:
    """The work under way for one model, as this ingress replica knows it.

    Others' work is not seen here: each ingress replica counts on its share of the model's replicas.
    """

    def __init__(self, replicas: Callable[[], float]) -> None:
        """Take a function that returns how many model replicas work for this ingress replica."""
        self._replicas = replicas
        self._work = 0
        self._unit_s: float | None = None

    def add(self, work: int) -> None:
        """Count work that was let in; negative when it has left."""
        self._work += work

    def observe(self, work: int, taken_s: float) -> None:
        """Learn from a set that a model has made in so many seconds."""
        unit_s = taken_s / work
        if self._unit_s is None:
            self._unit_s = unit_s
        self._unit_s += _SMOOTHING * (unit_s - self._unit_s)

    def ahead_s(self) -> float:
        """Return the seconds that the work under way will take; 0 before any set was made."""
        return self._seconds(self._work) / max(self._replicas(), 0.1)

    def own_s(self, work: int) -> float:
        """Return the seconds that a set takes by itself, on one replica."""
        return self._seconds(work)

    def retry_after_s(self, most_s: float) -> int:
        """Return after how many seconds to come again: when half of what is under way is done.

        Sooner, everybody who was turned away would find the places taken by each other; later,
        replicas would wait for callers.
        """
        return math.ceil(min(max(1.0, self.ahead_s() / 2), max(1.0, most_s)))

    def _seconds(self, work: int) -> float:
        return work * (self._unit_s or 0.0)
