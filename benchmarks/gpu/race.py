"""Arms that are timed side by side: one set of each in turn, so that a slow minute hurts all."""

import gc
import math
import statistics
import sys
from collections.abc import Mapping
from typing import Any

import numpy as np

from benchmarks.gpu.clock import GIB, Clock
from benchmarks.gpu.model_copies import ModelCopies
from benchmarks.gpu.parts import Tell
from benchmarks.gpu.variant import MadeImages, Maker, Variant
from models.interfaces import RGBPixels

_SENTENCE = 300


def sentence_of(error: BaseException) -> str:
    """Return an error as one short line."""
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0] if lines else 'no message'}"[:_SENTENCE]


def psnr_db(pixels: RGBPixels, reference: RGBPixels) -> float | None:
    """Return the peak signal-to-noise ratio of two uint8 sets; None where they are equal."""
    difference = pixels.astype(np.float64) - reference.astype(np.float64)
    mean_square = float(np.mean(difference**2))
    return None if mean_square == 0 else 10 * math.log10(255**2 / mean_square)


def likeness(pixels: RGBPixels, reference: RGBPixels) -> dict[str, Any]:
    """Say how alike two sets are; `psnr_db` is None where they are equal."""
    difference = np.abs(pixels.astype(np.int16) - reference.astype(np.int16))
    return {
        "equal": bool((pixels == reference).all()),
        "psnr_db": psnr_db(pixels, reference),
        "max_difference": int(difference.max()),
        "reference_std": float(reference.std()),
    }


class Race:
    """Prepares arms, warms each up with one set, then times them in turns."""

    def __init__(self, variants: Mapping[str, Variant], model: ModelCopies, clock: Clock) -> None:
        """Take the arms by name, in the order in which they run."""
        self._variants = variants
        self._model = model
        self._clock = clock
        self.makers: dict[str, Maker] = {}
        self.last: dict[str, MadeImages] = {}
        self._errors: dict[str, str] = {}
        self._warm_s: dict[str, float] = {}
        self._times: dict[str, list[float]] = {name: [] for name in variants}
        self._peaks: dict[str, float] = {}

    def run(self, reference: str, tell: Tell) -> None:
        """Tell the figures of each arm, or its error, after each turn.

        Args:
            reference: the arm that pictures of the others are compared with.
            tell: is given the figures of all arms by their names.
        """
        for name in self._variants:
            tell(f"warms up: {name}")
            self._attempt(name, self._warm_up)
        for turn in range(self._model.workload.repetitions):
            for name in list(self.makers):
                if turn < self._repetitions(name):
                    tell(f"set {turn + 1} of {self._repetitions(name)}: {name}")
                    self._attempt(name, self._time)
            tell(**{name: self._figures(name, reference) for name in self._variants})

    def _repetitions(self, name: str) -> int:
        return self._variants[name].repetitions or self._model.workload.repetitions

    def _attempt(self, name: str, step: Any) -> None:
        try:
            step(name)
        except Exception as error:  # whatever a card, a compiler or a backend refuses
            self._errors[name] = sentence_of(error)
            sys.stderr.write(f"twinset: {name}: {self._errors[name]}\n")
            self.makers.pop(name, None)
        # After the except block: its traceback held the tensors of the set that failed.
        if name in self._errors:
            gc.collect()
            self._clock.release()

    def _warm_up(self, name: str) -> None:
        maker = self._variants[name].maker(self._model)
        self.makers[name] = maker
        self._warm_s[name] = self._clock.wall(lambda: self._make(name))

    def _time(self, name: str) -> None:
        before = self._clock.allocated_gib()
        self._times[name].append(self._clock.wall(lambda: self._make(name)))
        peak = self._clock.peak_gib()
        if peak is not None:
            self._peaks[name] = peak - before

    def _make(self, name: str) -> None:
        self.last[name] = self.makers[name]()

    def _figures(self, name: str, reference: str | None) -> dict[str, Any]:
        variant, times = self._variants[name], self._times[name]
        facts: dict[str, Any] = {"variant": variant.facts()}
        if name in self._errors:
            return facts | {"error": self._errors[name]}
        if not times:
            return facts | {"error": "no set was timed"}
        made, median_s = self.last[name], statistics.median(times)
        facts |= {
            "images": len(made.pixels),
            "times_s": times,
            "median_s": median_s,
            "first_set_s": self._warm_s[name],
            "compile_s": self._warm_s[name] - median_s if variant.compile else None,
            "unet_calls": made.unet_calls,
            "encoder_calls": made.encoder_calls,
            "memory_gib": self._memory_gib(name),
        }
        if reference in self.last and reference != name:
            facts["against"] = reference
            # Smaller sets are made of the first seeds.
            facts |= likeness(made.pixels, self.last[reference].pixels[: len(made.pixels)])
        return facts

    def _memory_gib(self, name: str) -> float | None:
        """Return weights and the peak of a set over what lay there; CUDA graphs' pools not."""
        if name not in self._peaks:
            return None
        return self._peaks[name] + self._model.weights_bytes(self._variants[name].precision) / GIB
