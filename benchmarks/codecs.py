"""Times image codecs and counts their bytes, to choose the format and level of answers.

Encodes photographs and the demo's rendered face at the sides of both models. Rounds are
interleaved, so that a slow minute of the machine hurts all codecs alike; a round's figure is the
mean over the pictures, the median over rounds is shown with the fastest and the slowest.
"""

import argparse
import hashlib
import json
import os
import platform
import statistics
import sys
import time
import zlib
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, features
from skimage import data
from tqdm import tqdm

from models.interfaces import RGBPixels
from models.pixels import OutputFormat, encode
from models.provenance import Provenance, encode_with_provenance

SAMPLE_FACE = Path(__file__).parents[1] / "models/demo/weights/sample-face.png"
PHOTOGRAPHS = ("astronaut", "chelsea", "coffee", "rocket", "stereo_motorcycle")
"""Colour photographs that come inside scikit-image's package, so nothing is downloaded."""
SIDES_PX = (512, 150)
"""What Stable Diffusion 1.5 and the CelebA VAE make."""
SET_SIZE = 10
TARGET_MB = 10.0
"""Of JSON, for a pair of full sets."""
THREADS = 4
"""As many as a replica encodes with."""

CODECS: Mapping[str, Mapping[str, Any]] = {
    "PNG level 1": {"format": "PNG", "compress_level": 1},
    "PNG level 1, run lengths": {"format": "PNG", "compress_level": 1, "compress_type": zlib.Z_RLE},
    "PNG level 2": {"format": "PNG", "compress_level": 2},
    "PNG level 3": {"format": "PNG", "compress_level": 3},
    "PNG level 6": {"format": "PNG", "compress_level": 6},
    "PNG level 9": {"format": "PNG", "compress_level": 9},
    "WebP lossless 0, effort 0": {"format": "WEBP", "lossless": True, "method": 0, "quality": 0},
    "WebP lossless 0": {"format": "WEBP", "lossless": True, "method": 0},
    "WebP lossless 2": {"format": "WEBP", "lossless": True, "method": 2},
    "WebP lossless 4": {"format": "WEBP", "lossless": True, "method": 4},
    "WebP q90": {"format": "WEBP", "quality": 90},
    "JPEG q90 4:2:0": {"format": "JPEG", "quality": 90, "subsampling": 2},
    "JPEG q90 4:4:4": {"format": "JPEG", "quality": 90, "subsampling": 0},
    "JPEG q95 4:2:0": {"format": "JPEG", "quality": 95, "subsampling": 2},
    "JPEG q95 4:4:4": {"format": "JPEG", "quality": 95, "subsampling": 0},
}
FORMATS: tuple[OutputFormat, ...] = ("png", "webp", "jpeg")
PROVENANCE = Provenance(
    model="stable-diffusion-v1-5",
    revision="sha256:" + "0" * 64,
    seed=7,
    parameters={"prompt": "a portrait of a woman with red hair " * 4, "strength": 0.6},
    input={"sha256": "0" * 64, "width": 512, "height": 512, "crop": {"x": 0, "y": 0, "side": 512}},
    unet_calls=30,
    scheduler="PNDMScheduler",
)


@dataclass(frozen=True)
class Measurement:
    """One codec at one side.

    Attributes:
        ms: of one image: median over rounds, fastest, slowest.
        threads_speedup: time of one thread divided by that of four.
        mean_bytes: of one file.
        max_bytes: of one file.
        max_error: the largest difference of a sample, of 255; 0 if all pixels survive.
        sha256: of all files together, to compare two runs.
        deterministic: every round and thread gave the same bytes.
    """

    codec: str
    side_px: int
    ms: tuple[float, float, float]
    threads_speedup: float
    mean_bytes: float
    max_bytes: int
    max_error: int
    sha256: str
    deterministic: bool


