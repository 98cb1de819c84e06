"""Decoding workers: bounded, replaced when they fail, without anything worth taking."""

import asyncio
import os
import resource
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from deployments.decoding import worker_process
from deployments.decoding.decoders import SHORT_BYTES, Decoders
from deployments.errors import InvalidRequestError
from models.pixels import Crop, PictureLimits, read_square
from tests.faults.corpus import four
from tests.faults.files import saved
from tests.support.services import SAMPLE_FACE

LIMITS = PictureLimits()
FACE = SAMPLE_FACE.read_bytes()

pytestmark = pytest.mark.heavy


@pytest.fixture
def decoders() -> Iterator[Decoders]:
    made = Decoders(1)
    yield made
    made.close()


def _square(decoders: Decoders, picture: bytes = FACE, **options: Any) -> Any:
    asked = {"limits": LIMITS, "crop": None, "caller": None, **options}
    return asyncio.run(decoders.square(picture, **asked))


@pytest.mark.parametrize("crop", [None, Crop(3, 5, 64)])
def test_a_picture_comes_out_as_it_does_in_process(decoders: Decoders, crop: Crop | None) -> None:
    made, expected = _square(decoders, crop=crop), read_square(FACE, LIMITS, crop)
    assert np.array_equal(made.pixels, expected.pixels)
    assert made.pixels.flags.writeable
    assert made.facts() == expected.facts()


@pytest.mark.parametrize(
    ("picture", "crop", "param"), [(b"no picture", None, "image"), (FACE, Crop(0, 0, 9999), "crop")]
)
def test_what_is_refused_says_why(
    decoders: Decoders, picture: bytes, crop: Crop | None, param: str
) -> None:
    pid = decoders.workers[0].pid
    with pytest.raises(InvalidRequestError) as refused:
        _square(decoders, picture, crop=crop)
    assert refused.value.param == param
    assert decoders.workers[0].pid == pid


def test_a_worker_that_dies_at_a_picture_is_replaced(decoders: Decoders) -> None:
    _square(decoders)
    (worker,) = decoders.workers
    before = worker.pid

    async def killed() -> None:
        os.kill(worker.pid, signal.SIGSTOP)
        asking = asyncio.create_task(decoders.square(FACE, LIMITS, None, None))
        await asyncio.sleep(0.1)
        os.kill(worker.pid, signal.SIGKILL)
        await asking

    with pytest.raises(InvalidRequestError):
        asyncio.run(killed())
    assert worker.pid != before
    _square(decoders)


def test_a_worker_that_somebody_ended_costs_no_caller_anything(decoders: Decoders) -> None:
    _square(decoders)
    os.kill(decoders.workers[0].pid, signal.SIGKILL)
    os.waitid(os.P_PID, decoders.workers[0].pid, os.WEXITED | os.WNOWAIT)
    _square(decoders)


def test_a_task_that_takes_too_long_ends_its_worker(
    decoders: Decoders, monkeypatch: pytest.MonkeyPatch
) -> None:
    _square(decoders)
    monkeypatch.setattr(worker_process, "TASK_S", 0.3)
    before = decoders.workers[0].pid
    os.kill(before, signal.SIGSTOP)
    with pytest.raises(InvalidRequestError, match="too long"):
        _square(decoders)
    monkeypatch.undo()
    assert not Path(f"/proc/{before}").exists()
    _square(decoders)


def test_who_leaves_holds_the_worker_until_it_is_free(decoders: Decoders) -> None:
    _square(decoders)
    pid = decoders.workers[0].pid

    async def scene() -> None:
        os.kill(pid, signal.SIGSTOP)
        leaving = asyncio.create_task(decoders.square(FACE, LIMITS, None, "a"))
        await asyncio.sleep(0.1)
        leaving.cancel()
        done, _ = await asyncio.wait({leaving}, timeout=0.2)
        assert not done, "its place was given away while its worker was busy"
        os.kill(pid, signal.SIGCONT)
        await asyncio.wait({leaving}, timeout=10)
        assert leaving.cancelled()
        await decoders.square(FACE, LIMITS, None, "b")

    asyncio.run(scene())


def test_a_picture_that_takes_too_much_memory_is_refused(decoders: Decoders) -> None:
    picture = saved(four(5_000), "PNG")  # 100 MB once decoded
    _square(decoders)
    (worker,) = decoders.workers
    before = worker.pid
    used_bytes = 4096 * int(Path(f"/proc/{before}/statm").read_text().split()[0])
    bound = resource.prlimit(before, resource.RLIMIT_AS)
    resource.prlimit(before, resource.RLIMIT_AS, (used_bytes + 50_000_000, bound[1]))
    with pytest.raises(InvalidRequestError, match="memory"):
        _square(decoders, picture)
    resource.prlimit(worker.pid, resource.RLIMIT_AS, bound)
    assert _square(decoders, picture).width_px == 5_000


def test_a_worker_holds_no_secret_and_ends_with_its_service() -> None:
    os.environ["RAY_AUTH_TOKEN_FOR_THIS_TEST"] = "secret"
    decoders = Decoders(1)
    try:
        _square(decoders)
        process = Path(f"/proc/{decoders.workers[0].pid}")
        assert b"secret" not in (process / "environ").read_bytes()
        limits = (process / "limits").read_text().splitlines()
        bounded = {line[:25].strip(): line[26:].split()[0] for line in limits[1:]}
        assert bounded["Max core file size"] == bounded["Max file size"] == "0"
        assert int(bounded["Max address space"]) < 3e9
        assert int(bounded["Max cpu time"]) < 60
        open_files = [os.readlink(file) for file in (process / "fd").iterdir()]
        assert len([name for name in open_files if name != "/dev/null"]) == 1
    finally:
        del os.environ["RAY_AUTH_TOKEN_FOR_THIS_TEST"]
        decoders.close()
    assert not process.exists()


def test_a_long_body_reads_as_a_short_one(decoders: Decoders) -> None:
    async def scene() -> None:
        form = _form(b"x" * 2 * SHORT_BYTES)
        fields, files = await decoders.form(form, "multipart/form-data; boundary=b", None)
        assert fields == {"seed": ["7"]}
        assert files == {"image": [b"x" * 2 * SHORT_BYTES]}
        text = "A" * 2 * SHORT_BYTES
        body = f'{{"image":"{text}","prompt":"{text}","seed":7,"images":[{{"image":"{text}="}}]}}'
        sent = await decoders.json(body.encode(), {"image": "image"}, None)
        assert sent.fields["seed"] == 7
        assert sent.fields["prompt"] == text[: len(sent.fields["prompt"])]
        assert sent.pictures[sent.fields["image"]] == bytes(len(text) * 3 // 4)
        assert isinstance(sent.pictures[sent.fields["images"][0]["image"]], bytes)

    asyncio.run(scene())


def _form(picture: bytes) -> bytes:
    head = b"--b\r\nContent-Disposition: form-data; name="
    seed = head + b'"seed"\r\n\r\n7\r\n'
    return seed + head + b'"image"; filename="a"\r\n\r\n' + picture + b"\r\n--b--\r\n"
