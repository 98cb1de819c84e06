"""A check as text: what was found, what it had to show, and the lines for serve_config.yaml."""

from collections.abc import Iterator, Mapping
from typing import Any

from benchmarks.gpu.advice import advice
from benchmarks.gpu.parts import PARTS
from benchmarks.gpu.report import Report
from benchmarks.gpu.requirements import requirements

_COLUMNS = (
    "set", "images", "median s", "min-max", "sets", "floor", "first set s", "GiB", "UNet",
    "encoder", "PSNR dB",
)  # fmt: skip
_START = ("load_s", "weights_s", "check_s", "compile_s", "warm_up_s")


def lines(report: Report) -> list[str]:
    """Lay a whole report out as lines of text, tables in Markdown."""
    sections = (_head, _sets, _processes, _starts, _pixels, _requirements, _missing, _advice)
    return [line for section in sections for line in (*section(report), "")]


def _head(report: Report) -> Iterator[str]:
    facts, card, weights = report.facts, report.figures("card"), report.figures("weights")
    environment, workload = facts["environment"], facts["workload"]
    versions = ", ".join(f"{name} {one}" for name, one in environment["versions"].items())
    yield f"{report.card}, {facts.get('measured', 'nothing measured')}"
    yield f"commit {environment['commit']}; {versions}"
    yield f"driver: {card.get('driver', 'not asked')}"
    yield f"compiler: {card.get('compiler', 'not looked for')}"
    yield (
        f"{workload['name']}: {workload['images']} images of {workload['image_px']} px, "
        f"{workload['num_inference_steps']} steps at strength {workload['strength']}, guidance "
        f"{workload['guidance_scale']}; weights: {weights.get('kind', 'random')}"
    )
    if "floor_s" in card:
        rates = ", ".join(f"{name} {one:.4g}" for name, one in card["tflop_per_s"].items())
        yield (
            f"floor {card['floor_s']:.3g} s = {card['set_tflop']:.4g} TFLOP over the best rate of "
            f"matrix products (TFLOP/s: {rates}); copies {card['copy_gb_per_s']:.4g} GB/s"
        )


def _sets(report: Report) -> Iterator[str]:
    arms = [
        (f"{arm} ({part})", one)
        for part in ("speed", "compiled")
        for arm, one in report.figures(part).items()
    ]
    if not arms:
        return
    yield from _table_head(_COLUMNS)
    floor_s = report.figures("card").get("floor_s")
    for arm, one in arms:
        if "error" in one:
            yield f"| {arm} | {one['error']} |" + " |" * (len(_COLUMNS) - 2)
            continue
        times, median_s = one["times_s"], one["median_s"]
        per_set = median_s * report.facts["workload"]["images"] / one["images"]
        yield _row((
            arm, one["images"], f"{median_s:.3f}", f"{min(times):.3f}-{max(times):.3f}",
            len(times), f"{per_set / floor_s:.2f}x" if floor_s else "",
            _number(one["first_set_s"], ".1f"), _number(one["memory_gib"], ".1f"),
            one["unet_calls"], one["encoder_calls"], _psnr(one),
        ))  # fmt: skip
    yield ""
    yield (
        "floor: time of a set of the usual size as a multiple of the floor; GiB: weights and the "
        "peak of a set; PSNR: against diffusers' one call (compiled: against eager)."
    )


def _processes(report: Report) -> Iterator[str]:
    processes = report.figures("shares").get("processes", {})
    if not processes:
        return
    names = ("share", "limit_gib", "peak_gib", "reserved_gib", "sets", "median_s")
    yield from _table_head(("process on the card", *names))
    for name, one in processes.items():
        yield _row((name, *(one.get(key, "") for key in names)))
    counted = report.figures("shares").get("driver_counts")
    if counted:
        yield ""
        used, own = counted["card_used"], "; ".join(counted["processes"])
        yield f"the driver counts {used} on the whole card; by process: {own or 'not said'}"


def _starts(report: Report) -> Iterator[str]:
    eager = report.figures("shares").get("eager_start")
    starts = {"eager": eager} if eager else {}
    starts |= {f"compiled, cache {state}": one for state, one in report.figures("start").items()}
    if not starts:
        return
    yield from _table_head(("start of a diffusion replica", *_START))
    for name, one in starts.items():
        yield _row((name, *(one.get(key, "") for key in _START)))


def _pixels(report: Report) -> Iterator[str]:
    figures = report.figures("pixels")
    if figures:
        names = ("PSNR dB", "largest difference", "worst image", "its seed", "equal images")
        yield from _table_head(("ours beside diffusers", *names))
    for precision, one in figures.items():
        both, worst = one["all"], one["worst"]
        cells = (_psnr(both), both["max_difference"], _psnr(worst), one["worst_seed"])
        yield _row((precision, *cells, one["equal_images"]))


def _requirements(report: Report) -> Iterator[str]:
    yield from _table_head(("to show", "", "figures"))
    for one in requirements(report):
        yield _row((one.name, one.word, one.said))


def _missing(report: Report) -> Iterator[str]:
    for part in PARTS:
        one = report.parts.get(part.name, {"status": "not run"})
        if one["status"] != "measured":
            yield f"{part.name} {one['status']}" + (f": {one['error']}" if "error" in one else "")


def _advice(report: Report) -> Iterator[str]:
    yield "For serve_config.yaml:"
    yield from (f"  {line}" for line in advice(report))
    if report.is_tiny:
        yield "  # A trial on the CPU: use none of this."


def _psnr(one: Mapping[str, Any]) -> str:
    return "equal" if one.get("equal") else _number(one.get("psnr_db"), ".1f")


def _number(value: float | None, style: str) -> str:
    return "" if value is None else format(value, style)


def _row(cells: tuple[Any, ...]) -> str:
    return "| " + " | ".join(str(one) for one in cells) + " |"


def _table_head(names: tuple[str, ...]) -> tuple[str, str]:
    return _row(names), "|---" * len(names) + "|"