def main() -> int:
    """Parse the command line, measure, print the tables."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.codecs", description=__doc__)
    parser.add_argument("--json", type=Path, help="file to write all figures to")
    parser.add_argument("--rounds", type=int, default=7, help="repetitions (default: 7)")
    arguments = parser.parse_args()
    if arguments.rounds < 1:
        parser.error(f"--rounds is {arguments.rounds}: at least 1 is needed")
    rows = [row for side in SIDES_PX for row in measure(side, arguments.rounds)]
    costs = metadata_costs(arguments.rounds)
    lines = [*machine_lines(), "", *table(rows), "", *costs, "", *verdict(rows)]
    sys.stdout.write("\n".join(lines) + "\n")
    if arguments.json:
        report = {"machine": machine_lines(), "measurements": [asdict(row) for row in rows]}
        arguments.json.write_text(json.dumps(report, indent=2) + "\n")
    return 0


def pictures(side_px: int) -> list[RGBPixels]:
    """Return six pictures, (side_px, side_px, 3) uint8: five photographs and the demo's face."""
    found = [getattr(data, name)() for name in PHOTOGRAPHS]
    found = [pixels[0] if isinstance(pixels, tuple) else pixels for pixels in found]
    found.append(np.asarray(Image.open(SAMPLE_FACE).convert("RGB")))
    return [_square(pixels, side_px) for pixels in found]


def measure(side_px: int, rounds: int) -> list[Measurement]:
    """Measure all codecs at one side."""
    images = pictures(side_px)
    trials = [Trial(name, options) for name, options in CODECS.items()]
    with ThreadPoolExecutor(THREADS) as pool:
        for _ in tqdm(range(rounds), desc=f"{side_px} px", unit="round", file=sys.stderr):
            for trial in trials:
                trial.run(images, pool)
    return [trial.measurement(images) for trial in trials]


class Trial:
    """One codec's rounds at one side."""

    def __init__(self, name: str, options: Mapping[str, Any]) -> None:
        """Remember what to measure."""
        self.name = name
        self._options = options
        self._alone_ms: list[float] = []
        self._threaded_ms: list[float] = []
        self._files: list[bytes] = []
        self._deterministic = True

    def run(self, images: Sequence[RGBPixels], pool: ThreadPoolExecutor) -> None:
        """Encode all pictures one after the other, then twice each in threads."""
        files, alone_s = _timed(lambda: [self._encode(pixels) for pixels in images])
        threaded, threaded_s = _timed(lambda: list(pool.map(self._encode, [*images, *images])))
        self._alone_ms.append(alone_s * 1000 / len(images))
        self._threaded_ms.append(threaded_s * 1000 / len(images) / 2)
        self._files = self._files or files
        self._deterministic &= files == self._files and threaded == self._files * 2

    def measurement(self, images: Sequence[RGBPixels]) -> Measurement:
        """Sum up."""
        sizes = [len(file) for file in self._files]
        alone = statistics.median(self._alone_ms)
        return Measurement(
            codec=self.name,
            side_px=images[0].shape[0],
            ms=(alone, min(self._alone_ms), max(self._alone_ms)),
            threads_speedup=alone / statistics.median(self._threaded_ms),
            mean_bytes=statistics.mean(sizes),
            max_bytes=max(sizes),
            max_error=max(map(_error, images, self._files)),
            sha256=hashlib.sha256(b"".join(self._files)).hexdigest(),
            deterministic=self._deterministic,
        )

    def _encode(self, pixels: RGBPixels) -> bytes:
        buffer = BytesIO()
        Image.fromarray(pixels).save(buffer, **self._options)
        return buffer.getvalue()


def metadata_costs(rounds: int) -> list[str]:
    """Return lines that say what the provenance adds to files of the service's own options."""
    lines = ["what the provenance adds, with the service's own options:"]
    lines += [_metadata_cost(name, side, rounds) for name in FORMATS for side in SIDES_PX]
    return lines


