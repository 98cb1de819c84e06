"""Runs one part in a process of its own, for `running.py`; prints a JSON object a line."""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from diffusers.utils import logging as diffusers_logging

from benchmarks.gpu.parts import PARTS, CheckSetting
from benchmarks.gpu.workload import FULL, TINY
from models.devices import prepare_device


def main() -> int:
    """Parse the command line, run the part."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("part", choices=[one.name for one in PARTS])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--tiny", action="store_true")
    arguments = parser.parse_args()
    diffusers_logging.set_verbosity_error()  # it warns of every change of precision
    # For so little work, threads mostly wait for each other.
    device = prepare_device("cpu", 1) if arguments.tiny else prepare_device("cuda")
    setting = CheckSetting(TINY if arguments.tiny else FULL, device, arguments.out)
    part = next(one for one in PARTS if one.name == arguments.part)
    part.run(setting, _tell)
    return 0


def _tell(doing: str | None = None, **figures: Any) -> None:
    sys.stdout.write(json.dumps({"doing": doing, "figures": figures}) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
