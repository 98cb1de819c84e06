"""Autoscaling settings against shapes of load, on the simulation: which react right, and how fast.

    python -m benchmarks.autoscaling                       all settings, a spike of 1 -> 20 users
    python -m benchmarks.autoscaling --shape staircase --settings 'chosen,mean of 5 s'

Each setting has a service of its own. Right is one diffusion replica for each user: each has one
pair under way. The table says when the target was right and the replicas ran, what users waited,
and how many replica-seconds were missing or idle.
"""

import argparse
import json
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.autoscaling_figures import Figures, Phase, figures, table
from benchmarks.autoscaling_settings import SETTINGS, Setting
from benchmarks.circumstances import circumstances
from benchmarks.closed_loop import ClosedLoop
from benchmarks.rehearsal import Config, changed, rehearsal, serving
from benchmarks.watching import Moment, watching
from models.roles import DIFFUSION, VAE

RESULTS = Path(__file__).resolve().parent / "results"
SHAPES: Mapping[str, Sequence[tuple[int, float]]] = {
    "spike": ((1, 5.0), (20, 35.0)),
    "staircase": ((1, 5.0), (4, 15.0), (8, 15.0), (16, 15.0), (20, 15.0), (10, 20.0), (2, 20.0)),
}
"""Users, and for how many seconds; after the last ones nobody comes."""
IMAGES, SLOWDOWN = 2, 10
"""Two images that take as long as ten of a card that two replicas share: light for the host."""
QUIET_S = 45.0
"""How long a service may take to be small again."""


def main() -> int:
    """Parse the command line, run the shapes, print and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shape", choices=sorted(SHAPES), default="spike")
    parser.add_argument("--settings", help="names of autoscaling_settings.py, with commas; or all")
    parser.add_argument("--out", type=Path, help="JSON; benchmarks/results by default")
    arguments = parser.parse_args()
    names = arguments.settings.split(",") if arguments.settings else list(SETTINGS)
    out = arguments.out or RESULTS / f"autoscaling_{arguments.shape}.json"
    results: list[tuple[Setting, Figures, list[Moment]]] = []
    for name in names:
        setting = SETTINGS[name]
        found, moments = run(configured(setting), SHAPES[arguments.shape])
        results.append((setting, found, moments))
        print(table([(setting, found)]).splitlines()[-1], flush=True)
        _write(out, arguments.shape, results)
    print("\n" + table([(setting, found) for setting, found, _ in results]))
    return 0


def configured(setting: Setting) -> Config:
    """Return the rehearsal with a setting."""
    config = rehearsal()
    config["applications"][0]["args"][DIFFUSION]["options"]["slowdown"] = SLOWDOWN
    config = changed(setting.diffusion, config, "StableDiffusionDeployment")
    return changed(setting.vae, config, "VAEDeployment")


def run(config: Config, shape: Sequence[tuple[int, float]]) -> tuple[Figures, list[Moment]]:
    """Serve a config, let the shape's users come and go, wait until it is small; measure."""
    with serving(config) as url:
        users = 0
        loop = ClosedLoop(url, n=IMAGES, timeout_s=100)
        phases: list[Phase] = []
        with watching(url, lambda: users) as watch, loop.running():
            for users, seconds in (*shape, (0, 0.0)):
                loop.set_users(users)
                phases.append(Phase(users, time.monotonic()))
                time.sleep(seconds)
            left_s = time.monotonic()
            while time.monotonic() - left_s < QUIET_S and not _is_small(watch.moments):
                time.sleep(0.5)
        return figures(phases, watch, loop.answers), watch.moments


def _is_small(moments: Sequence[Moment]) -> bool:
    return bool(moments) and moments[-1].running[DIFFUSION] == 1 == moments[-1].target[DIFFUSION]


def _write(out: Path, shape: str, results: Sequence[tuple[Setting, Figures, list[Moment]]]) -> None:
    out.parent.mkdir(exist_ok=True)
    runs: list[dict[str, Any]] = [
        {
            "setting": asdict(setting),
            "figures": asdict(found),
            "moments": [_line(moment, moments[0].at_s) for moment in moments],
        }
        for setting, found, moments in results
    ]
    document = {"shape": shape, "runs": runs, **circumstances()}
    out.write_text(json.dumps(document) + "\n")


def _line(moment: Moment, start_s: float) -> list[float]:
    """Return seconds, users, diffusion target and running, VAE target and running, CPU."""
    counts = [one[role] for role in (DIFFUSION, VAE) for one in (moment.target, moment.running)]
    return [round(moment.at_s - start_s, 1), moment.users, *counts, moment.cpu_percent]


if __name__ == "__main__":
    sys.exit(main())
