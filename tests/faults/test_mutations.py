"""Ten thousand damaged pictures through the decoding workers: a square or a sentence."""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Iterator
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from deployments.decoding.decoders import Decoders
from deployments.errors import InvalidRequestError
from models.pixels import PictureLimits, read_square
from tests.faults.corpus import corpus, four
from tests.faults.files import saved

pytestmark = pytest.mark.slow

MUTATIONS = 10_000
MEGAPIXELS_12 = (4000, 3000)
ROUNDS = 25
MOST_MORE_MS = 20.0
LIMITS = PictureLimits()


@pytest.fixture
def decoders() -> Iterator[Decoders]:
    made = Decoders(2)
    yield made
    made.close()


def _mutated(files: list[bytes], chance: random.Random) -> bytes:
    """Return a file with bytes changed, cut out, doubled, or from another file."""
    data = bytearray(chance.choice(files))
    for _ in range(chance.choice((1, 1, 2, 4, 16))):
        at, length = chance.randrange(len(data)), chance.choice((1, 2, 4, 64))
        kind = chance.randrange(5)
        if kind == 0:
            data[at : at + length] = chance.randbytes(length)
        elif kind == 1:
            data[at : at + length] = bytes([chance.choice((0, 0x7F, 0x80, 0xFF))]) * length
        elif kind == 2 and len(data) > 100:
            del data[at : at + length]
        elif kind == 3:
            data[at:at] = data[at : at + length] * chance.choice((1, 8))
        else:
            other = chance.choice(files)
            data[at:] = other[min(at, len(other)) :] or b"\0"
    return bytes(data)


def test_no_damaged_picture_is_more_than_refused(decoders: Decoders) -> None:
    files = [entry.data for entry in corpus() if 100 < len(entry.data) < 20_000]
    files += [saved(four(96), kind) for kind in ("PNG", "JPEG", "WEBP")]
    chance = random.Random(20261128)
    outcomes, pids = Counter[str](), {worker.pid for worker in decoders.workers}

    async def send(number: int) -> None:
        picture = _mutated(files, chance)
        try:
            if number % 4:
                await decoders.square(picture, LIMITS, None, str(number % 3))
            else:
                await decoders.inspect(picture, str(number % 3))
            outcomes["taken"] += 1
        except InvalidRequestError as error:
            outcomes["ended its worker" if "too long or" in error.message else "refused"] += 1

    async def all_of_them() -> None:
        turns = asyncio.Semaphore(8)

        async def one(number: int) -> None:
            async with turns:
                await send(number)

        await asyncio.gather(*(one(number) for number in range(MUTATIONS)))

    started = time.monotonic()
    asyncio.run(all_of_them())
    replaced = len({worker.pid for worker in decoders.workers} - pids)
    print(f"\n{dict(outcomes)} in {time.monotonic() - started:.0f} s, {replaced} workers replaced")
    assert outcomes.total() == MUTATIONS
    assert outcomes["taken"] > 100
    assert outcomes["refused"] > 100


def _photograph() -> bytes:
    """Return a JPEG of twelve megapixels with detail everywhere."""
    coarse = np.random.default_rng(0).integers(0, 256, (300, 400, 3), dtype=np.uint8)
    file = BytesIO()
    Image.fromarray(coarse).resize(MEGAPIXELS_12, Image.Resampling.BICUBIC).save(
        file, "JPEG", quality=92
    )
    return file.getvalue()


def test_a_picture_of_twelve_megapixels_costs_hardly_more_than_in_process(
    decoders: Decoders,
) -> None:
    picture = _photograph()

    async def away_s() -> float:
        started = time.perf_counter()
        await decoders.square(picture, LIMITS, None, None)
        return time.perf_counter() - started

    def here_s() -> float:
        started = time.perf_counter()
        read_square(picture, LIMITS)
        return time.perf_counter() - started

    with asyncio.Runner() as runner:
        runner.run(away_s())
        pairs = [(here_s(), runner.run(away_s())) for _ in range(ROUNDS)]
    # The least of each: whatever else runs on the machine only adds to it.
    here_ms, away_ms = (1000 * min(taken_s) for taken_s in zip(*pairs, strict=True))
    more_ms = away_ms - here_ms
    print(f"\n{len(picture) / 1e6:.1f} MB: {here_ms:.0f} ms here, {more_ms:+.1f} ms in a worker")
    assert more_ms < MOST_MORE_MS
