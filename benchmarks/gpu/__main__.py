"""What a card does with our models: measures, prints a table, writes JSON (make gpu-check)."""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import torch

from benchmarks.gpu.environment import environment
from benchmarks.gpu.parts import PARTS
from benchmarks.gpu.report import FILE, Report
from benchmarks.gpu.requirements import requirements
from benchmarks.gpu.running import command_for, run_parts
from benchmarks.gpu.table import lines
from benchmarks.gpu.workload import FULL, TINY
from benchmarks.paths import ROOT
from scripts.signals import stop_on_signals


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse the command line, measure or read, print.

    Returns:
        0; 1 where something that was to be shown fails, or a part failed; 2 where it cannot run
        like this; 130 where it was stopped.
    """
    options = _parser().parse_args(arguments)
    if options.list:
        sys.stdout.writelines(
            f"{one.name:<10} {one.limit_s:>4.0f} s at most: {one.title}\n" for one in PARTS
        )
        return 0
    stop_on_signals()
    try:
        report = Report.read(options.show) if options.show else _begun(options)
    except (ValueError, OSError) as error:
        sys.stderr.write(f"twinset: {error}\n")
        return 2
    try:
        if not options.show:
            parts = [one for one in PARTS if options.only is None or one.name in options.only]
            run_parts(parts, report, options.minutes, command_for(options.out, options.tiny))
    except KeyboardInterrupt:
        sys.stderr.write(f"\ntwinset: stopped; go on with --resume, {report.path} is kept\n")
        return 130
    sys.stdout.write("\n".join(lines(report)) + f"\n{report.path}\n")
    failed = any(one["status"] == "failed" for one in report.parts.values())
    return 1 if failed or any(one.holds is False for one in requirements(report)) else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.gpu", description=(__doc__ or "").splitlines()[0]
    )
    names = [one.name for one in PARTS]
    out = ROOT / "out" / "gpu-check"
    parser.add_argument("--out", type=Path, default=out, help="directory (out/gpu-check)")
    parser.add_argument("--minutes", type=float, default=8.0, help="for all parts (default: 8)")
    parser.add_argument("--resume", action="store_true", help="keep what --out has, do the rest")
    parser.add_argument("--only", nargs="+", choices=names, metavar="PART", help="these parts")
    parser.add_argument("--tiny", action="store_true", help="tiny networks on the CPU: a trial")
    parser.add_argument("--show", type=Path, metavar="FILE", help="show a JSON file again")
    parser.add_argument("--list", action="store_true", help="name the parts and stop")
    return parser


def _begun(options: argparse.Namespace) -> Report:
    if not 0 < options.minutes <= 24 * 60:
        raise ValueError(f"minutes is {options.minutes:g}: use more than 0, and a day at most")
    if not (options.tiny or torch.cuda.is_available()):
        raise ValueError(
            "torch sees no GPU here: use --tiny (make: BENCH=--tiny) for a trial on the CPU"
        )
    workload = TINY if options.tiny else FULL
    begin = Report.resume if options.resume else Report.begin
    device = torch.device("cpu" if options.tiny else "cuda")
    return begin(options.out.resolve() / FILE, environment(device), asdict(workload))


if __name__ == "__main__":
    sys.exit(main())
