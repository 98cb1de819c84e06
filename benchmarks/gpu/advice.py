"""The lines for serve_config.yaml that follow from a check."""

import math
from collections.abc import Iterator

from benchmarks.gpu.report import Report
from benchmarks.gpu.workload import DIFFUSION_SHARE, VAE_SHARE
from models.roles import VAE

_COMPILING_PAYS = 0.85
"""Compiled time over eager time at which it is advised (docs/decisions/0010)."""
_STARTS = 10
"""An idle replica is kept at least as long as so many starts take."""
_LEAST_DOWNSCALE_S = 300


def advice(report: Report) -> Iterator[str]:
    """Yield lines of YAML, with what they were taken from as comments."""
    yield from _shares(report)
    yield from _compile(report)
    yield from _delays(report)


def _shares(report: Report) -> Iterator[str]:
    processes = report.figures("shares").get("processes", {})
    if not all(one.get("peak_gib") for one in processes.values()) or not processes:
        yield "# num_gpus: no peak was measured"
        return
    roles = {"VAEDeployment": VAE, "StableDiffusionDeployment": "diffusion"}
    for deployment, role in roles.items():
        one = processes[role]
        total_gib = one["limit_gib"] / one["share"]
        least = math.ceil(20 * one["peak_gib"] / total_gib) / 20
        usual = VAE_SHARE if role == VAE else DIFFUSION_SHARE if least <= DIFFUSION_SHARE else 0.9
        yield (
            f"{deployment}: ray_actor_options: {{num_gpus: {max(usual, least):g}}}"
            f"  # peak {one['peak_gib']:g} GiB, at least {least:g} of this card"
        )


def _compile(report: Report) -> Iterator[str]:
    arms, start = report.figures("compiled"), report.figures("start")
    eager, compiled = (arms.get(arm, {}).get("median_s") for arm in ("eager", "compiled"))
    if not eager or not compiled:
        yield "# compile: not measured"
        return
    seconds = f"{compiled:.2f} s a set, {eager:.2f} s eager"
    starts = ", ".join(f"{state} {one['load_s']:.0f} s" for state, one in start.items())
    if compiled > _COMPILING_PAYS * eager:
        yield f"# compile: leave it out, {seconds}; a start takes {starts}"
        return
    options = "channels_last: true, compile: default, compiled_images: [10]"
    yield f"stable_diffusion: options: {{{options}}}"
    yield f"#   {seconds}; a start takes {starts}"


def _delays(report: Report) -> Iterator[str]:
    eager = report.figures("shares").get("eager_start", {}).get("load_s")
    started = [one["load_s"] for one in report.figures("start").values()]
    if eager is None and not started:
        yield "# downscale_delay_s: no start was timed"
        return
    slowest = max([eager or 0.0, *started[1:]])  # a cold cache is a machine's first start alone
    yield (
        f"StableDiffusionDeployment: autoscaling_config: {{downscale_delay_s: "
        f"{max(_LEAST_DOWNSCALE_S, math.ceil(_STARTS * slowest / 10) * 10)}}}"
        f"  # a replica takes {slowest:.0f} s to start"
    )
