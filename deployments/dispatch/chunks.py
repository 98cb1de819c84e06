"""One set in several chunks: their sizes, and the set that they make together."""

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from deployments.errors import TwinsetError
from deployments.jobs import NO_DESCRIPTORS, SetJob, SetResult, StepDone


def chunk_sizes(images: int, most: float, compiled: Sequence[int]) -> list[int]:
    """Return the sizes of at most `most` chunks, as equal as can be and in sum `images`.

    Args:
        images: of the set.
        most: chunks that may be made; under 2 the set stays whole.
        compiled: sizes for which the model is compiled; only those are made, where there are any.
    """
    for chunks in range(min(images, int(most)), 1, -1):
        sizes = [len(part) for part in np.array_split(range(images), chunks)]
        if not compiled or set(sizes) <= set(compiled):
            return sizes
    return [images]


def cut(job: SetJob, sizes: Sequence[int]) -> list[SetJob]:
    """Return one job for each chunk; each still knows the seeds of the whole set."""
    ends = list(itertools.accumulate(sizes))
    return [
        replace(job, seeds=job.seeds[end - size : end])
        for size, end in zip(sizes, ends, strict=True)
    ]


def is_of_one_model(parts: Sequence[SetResult]) -> bool:
    """Say whether all chunks were made by the same weights in the same way.

    During a rollout two versions serve at the same time, and a set must not be of both.
    """
    ways = {
        (part.model.id, part.model.revision, part.model.precision, part.model.scheduler)
        for part in parts
    }
    return len(ways) == 1


def together(jobs: Sequence[SetJob], outcomes: Sequence[SetResult | TwinsetError]) -> SetResult:
    """Return the set of all chunks, in order; those that failed leave their reason at each place.

    Times are those of the slowest chunk, passes of encoder and UNet are summed.

    Raises:
        TwinsetError: all chunks failed; the first one's reason.
    """
    made = [outcome for outcome in outcomes if isinstance(outcome, SetResult)]
    if not made:
        raise next(outcome for outcome in outcomes if isinstance(outcome, TwinsetError))
    images: list[bytes | None] = []
    failed: dict[int, TwinsetError] = {}
    for job, outcome in zip(jobs, outcomes, strict=True):
        if isinstance(outcome, TwinsetError):
            failed.update(dict.fromkeys(range(len(images), len(images) + len(job.seeds)), outcome))
            images += [None] * len(job.seeds)
        else:
            images += outcome.images
    return SetResult(
        model=made[0].model,
        images=images,
        descriptors=np.concatenate([NO_DESCRIPTORS, *(part.descriptors for part in made)]),
        encoder_calls=sum(part.encoder_calls for part in made),
        unet_calls=sum(part.unet_calls for part in made),
        notes=list(dict.fromkeys(note for part in made for note in part.notes)),
        replicas=[name for part in made for name in part.replicas],
        timings_ms=_slowest([part.timings_ms for part in made]),
        failed=failed,
    )


def _slowest(timings_ms: Sequence[Mapping[str, float]]) -> dict[str, float]:
    return {part: max(timings[part] for timings in timings_ms) for part in timings_ms[0]}


class Progress:
    """The steps of a set whose chunks are made at the same time: those that all have done."""

    def __init__(self, chunks: int, watch: Callable[[StepDone], None]) -> None:
        """Take how many chunks there are, and whom to tell of each step of the set."""
        self._steps = [0] * chunks
        self._watch = watch
        self._told = 0

    def of(self, chunk: int) -> Callable[[StepDone], None]:
        """Return whom to tell of the steps of one chunk."""

        def seen(step: StepDone) -> None:
            self._steps[chunk] = step.step
            done = min(self._steps)
            if done and done != self._told:  # a chunk that is made again starts from 1
                self._told = done
                self._watch(StepDone(done, step.total))

        return seen
