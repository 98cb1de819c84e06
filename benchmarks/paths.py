"""Where things of this checkout are."""

from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SAMPLE_FACE = ROOT / "models" / "demo" / "weights" / "sample-face.png"