def _metadata_cost(output_format: OutputFormat, side_px: int, rounds: int) -> str:
    images = pictures(side_px)
    plain_ms, marked_ms = [], []
    for _ in range(rounds):
        plain, plain_s = _timed(lambda: [encode(pixels, output_format) for pixels in images])
        marked, marked_s = _timed(
            lambda: [encode_with_provenance(pixels, output_format, PROVENANCE) for pixels in images]
        )
        plain_ms.append(plain_s * 1000 / len(images))
        marked_ms.append(marked_s * 1000 / len(images))
    added = (sum(map(len, marked)) - sum(map(len, plain))) / len(images)
    before, after = statistics.median(plain_ms), statistics.median(marked_ms)
    return (
        f"  {output_format:5}{side_px} px: {added:.0f} bytes, "
        f"{before:.2f} ms becomes {after:.2f} ms"
    )


def table(rows: Sequence[Measurement]) -> list[str]:
    """Return the measurements as lines of text."""
    lines = [
        f"{'codec':26}{'side':>5}{'ms':>8}{'fastest-slowest':>17}{'threads':>9}"
        f"{'kB mean':>9}{'kB max':>8}{'error':>7}{'same bytes':>12}"
    ]
    for row in rows:
        spread = f"{row.ms[1]:.1f}-{row.ms[2]:.1f}"
        lines.append(
            f"{row.codec:26}{row.side_px:>5}{row.ms[0]:>8.1f}{spread:>17}"
            f"{row.threads_speedup:>8.2f}x{row.mean_bytes / 1000:>9.1f}{row.max_bytes / 1000:>8.1f}"
            f"{row.max_error or 'exact':>7}{'yes' if row.deterministic else 'NO':>12}"
        )
    return lines


def verdict(rows: Sequence[Measurement]) -> list[str]:
    """Return the size of a whole answer in each codec, against the target."""
    large_side, small_side = SIDES_PX
    lines = [f"JSON of {SET_SIZE} x {large_side} px and {SET_SIZE} x {small_side} px, no metadata:"]
    for name in CODECS:
        large, small = (row for row in rows if row.codec == name)
        mean = _json_mb(large.mean_bytes) + _json_mb(small.mean_bytes)
        worst = _json_mb(large.max_bytes) + _json_mb(small.max_bytes)
        milliseconds = SET_SIZE * (large.ms[0] + small.ms[0])
        passes = "under" if worst < TARGET_MB else "OVER"
        lines.append(
            f"  {name:26}{mean:6.2f} MB, {worst:5.2f} MB if all were the largest: {passes} "
            f"{TARGET_MB:g} MB; {milliseconds:5.0f} ms in one thread"
        )
    return lines


def machine_lines() -> list[str]:
    """Return what the figures depend on."""
    cpu_info = Path("/proc/cpuinfo")
    text = cpu_info.read_text() if cpu_info.exists() else ""
    models = {line.split(":", 1)[1].strip() for line in text.splitlines() if "model name" in line}
    versions = [f"{name} {features.version(name)}" for name in ("pil", "zlib_ng", "webp")]
    versions.append(f"libjpeg_turbo {features.version('libjpeg_turbo')}")
    return [
        f"{', '.join(models) or platform.machine()}, {os.cpu_count()} cores",
        f"Python {platform.python_version()}, {', '.join(versions)}",
    ]


def _json_mb(image_bytes: float) -> float:
    return SET_SIZE * image_bytes * 4 / 3 / 1e6


def _error(pixels: RGBPixels, file: bytes) -> int:
    decoded = np.asarray(Image.open(BytesIO(file)).convert("RGB"), dtype=np.int16)
    return int(np.abs(decoded - pixels).max())


def _square(pixels: RGBPixels, side_px: int) -> RGBPixels:
    height, width = pixels.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    cut = Image.fromarray(np.ascontiguousarray(pixels[top : top + side, left : left + side]))
    return np.asarray(cut.resize((side_px, side_px), Image.Resampling.LANCZOS))


def _timed(work: Callable[[], list[bytes]]) -> tuple[list[bytes], float]:
    started = time.perf_counter()
    result = work()
    return result, time.perf_counter() - started


if __name__ == "__main__":
    raise SystemExit(main())
