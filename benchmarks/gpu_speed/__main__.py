"""How fast ten images are made on a GPU: measures, prints the table, writes JSON and a plot."""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

import torch
from diffusers.utils import logging as diffusers_logging

from benchmarks.gpu_speed.cells import CELLS, Bench, Cell
from benchmarks.gpu_speed.clock import Clock
from benchmarks.gpu_speed.deadline import Deadline
from benchmarks.gpu_speed.machine import machine
from benchmarks.gpu_speed.plot import plot
from benchmarks.gpu_speed.report import FILE, Report
from benchmarks.gpu_speed.schedule import run_cells
from benchmarks.gpu_speed.table import lines
from benchmarks.gpu_speed.workload import FULL, TINY
from models.devices import prepare_device


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse the command line, measure or read, print."""
    options = _parser().parse_args(arguments)
    if options.list:
        sys.stdout.writelines(f"{one.name:<36} {one.estimate_s:>4} s\n" for one in CELLS)
        return 0
    try:
        report = Report.read(options.replot) if options.replot else _measure(options)
    except (ValueError, OSError) as error:
        sys.stderr.write(f"twinset: {error}\n")
        return 1
    except RuntimeError as error:
        sys.stderr.write(f"twinset: {error}\n")
        return 3
    _show(report)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.gpu_speed", description=__doc__.splitlines()[0]
    )
    names = [one.name for one in CELLS]
    parser.add_argument("--out", type=Path, default=Path("out/gpu"), help="directory to write to")
    parser.add_argument("--minutes", type=float, default=9.0, help="for the cells (default: 9)")
    parser.add_argument("--resume", action="store_true", help="keep what --out has, do the rest")
    parser.add_argument("--only", nargs="+", choices=names, metavar="CELL", help="these cells")
    parser.add_argument("--repetitions", type=int, help="timed sets of an arm (default: 5)")
    parser.add_argument("--tiny", action="store_true", help="a tiny model on the CPU: a trial")
    parser.add_argument("--replot", type=Path, metavar="FILE", help="show a JSON file again")
    parser.add_argument("--list", action="store_true", help="name the cells and stop")
    return parser


def _measure(options: argparse.Namespace) -> Report:
    deadline = Deadline(options.minutes)
    workload = TINY if options.tiny else FULL
    if options.repetitions is not None:
        workload = replace(workload, repetitions=options.repetitions)
    if not (options.tiny or torch.cuda.is_available()):
        raise ValueError("torch sees no GPU here: use --tiny for a trial on the CPU")
    # For so little work, threads mostly wait for each other.
    device = prepare_device("cpu", torch_threads=1) if options.tiny else prepare_device("cuda")
    diffusers_logging.set_verbosity_error()  # it warns of every change of precision
    start = Report.resume if options.resume else Report.begin
    report = start(options.out / FILE, machine(device), asdict(workload))
    run_cells(_chosen(options.only), Bench(workload, Clock(device), deadline, report))
    return report


def _chosen(names: Sequence[str] | None) -> list[Cell]:
    return [one for one in CELLS if names is None or one.name in names]


def _show(report: Report) -> None:
    picture = report.path.with_suffix(".png")
    drawn = plot(report, picture)
    sys.stdout.write("\n".join(lines(report)) + "\n")
    sys.stdout.write(f"{report.path}{f', {picture}' if drawn else ', no plot'}\n")


if __name__ == "__main__":
    sys.exit(main())
