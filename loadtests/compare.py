"""Lays two runs, or more, side by side in one HTML file and one PNG, on the same scales.

python -m loadtests.compare out/loadtest/A out/loadtest/B
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from loadtests.records import RUN_FILE
from loadtests.report import write_comparison


def main() -> int:
    """Parse the command line and draw."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("runs", type=Path, nargs="+", help="folders of runs, the first to the left")
    parser.add_argument("--out", type=Path, help="folder to write to (default: beside the first)")
    arguments = parser.parse_args()
    missing = [str(run) for run in arguments.runs if not (run / RUN_FILE).is_file()]
    if missing or len(arguments.runs) < 2:
        parser.error(f"no run lies in {', '.join(missing)}" if missing else "two runs are needed")
    names = " beside ".join(run.name for run in arguments.runs)
    out = arguments.out or arguments.runs[0].parent / names.replace(" ", "-")
    sys.stdout.write(f"{write_comparison(arguments.runs, out)}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
