"""Measures the embedded demo weights and draws them: `python -m benchmarks.demo_weights`.

The figures go to `benchmarks/results/demo_weights.json`, the pictures to `docs/demo-weights`.
Whether faces are well formed is for people to count: look at the pictures.
"""

import argparse
import sys
from pathlib import Path

import torch

from benchmarks.demo_weights.figures import as_json, as_table, colours, costs, sets, validation
from benchmarks.demo_weights.models import DemoModels
from benchmarks.demo_weights.pictures import write_all
from benchmarks.paths import ROOT

RESULTS = ROOT / "benchmarks" / "results" / "demo_weights.json"
PICTURES = ROOT / "docs" / "demo-weights"


def main() -> int:
    """Measure, draw, print; returns 1 when a bound is missed."""
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    weights = ROOT / "models" / "demo" / "weights"
    parser.add_argument("--weights", type=Path, default=weights, help="directory of both models")
    parser.add_argument("--pictures", type=Path, default=PICTURES, help="where pictures go")
    parser.add_argument("--results", type=Path, default=RESULTS, help="where figures go")
    parser.add_argument("--threads", type=int, default=2, help="CPU threads of torch")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    models = DemoModels.load(options.weights)
    figures = [
        *sets(models),
        *colours(models),
        *validation(models),
        *costs(models, options.weights),
    ]
    paths = write_all(models, options.pictures)
    options.results.write_text(as_json(figures))
    print(as_table(figures))
    print("look at:", *(str(path) for path in paths))
    return 0 if all(one.is_met for one in figures) else 1


if __name__ == "__main__":
    sys.exit(main())
