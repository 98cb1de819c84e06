"""The floor of the hardware, measured by a child process: the runner itself never loads torch.

python -m benchmarks.side_by_side.floor --unet-calls 14
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict

from benchmarks.paths import ROOT
from benchmarks.side_by_side.records import Floor

_PATIENCE_S = 120


def main() -> int:
    """Print the floor as one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--unet-calls", type=int, required=True, help="that one set takes")
    arguments = parser.parse_args()
    # Imported here: it loads torch, and the runner imports this file.
    from benchmarks.side_by_side.flops import floor_of

    print(json.dumps(asdict(floor_of(arguments.unet_calls))), flush=True)
    return 0


def measured_floor(unet_calls: int) -> Floor:
    """Count and time in a process of its own.

    Raises:
        RuntimeError: it failed; the message is what it printed.
    """
    command = [sys.executable, "-m", "benchmarks.side_by_side.floor"]
    done = subprocess.run(
        [*command, "--unet-calls", str(unet_calls)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=_PATIENCE_S,
    )
    if done.returncode:
        raise RuntimeError(f"the floor could not be measured:\n{done.stderr}")
    return Floor(**json.loads(done.stdout.splitlines()[-1]))


def best_of(floors: Sequence[Floor]) -> Floor:
    """Return the floor with the best rate that each shape reached at any time."""
    names = floors[0].rates_gflop_s
    best = {name: max(floor.rates_gflop_s[name] for floor in floors) for name in names}
    return Floor(floors[0].set_flop, best)


if __name__ == "__main__":
    sys.exit(main())
