"""Draw one synthetic face into a PNG: `python -m models.demo.render SEED --output face.png`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from models.demo.faces import render_faces


def build_parser() -> argparse.ArgumentParser:
    """The command's options."""
    parser = argparse.ArgumentParser(prog="python -m models.demo.render", description=__doc__)
    parser.add_argument("seed", type=int, help="which face: any whole number from 0 up")
    parser.add_argument("--side", type=int, default=512, help="side of the picture in pixels")
    parser.add_argument("--output", type=Path, default=Path("face.png"), help="the PNG to write")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Draw the face, write it, and say what it shows."""
    options = build_parser().parse_args(arguments)
    faces = render_faces([options.seed], options.side)
    Image.fromarray(faces.pixels[0]).save(options.output)
    sys.stdout.write(f"{options.output}: {faces.captions[0]}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
