"""The tables of a run, as Markdown that reads well on a terminal, too."""

from collections.abc import Iterable, Sequence

from benchmarks.side_by_side.arms import DIFFUSERS
from benchmarks.side_by_side.figures import Row, rows
from benchmarks.side_by_side.parts import Part, parts
from benchmarks.side_by_side.ratios import Spread
from benchmarks.side_by_side.records import Floor, Run, problems
from benchmarks.side_by_side.verdicts import Verdict, verdicts

_SMOKE = "**A smoke run: one set for each client. Nothing here is a result.**"


def report(run: Run) -> str:
    """Return everything that is to be read of a run."""
    found = rows(run)
    sections = [
        _facts(run),
        _SMOKE if run.settings["is_smoke"] else "",
        "### Times and throughput\n\n" + times(found, run.floor),
        "### What a set costs\n\n" + costs(found),
        "### Promised and measured\n\n" + judgements(verdicts(run)),
        "### Where the time of a set over HTTP goes (one client)\n\n" + itemised(parts(run)),
        "### The floor\n\n" + floor(run.floor) if run.floor else "",
        "### What went wrong\n\n" + wrong(run, found),
    ]
    return "\n\n".join(section for section in sections if section) + "\n"


def times(found: Sequence[Row], hardware: Floor | None) -> str:
    """Lay out how long sets take."""
    head = (
        "arm",
        "clients",
        "seconds a set",
        "sets a minute",
        "p50 s",
        "p95 s",
        "first image s",
        "right sets",
        "wrong",
        "failed",
    )
    lines: list[tuple[str, ...]] = [
        (
            _name(row),
            str(row.clients),
            _spread(row.set_s, 2),
            _spread(row.sets_per_min, 1),
            _number(row.p50_s, 2),
            _number(row.p95_s, 2),
            _number(row.first_image_s, 2),
            str(row.right),
            str(row.wrong),
            str(row.failed),
        )
        for row in found
    ]
    if hardware is not None:
        of_floor = (f"{hardware.set_s:.2f}", f"{60 / hardware.set_s:.1f}")
        lines.append(("*floor of the hardware*", "", *of_floor, *[""] * 6))
    return _table(head, lines)


def costs(found: Sequence[Row]) -> str:
    """Lay out what sets take of the machine."""
    head = (
        "arm",
        "clients",
        "CPU s a set",
        "PNG encoding ms",
        "kB received",
        "peak RSS MiB",
        "PSS MiB",
        "UNet calls",
        "encoder calls",
        "max pixel difference",
    )
    return _table(
        head,
        [
            (
                _name(row),
                str(row.clients),
                _number(row.cpu_s, 2),
                _number(row.encode_ms, 1),
                _number(None if row.bytes_received is None else row.bytes_received / 1000, 0),
                _number(row.peak_rss_mib, 0),
                _number(row.pss_mib, 0),
                _counts(row.unet_calls),
                _counts(row.encoder_calls),
                _number(row.max_difference, 0),
            )
            for row in found
        ],
    )


def judgements(found: Sequence[Verdict]) -> str:
    """Lay out the targets and what became of them."""
    head = ("target", "bound", "measured", "95 % interval", "verdict")
    known = [one for one in found if one.judgement != "not measured"]
    lines = [(one.target, one.bound, one.figure, one.interval, _judgement(one)) for one in known]
    left_out = len(found) - len(known)
    rest = f"\n\n{left_out} further targets were not measured in this run." if left_out else ""
    return _table(head, lines) + rest


def itemised(found: Sequence[Part]) -> str:
    """Lay out the parts of a set."""
    if not found:
        return "Not measured: it needs (c) and (d) with one client."
    lines = [(one.name, _number(one.http_ms, 1), _number(one.process_ms, 1)) for one in found]
    return _table(("part, median", "over HTTP ms", "in process ms"), lines)


def floor(hardware: Floor) -> str:
    """Lay out the arithmetic of a set and what the machine reached."""
    parts_of_it = [(part, f"{flop / 1e9:.1f} GFLOP") for part, flop in hardware.set_flop.items()]
    by_rate = sorted(hardware.rates_gflop_s.items(), key=lambda one: -one[1])
    rates = [(name, f"{rate:.0f} GFLOP/s") for name, rate in by_rate]
    return _table(("of one set, or reached by", "amount"), [*parts_of_it, *rates])


def wrong(run: Run, found: Sequence[Row]) -> str:
    """Say which sets did not count, and why."""
    lines = []
    for row in found:
        counted = problems(run.of(row.arm.key, row.clients))
        said = [f"{count} x {problem}" for problem, count in counted.items()]
        if row.wrong:
            said.append(f"{row.wrong} with other pixels (up to {row.max_difference} of 255)")
        if said:
            lines.append(f"- {_name(row)}, {row.clients}: {', '.join(said)}")
    return "\n".join(lines) or "Nothing: every set of every arm came, with the right pixels."


def _facts(run: Run) -> str:
    about, settings = run.circumstances, run.settings
    machine, versions = about["machine"], about["versions"]
    named = ", ".join(f"{name} {version}" for name, version in versions.items())
    idle = ""
    if run.idle_cpu_percent is not None:
        idle = (
            f" All idle processes together, paused, took {run.idle_cpu_percent:.0f} % of one core."
        )
    return (
        f"Measured {about['measured']} at commit {about['commit']} on {machine['cores']} cores of "
        f"{machine['processor']}, {machine['memory_gib']} GiB; repetitions: {run.repetitions}, "
        f"order shuffled in each. Every set is {settings['images']} images of 128 px, "
        f"{settings['num_inference_steps']} steps at strength {settings['strength']}, guidance "
        f"{settings['guidance_scale']}, {settings['torch_threads']} torch threads. Medians, with "
        f"the range over the repetitions. Pixels are compared with those of "
        f"{DIFFUSERS.title}.{idle} Versions: {named}."
    )


def _name(row: Row) -> str:
    letter = f"({row.arm.letter}) " if len(row.arm.letter) == 1 else ""
    return letter + row.arm.title


def _judgement(one: Verdict) -> str:
    if one.is_clear:
        return one.judgement
    return f"{one.judgement}, but the interval crosses the bound"


def _spread(value: Spread | None, digits: int) -> str:
    if value is None:
        return "-"
    return f"{value.median:.{digits}f} ({value.least:.{digits}f}-{value.most:.{digits}f})"


def _number(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def _counts(values: Sequence[int]) -> str:
    return ", ".join(map(str, values)) or "-"


def _table(head: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    """Lay cells out with columns of equal width; all but the first are flush right."""
    cells = [head, *lines]
    widths = [max(len(line[column]) for line in cells) for column in range(len(head))]
    rule = [f"{'-' * (width - 1)}{':' if column else '-'}" for column, width in enumerate(widths)]
    laid = [_line(line, widths) for line in cells]
    return "\n".join([laid[0], "| " + " | ".join(rule) + " |", *laid[1:]])


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    first = cells[0].ljust(widths[0])
    rest = [cell.rjust(width) for cell, width in zip(cells[1:], widths[1:], strict=True)]
    return "| " + " | ".join([first, *rest]) + " |"
