"""The figures as text: sets, where their time goes, attention, pictures, predictions."""

from collections.abc import Iterator, Mapping
from typing import Any

from benchmarks.gpu_speed.predictions import measured
from benchmarks.gpu_speed.report import Report

_PASSED_OVER = ("card", "gaps_float16", "quality", "attention_kernels")
_COLUMNS = (
    "cell", "arm", "images", "median s", "min-max", "sets", "floor", "compile s", "GiB",
    "UNet", "enc.", "PSNR dB",
)  # fmt: skip


def lines(report: Report) -> list[str]:
    """Lay a whole report out as lines of text, tables in Markdown."""
    parts = (_head, _sets, _gaps, _attention, _quality, _predictions, _missing)
    return [line for part in parts for line in (*part(report), "")]


def _head(report: Report) -> Iterator[str]:
    facts, card = report.facts, report.figures("card")
    machine, workload = facts["machine"], facts["workload"]
    versions = ", ".join(f"{name} {one}" for name, one in machine["versions"].items())
    yield f"{machine['card']}, {facts.get('measured', 'nothing measured')}"
    yield f"commit {machine['commit']}; {versions}"
    yield (
        f"{workload['name']}: {workload['images']} images of {workload['image_px']} px, "
        f"{workload['num_inference_steps']} steps at strength {workload['strength']}, guidance "
        f"{workload['guidance_scale']}, random weights"
    )
    if card:
        yield (
            f"floor {card['floor_s']:.3g} s = {card['set_tflop']:.4g} TFLOP over "
            f"{card['bfloat16_tflop_per_s']:.4g} TFLOP/s (bfloat16, measured; float16 "
            f"{card['float16_tflop_per_s']:.4g}); copies {card['copy_gb_per_s']:.4g} GB/s"
        )


def arms(report: Report) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield cell, arm and figures of all sets that were timed, or failed."""
    for cell in report.cells:
        if cell in _PASSED_OVER:
            continue
        for arm, figures in report.figures(cell).items():
            if "times_s" in figures or "error" in figures:
                yield cell, arm, figures


def _sets(report: Report) -> Iterator[str]:
    yield from _table_head(_COLUMNS)
    floor_s = report.figures("card").get("floor_s")
    for cell, arm, one in arms(report):
        if "error" in one:
            yield f"| {cell} | {arm} | {one['error']} |" + " |" * (len(_COLUMNS) - 3)
            continue
        times, median_s = one["times_s"], one["median_s"]
        per_set = median_s * report.facts["workload"]["images"] / one["images"]
        share = f"{per_set / floor_s:.2f}x" if floor_s else ""
        cells = (
            cell, arm, one["images"], f"{median_s:.3f}", f"{min(times):.3f}-{max(times):.3f}",
            len(times), share, _number(one["compile_s"], ".0f"), _number(one["memory_gib"], ".1f"),
            one["unet_calls"], one["encoder_calls"], _psnr(one),
        )  # fmt: skip
        yield _row(cells)
    yield ""
    yield (
        "floor: time of a set of the usual size as a multiple of the floor; GiB: weights and the "
        "peak of a set; PSNR: against the arm named in the JSON, equal where every pixel is."
    )


def _gaps(report: Report) -> Iterator[str]:
    every = {
        "eager": report.figures("gaps_float16").get("eager"),
        "best": report.figures("best_again").get("gaps"),
    }
    found = {name: one for name, one in every.items() if one}
    if not found:
        return
    names = ("wall_s", "busy_s", "png_4_threads_s", "png_defaults_1_thread_s", "non_gpu_s")
    yield from _table_head(("where a set's time goes", *names, "unet", "decode", "encode"))
    for name, one in found.items():
        spans = one["spans_s"]
        values = [one.get(key) for key in names]
        values += [spans.get(key) for key in ("unet", "decode", "encode")]
        yield _row((name, *(_number(value, ".4f") for value in values)))


def _attention(report: Report) -> Iterator[str]:
    figures = report.figures("attention_kernels")
    if figures:
        yield from _table_head(("attention", "microseconds", "TFLOP/s"))
    for name, one in figures.items():
        if "error" in one:
            yield _row((name, one["error"], ""))
        else:
            yield _row((name, f"{one['microseconds']:.0f}", f"{one['tflop_per_s']:.0f}"))


def _quality(report: Report) -> Iterator[str]:
    figures = report.figures("quality")
    if figures:
        yield from _table_head(("pictures", "PSNR dB", "largest difference", "reference std"))
    for name, one in figures.items():
        yield _row((name, _psnr(one), one["max_difference"], f"{one['reference_std']:.0f}"))


def _predictions(report: Report) -> Iterator[str]:
    yield from _table_head(("predicted", "value", "measured", "measured / predicted"))
    for one in report.facts["predictions"]:
        figures = report.figures(one["cell"])
        found = measured(one, figures)
        name = f"{one['cell']}: {one['figure']}"
        ratio = f"{found / one['value']:.2f}" if found is not None else ""
        shown = f"{found:.3g}" if found is not None else _why(one, figures)
        yield _row((name, f"{one['value']:g} {one['unit']}", shown, ratio))


def _why(prediction: Mapping[str, Any], figures: Mapping[str, Any]) -> str:
    """Say why there is no figure: equal pictures have no PSNR, and what did not run has nothing."""
    arm, _, last = prediction["figure"].rpartition("/")
    one = figures.get(arm, {})
    if last == "psnr_db" and one.get("equal"):
        return "equal"
    return "failed" if "error" in one else "unmeasured"


def _missing(report: Report) -> Iterator[str]:
    for name, one in report.cells.items():
        if one["status"] != "measured":
            yield f"{name} {one['status']}: {one.get('error', 'see its arms')}"


def _psnr(one: Mapping[str, Any]) -> str:
    return "equal" if one.get("equal") else _number(one.get("psnr_db"), ".1f")


def _number(value: float | None, style: str) -> str:
    return "" if value is None else format(value, style)


def _row(cells: tuple[Any, ...]) -> str:
    return "| " + " | ".join(str(one) for one in cells) + " |"


def _table_head(names: tuple[str, ...]) -> tuple[str, str]:
    return _row(names), "|---" * len(names) + "|"
