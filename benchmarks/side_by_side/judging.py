"""Whether a set has the pixels of the reference, after the clock has stopped."""

from collections.abc import Iterator, Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchmarks.comparison.job import DiffusionJob
from benchmarks.side_by_side.burst import Outcome
from benchmarks.side_by_side.records import SetRecord

Pixels = NDArray[np.uint8]
"""(N, S, S, 3) uint8 in [0, 255]."""
References = Mapping[tuple[int, ...], Pixels]
"""By seeds, the images that diffusers' batched call makes of them."""


def pixels_of(files: Sequence[bytes]) -> Pixels:
    """Return encoded images as one array.

    Raises:
        ValueError: one cannot be read, or they are not of the same size.
    """
    try:
        return np.stack([np.asarray(Image.open(BytesIO(one)).convert("RGB")) for one in files])
    except OSError as error:
        raise ValueError("an image cannot be read") from error


def judged(outcomes: Sequence[Outcome], references: References) -> Iterator[SetRecord]:
    """Yield a record for each outcome."""
    for outcome in outcomes:
        yield _judged(outcome, references)


def _judged(outcome: Outcome, references: References) -> SetRecord:
    if outcome.asked is None:
        return SetRecord(outcome.latency_s, outcome.problem)
    answer = outcome.asked.answer
    difference, problem = compared(answer.images, references[outcome.job.seeds])
    return SetRecord(
        latency_s=outcome.latency_s,
        problem=problem,
        first_image_s=outcome.asked.first_image_s,
        bytes_received=answer.bytes_received,
        max_difference=difference,
        parts_ms=dict(answer.timings_ms),
        unet_calls=answer.unet_calls,
        encoder_calls=answer.encoder_calls,
    )


def judged_process(job: DiffusionJob, said: Mapping[str, Any], references: References) -> SetRecord:
    """Return the record of what a child process said it made."""
    images = [Path(one).read_bytes() for one in said["files"]]
    difference, problem = compared(images, references[job.seeds])
    return SetRecord(
        latency_s=said["seconds"],
        problem=problem,
        first_image_s=said["first_image_s"],
        bytes_received=said["bytes"],
        max_difference=difference,
        parts_ms={
            "encode": 1000 * said["encode_s"],
            "encode_cpu": 1000 * said["encode_cpu_s"],
        },
        unet_calls=said["unet_calls"],
        encoder_calls=said["encoder_calls"],
    )


def compared(images: Sequence[bytes], reference: Pixels) -> tuple[int | None, str]:
    """Return the greatest difference of a pixel's value, and what makes it impossible to say.

    Of a pair, whose VAE set comes first, the diffusion set is compared; the other is only read.
    """
    if len(images) not in (len(reference), 2 * len(reference)):
        return None, f"{len(images)} images"
    try:
        pixels = [pixels_of(images[: -len(reference)])] if len(images) > len(reference) else []
        pixels.append(pixels_of(images[-len(reference) :]))
    except ValueError:
        return None, "unreadable image"
    if pixels[-1].shape != reference.shape:
        return None, f"images of {pixels[-1].shape[2]}x{pixels[-1].shape[1]}"
    return int(np.abs(pixels[-1].astype(np.int16) - reference).max()), ""
