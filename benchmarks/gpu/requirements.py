"""What a check has to show, and whether it did."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from benchmarks.gpu.report import Report

_HOPPER = ("H100", "H200")
NOTEBOOK_RATIO, SET_S, DIFFUSERS_RATIO = 4.0, 1.4, 1.03
FLOAT32_DIFFERENCE, FLOAT16_PSNR_DB = 1, 40.0
UNMEASURED = "unmeasured"


@dataclass(frozen=True)
class Requirement:
    """One thing to show.

    Attributes:
        name: what it is.
        holds: None where nothing was measured.
        said: the figures.
    """

    name: str
    holds: bool | None
    said: str

    @property
    def word(self) -> str:
        """How it came out, in one word."""
        return UNMEASURED if self.holds is None else "holds" if self.holds else "FAILS"


def requirements(report: Report) -> list[Requirement]:
    """Judge everything that a check has to show."""
    judges = (_shares, _too_large, _too_small, _steps, _pixels, _notebook, _diffusers, _seconds)
    return [one for judge in judges for one in judge(report)]


def _shares(report: Report) -> Iterator[Requirement]:
    name = "three processes on one card stay within their shares"
    processes = report.figures("shares").get("processes", {})
    known = [one for one in processes.values() if one.get("peak_gib")]
    if not known:
        yield Requirement(name, None, _why(report, "shares"))
        return
    said = ", ".join(f"{one['peak_gib']:g} of {one['limit_gib']:g} GiB" for one in known)
    inside = all(max(one["peak_gib"], one["reserved_gib"]) <= one["limit_gib"] for one in known)
    yield Requirement(name, inside and all(one["sets"] for one in known), said)


def _too_large(report: Report) -> Iterator[Requirement]:
    name = "a set that is too large is refused, and its process lives on"
    processes = report.figures("shares").get("processes", {}).values()
    asked = [one for one in processes if "too_large" in one]
    if not asked or report.is_tiny:
        yield Requirement(name, None, _why(report, "shares"))
        return
    refused = all("do not fit" in one["too_large"] and one["sets"] for one in asked)
    yield Requirement(name, refused, asked[0]["too_large"])


def _too_small(report: Report) -> Iterator[Requirement]:
    name = "a share that is too small is refused with what to set"
    sentences = report.figures("too_small").get("sentences")
    if not sentences:
        yield Requirement(name, None, _why(report, "too_small"))
        return
    for which, sentence in sentences.items():
        yield Requirement(f"{name} ({which})", "set num_gpus" in sentence, sentence)


def _steps(report: Report) -> Iterator[Requirement]:
    name, figures = "no step waits for the GPU", report.figures("steps")
    if "steps" not in figures:
        failed = report.parts.get("steps", {}).get("status") == "failed"
        yield Requirement(name, False if failed else None, _why(report, "steps"))
        return
    holds = figures["steps"] == figures["expected"] and figures["watch_works"]
    yield Requirement(name, holds, f"{figures['steps']} of {figures['expected']} steps watched")


def _pixels(report: Report) -> Iterator[Requirement]:
    figures = report.figures("pixels")
    for precision, what in (("float32", "within 1/255"), ("float16", "at least 40 dB")):
        name = f"pixels are diffusers' own in {precision}, {what}"
        if precision not in figures:
            yield Requirement(name, None, _why(report, "pixels"))
            continue
        worst, seed = figures[precision]["worst"], figures[precision]["worst_seed"]
        if precision == "float32":
            holds = figures[precision]["all"]["max_difference"] <= FLOAT32_DIFFERENCE
        else:
            holds = worst["equal"] or worst["psnr_db"] >= FLOAT16_PSNR_DB
        said = "equal" if worst["equal"] else f"{worst['psnr_db']:.1f} dB"
        yield Requirement(
            name,
            holds,
            f"worst image {said}, largest difference {worst['max_difference']}, seed {seed}",
        )


def _notebook(report: Report) -> Iterator[Requirement]:
    ours, notebook = best(report), _median_s(report, "speed", "notebook")
    yield _ratio(
        report,
        f"a set is at least {NOTEBOOK_RATIO:g} times as fast as the notebook's loop",
        notebook / ours[1] if ours and notebook else None,
        lambda ratio: ratio >= NOTEBOOK_RATIO,
    )


def _diffusers(report: Report) -> Iterator[Requirement]:
    ours, theirs = _median_s(report, "speed", "eager"), _median_s(report, "speed", "diffusers")
    yield _ratio(
        report,
        "eager takes no longer than diffusers' one call",
        ours / theirs if ours and theirs else None,
        lambda ratio: ratio <= DIFFUSERS_RATIO,
    )


def _ratio(report: Report, name: str, ratio: float | None, holds: Any) -> Requirement:
    if ratio is None or report.is_tiny:
        return Requirement(name, None, _why(report, "speed"))
    return Requirement(name, holds(ratio), f"{ratio:.2f}")


def _seconds(report: Report) -> Iterator[Requirement]:
    name = f"a set takes at most {SET_S:g} s on an H100 or H200"
    ours = best(report)
    if ours is None or not any(one in report.card for one in _HOPPER):
        yield Requirement(name, None, _why(report, "speed"))
        return
    yield Requirement(name, ours[1] <= SET_S, f"{ours[1]:.2f} s, {ours[0]}")


def best(report: Report) -> tuple[str, float] | None:
    """Return our fastest way to make a whole set, and its seconds; None without one."""
    ways = (("speed", "eager"), ("speed", "channels_last"), ("compiled", "compiled"))
    timed = [(arm, _median_s(report, part, arm)) for part, arm in ways]
    found = [(arm, seconds) for arm, seconds in timed if seconds]
    return min(found, key=lambda one: one[1]) if found else None


def _median_s(report: Report, part: str, arm: str) -> float | None:
    seconds: float | None = report.figures(part).get(arm, {}).get("median_s")
    return seconds


def _why(report: Report, part: str) -> str:
    """Say why there is no figure."""
    if reason := report.figures(part).get("unmeasured"):
        return str(reason)
    if error := report.parts.get(part, {}).get("error"):
        return str(error)
    return "a trial on the CPU" if report.is_tiny else f"not measured by the part {part}"
