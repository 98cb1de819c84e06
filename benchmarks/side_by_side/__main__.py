"""Times Twinset beside a notebook, diffusers, Ray's example, LitServe and FastAPI: `make bench`.

    python -m benchmarks.side_by_side                              # everything, about 50 minutes
    python -m benchmarks.side_by_side --arms c,d --clients 1       # a part of it
    python -m benchmarks.side_by_side --smoke                      # does everything work?
    python -m benchmarks.side_by_side --replot out/bench/side_by_side.json   # draw it again

Same machine, weights, input, seeds and settings for all; each repetition asks them in another
order. See docs/performance.md for what is measured and how to read it.
"""

import argparse
import sys
from pathlib import Path

from benchmarks.generated_block import PublishingError
from benchmarks.paths import ROOT
from benchmarks.side_by_side.arms import ARMS, chosen
from benchmarks.side_by_side.measuring import measure
from benchmarks.side_by_side.publishing import PAGE, paint, publish, store
from benchmarks.side_by_side.records import Run, read
from benchmarks.side_by_side.schedule import Schedule
from benchmarks.side_by_side.tables import report
from scripts.signals import stop_on_signals

OUT = ROOT / "out" / "bench"


def main() -> int:
    """Parse the command line, measure or read, print, write and draw."""
    arguments = _parser().parse_args()
    try:
        run = _run(arguments)
        picture = arguments.out / f"{_name(arguments)}.png"
        paint(run, picture)
        print(f"\n{report(run)}\npicture: {picture}")
        if arguments.publish:
            publish(run)
            print(f"published: {PAGE.relative_to(ROOT)}")
    except (PublishingError, RuntimeError, ValueError, OSError) as error:
        sys.stderr.write(f"twinset: {error}\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("\ntwinset: stopped; the repetitions that were whole are kept\n")
        return 130
    return 0


def _run(arguments: argparse.Namespace) -> Run:
    """Return what the command line asks for: a file's records, or new ones, written to a file."""
    if arguments.replot is not None:
        return read(arguments.replot)
    path = arguments.json or arguments.out / f"{_name(arguments)}.json"
    run = _measured(_schedule(arguments), path)
    store(run, path)
    print(f"\nrecords: {path}")
    return run


def _name(arguments: argparse.Namespace) -> str:
    """Return the name of the files: a smoke run leaves those of a real one alone."""
    return "side_by_side_smoke" if arguments.smoke else "side_by_side"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.side_by_side",
        description=__doc__,
        epilog="Arms: " + "; ".join(f"{arm.letter}: {arm.key}" for arm in ARMS),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--repetitions", type=int, help="of everything (5; with --smoke 1)")
    add("--clients", help="counts of clients of the servers, at once (1,4,16; with --smoke 1)")
    add("--arms", help="letters or names, see below (all)")
    add("--smoke", action="store_true", help="one set for each client: no result, a check")
    add("--out", type=Path, default=OUT, help="folder of what is written (out/bench)")
    add("--json", type=Path, help="write the records here instead of the folder")
    add("--publish", action="store_true", help="also put it into docs/ and benchmarks/results/")
    add("--replot", type=Path, metavar="FILE", help="measure nothing: show a file of records")
    return parser


def _schedule(arguments: argparse.Namespace) -> Schedule:
    words = (arguments.arms or "a,b,c,d,e,f,g,pair").split(",")
    usual = 1 if arguments.smoke else 5
    counts = arguments.clients or ("1" if arguments.smoke else "1,4,16")
    return Schedule(
        arms=chosen(words),
        clients=tuple(sorted({int(one) for one in counts.split(",")})),
        repetitions=usual if arguments.repetitions is None else arguments.repetitions,
        is_smoke=arguments.smoke,
    )


def _measured(schedule: Schedule, path: Path) -> Run:
    minutes = schedule.estimated_s() / 60
    print(
        f"{len(schedule.arms)} arms, {schedule.sets()} sets to time: about {minutes:.0f} minutes "
        "on two quiet cores. Ctrl-C ends everything that was started.",
        flush=True,
    )
    stop_on_signals()
    return measure(schedule, lambda so_far: store(so_far, path))


if __name__ == "__main__":
    sys.exit(main())
