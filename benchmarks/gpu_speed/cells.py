"""What is measured, in the order of its importance."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import torch

from benchmarks.gpu_speed.attention import attention_kernels
from benchmarks.gpu_speed.clock import GIB, Clock
from benchmarks.gpu_speed.deadline import Deadline
from benchmarks.gpu_speed.floor import copy_rate, count_operations, matrix_rate
from benchmarks.gpu_speed.gaps import gaps
from benchmarks.gpu_speed.quality import quality
from benchmarks.gpu_speed.race import Race
from benchmarks.gpu_speed.random_model import RandomModel
from benchmarks.gpu_speed.report import Report
from benchmarks.gpu_speed.variant import BACKENDS, Variant
from benchmarks.gpu_speed.workload import Workload

EAGER = Variant("ours")
COMPILED = Variant("ours", channels_last=True, compile="default")
DIFFUSERS = Variant("diffusers")
NOTEBOOK = Variant("notebook", repetitions=2)


class Bench:
    """What a cell may use; the model is built when the first cell asks for it."""

    def __init__(
        self, workload: Workload, clock: Clock, deadline: Deadline, report: Report
    ) -> None:
        """Take what is the same for all cells."""
        self.workload = workload
        self.clock = clock
        self.deadline = deadline
        self.report = report
        self._model: RandomModel | None = None

    @property
    def model(self) -> RandomModel:
        """The random weights."""
        if self._model is None:
            self._model = RandomModel(self.workload, self.clock.device)
        return self._model

    def race(self, variants: Mapping[str, Variant], reference: str | None = None) -> dict[str, Any]:
        """Time some ways to make a set side by side."""
        return Race(variants, self.model, self.clock, self.deadline).run(reference)


@dataclass(frozen=True)
class Cell:
    """One entry of the measurement.

    Attributes:
        name: in the JSON file and on the command line.
        estimate_s: on an H100, unmeasured: with less time left it is not begun.
        run: measures and returns figures.
        is_stale: says that what an earlier command measured must be measured again.
    """

    name: str
    estimate_s: float
    run: Callable[[Bench], dict[str, Any]]
    is_stale: Callable[[Report], bool] = lambda report: False


def _sets(reference: str, **variants: Variant) -> Callable[[Bench], dict[str, Any]]:
    return lambda bench: bench.race(variants, reference)


def measure_card(bench: Bench) -> dict[str, Any]:
    """Measure the rates of the card and compute the floor of a set."""
    workload, clock = bench.workload, bench.clock
    operations = count_operations(workload)
    of_set = operations.of_set(workload.images, workload.unet_calls)
    rate = matrix_rate(clock, workload.matrix_side, torch.bfloat16)
    size_bytes = 2 * GIB if clock.is_gpu else GIB // 256
    return {
        "operations": asdict(operations),
        "set_tflop": of_set / 1e12,
        "unet_calls": workload.unet_calls,
        "bfloat16_tflop_per_s": rate / 1e12,
        "float16_tflop_per_s": matrix_rate(clock, workload.matrix_side, torch.float16) / 1e12,
        "copy_gb_per_s": copy_rate(clock, size_bytes) / 1e9,
        "floor_s": of_set / rate,
    }


def _gaps(bench: Bench) -> dict[str, Any]:
    return {"eager": gaps(EAGER, bench.model, bench.clock)}


def _quality(bench: Bench) -> dict[str, Any]:
    return quality(bench.model)


def _attention(bench: Bench) -> dict[str, Any]:
    return attention_kernels(bench.workload, "float16", bench.clock)


def _attention_sets(bench: Bench) -> dict[str, Any]:
    forced = {name: Variant("ours", attention=name, repetitions=3) for name in BACKENDS}
    return bench.race({"default": EAGER, **forced}, "default")


def _many_images(bench: Bench) -> dict[str, Any]:
    # Eager alone: a replica compiles for no more than a request may ask for (models.seeds).
    many = bench.workload.many_images
    variants = {"diffusers": DIFFUSERS.resized(many), "eager": EAGER.resized(many)}
    return bench.race(variants, "diffusers")


def _half_set(bench: Bench) -> dict[str, Any]:
    return bench.race({"eager": EAGER.resized(bench.workload.half_images)})


def best_variant(report: Report) -> Variant:
    """Return the fastest way of ours to make a set of the usual size, of those measured so far.

    Raises:
        ValueError: none was measured.
    """
    arms = [
        arm
        for cell in report.cells
        if not cell.startswith("best")
        for arm in report.figures(cell).values()
        if isinstance(arm, dict) and "median_s" in arm
    ]
    ours = [
        arm for arm in arms if arm["variant"]["kind"] == "ours" and not arm["variant"]["images"]
    ]
    if not ours:
        raise ValueError("no set of ours was measured yet: run the cell eager_float16 first")
    return Variant(**min(ours, key=lambda arm: float(arm["median_s"]))["variant"])


def _best_again(bench: Bench) -> dict[str, Any]:
    best = best_variant(bench.report)
    variants = {"notebook": NOTEBOOK, "diffusers": DIFFUSERS, "best": _unhurried(best)}
    figures = bench.race(variants, "diffusers")
    return figures | {"gaps": gaps(best, bench.model, bench.clock)}


def _best_half(bench: Bench) -> dict[str, Any]:
    best = _unhurried(best_variant(bench.report)).resized(bench.workload.half_images)
    return bench.race({"best": best})


def _unhurried(variant: Variant) -> Variant:
    return Variant(**variant.facts() | {"repetitions": None})


def _another_is_best(cell: str) -> Callable[[Report], bool]:
    def is_stale(report: Report) -> bool:
        then = report.figures(cell).get("best", {}).get("variant")
        now = _unhurried(best_variant(report)).facts()
        return then is not None and then | {"images": None} != now

    return is_stale


def _compiled(**changes: Any) -> Callable[[Bench], dict[str, Any]]:
    return _sets("eager", eager=EAGER, compiled=Variant(**COMPILED.facts() | changes))


def _compiled_bfloat16(bench: Bench) -> dict[str, Any]:
    eager = Variant("ours", "bfloat16")
    compiled = Variant("ours", "bfloat16", channels_last=True, compile="default")
    return bench.race({"eager": eager, "compiled": compiled}, "eager")


CELLS = (
    Cell("card", 20, measure_card),
    Cell(
        "eager_float16",
        80,
        _sets(
            "diffusers",
            notebook=NOTEBOOK,
            diffusers=DIFFUSERS,
            eager=EAGER,
            channels_last=Variant("ours", channels_last=True),
        ),
    ),
    Cell("gaps_float16", 30, _gaps),
    Cell("compile_default", 150, _compiled()),
    Cell("quality", 70, _quality),
    Cell("attention_kernels", 15, _attention),
    Cell("attention_sets", 60, _attention_sets),
    Cell(
        "eager_bfloat16",
        40,
        _sets(
            "diffusers",
            diffusers=Variant("diffusers", "bfloat16"),
            eager=Variant("ours", "bfloat16"),
        ),
    ),
    Cell("many_images", 60, _many_images),
    Cell("half_set", 15, _half_set),
    Cell(
        "compile_max_autotune_no_cudagraphs", 300, _compiled(compile="max-autotune-no-cudagraphs")
    ),
    Cell("compile_reduce_overhead", 150, _compiled(compile="reduce-overhead")),
    Cell("best_again", 150, _best_again, _another_is_best("best_again")),
    Cell("best_half_set", 180, _best_half, _another_is_best("best_half_set")),
    Cell("compile_max_autotune", 330, _compiled(compile="max-autotune")),
    Cell("compile_default_contiguous", 150, _compiled(channels_last=False)),
    Cell("compile_default_bfloat16", 150, _compiled_bfloat16),
)
