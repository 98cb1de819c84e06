"""Measures the embedded demo weights and draws them: `python -m benchmarks.demo_weights`.

Without --publish, into out/demo-weights; with it, into docs/demo-weights.md, its pictures and
benchmarks/results/demo_weights.json. About three minutes on two cores. Whether faces are well
formed, and whether a prompt is followed, is for people to count: look at the pictures.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import torch

from benchmarks.demo_weights.figures import (
    Figure,
    as_json,
    as_table,
    colours,
    costs,
    sets,
    validation,
)
from benchmarks.demo_weights.models import DemoModels
from benchmarks.demo_weights.pictures import write_all
from benchmarks.generated_block import PublishingError, begin_of, with_block
from benchmarks.paths import ROOT

WEIGHTS = ROOT / "models" / "demo" / "weights"
OUT = ROOT / "out" / "demo-weights"
PAGE = ROOT / "docs" / "demo-weights.md"
PICTURES = ROOT / "docs" / "demo-weights"
RESULTS = ROOT / "benchmarks" / "results" / "demo_weights.json"
BEGIN = begin_of("python -m benchmarks.demo_weights --publish")


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, draw, print; returns 1 when a bound is missed or nothing can be published."""
    options = _parser().parse_args(arguments)
    torch.set_num_threads(options.threads)
    try:
        figures = _measure(options)
    except KeyboardInterrupt:
        print("\nstopped: nothing was published")
        return 130
    except (OSError, PublishingError) as problem:
        print(f"demo_weights: {problem}", file=sys.stderr)
        return 1
    return 0 if all(one.is_met for one in figures) else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.demo_weights",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--weights", type=Path, default=WEIGHTS, help="directory of both models (the embedded)")
    add("--out", type=Path, default=OUT, help="where figures and pictures go (out/demo-weights)")
    add("--publish", action="store_true", help="put them into the documentation")
    add("--threads", type=int, default=2, help="CPU threads of torch (%(default)s)")
    return parser


def _measure(options: argparse.Namespace) -> Sequence[Figure]:
    page = with_block(PAGE.read_text(), BEGIN, "") if options.publish else ""
    models = DemoModels.load(options.weights)
    pictures = PICTURES if options.publish else options.out
    paths = write_all(models, pictures)
    figures = [
        *sets(models),
        *colours(models),
        *validation(models),
        *costs(models, options.weights),
    ]
    results = RESULTS if options.publish else options.out / "demo_weights.json"
    results.write_text(as_json(figures))
    if options.publish:
        PAGE.write_text(with_block(page, BEGIN, as_table(figures)))
    print(as_table(figures))
    print("look at:", *(str(path) for path in paths))
    return figures


if __name__ == "__main__":
    sys.exit(main())
