"""The decoding workers of one ingress replica, and what it asks of them."""

import asyncio
import secrets
import weakref
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from queue import SimpleQueue
from typing import Any

import numpy as np

from deployments.decoding.bodies import read_form
from deployments.decoding.strict_json import read_json
from deployments.decoding.worker_process import WorkerProcess
from deployments.errors import InvalidRequestError
from deployments.turns import Turns
from models.pixels import Crop, PictureLimits, SquarePicture
from models.provenance import Provenance

SHORT_BYTES = 64_000
"""A body up to this is read by the ingress itself: it costs less than the way to a worker, and at
worst 20 ms."""
_TASK_S = 0.01
"""What a task takes at least; what it took in truth is charged when it is over."""


@dataclass(frozen=True)
class SentJson:
    """A JSON object as it was sent.

    Attributes:
        fields: by name; in the place of a long picture stands a mark.
        pictures: by mark, the picture's bytes, or what is wrong with it.
    """

    fields: dict[str, Any]
    pictures: Mapping[str, bytes | InvalidRequestError] = field(default_factory=dict)


class Decoders:
    """A small pool of processes that read what callers send; callers get them in turn."""

    def __init__(self, workers: int) -> None:
        """Start so many workers."""
        self._turns = Turns(workers, is_timed=True)
        self._threads = ThreadPoolExecutor(workers, "decode")
        self._idle: SimpleQueue[WorkerProcess] = SimpleQueue()
        self.workers = [WorkerProcess() for _ in range(workers)]
        for worker in self.workers:
            self._idle.put(worker)
        self.close = weakref.finalize(self, _end, self.workers, self._threads)

    async def form(
        self, data: bytes, content_type: str, caller: str | None
    ) -> tuple[dict[str, list[str]], dict[str, list[bytes]]]:
        """Take a multipart form apart into the texts and the files of its fields, by name.

        Raises:
            TwinsetError: as `read_form`.
        """
        if len(data) <= SHORT_BYTES:
            head, contents = await read_form(data, content_type)
        else:
            head, contents = await self._ask("form", {"content_type": content_type}, data, caller)
        files = {
            name: [contents[index] for index in indices] for name, indices in head["files"].items()
        }
        return head["fields"], files

    async def json(self, data: bytes, pictures: Mapping[str, str], caller: str | None) -> SentJson:
        """Read a JSON object; `pictures` as for `json_body`.

        Raises:
            InvalidRequestError: as `json_body`.
        """
        if len(data) <= SHORT_BYTES:
            return SentJson(read_json(data))
        mark = f"picture {secrets.token_hex(16)} "
        arguments = {"mark": mark, "pictures": dict(pictures)}
        head, contents = await self._ask("json", arguments, data, caller)
        sent: dict[str, bytes | InvalidRequestError] = {}
        for index, content in enumerate(contents):
            wrong = head["wrong"].get(str(index))
            sent[f"{mark}{index}"] = InvalidRequestError(**wrong) if wrong else content
        return SentJson(head["fields"], sent)

    async def square(
        self, picture: bytes, limits: PictureLimits, crop: Crop | None, caller: str | None
    ) -> SquarePicture:
        """Decode a picture and cut a square, as `models.pixels.read_square`.

        Raises:
            InvalidRequestError: the picture, or the crop, cannot be used.
        """
        corner = None if crop is None else [crop.x, crop.y, crop.side]
        arguments = {"limits": vars(limits), "crop": corner}
        facts, (pixels,) = await self._ask("square", arguments, picture, caller)
        side = facts["side"]
        return SquarePicture(
            np.frombuffer(pixels, np.uint8).reshape(side, side, 3).copy(),  # writable
            facts["sha256"],
            width_px=facts["width"],
            height_px=facts["height"],
            crop=Crop(**facts["crop"]),
        )

    async def inspect(self, picture: bytes, caller: str | None) -> tuple[Provenance | None, bool]:
        """Return what a file says of where it comes from, and whether it is a picture at all.

        Raises:
            InvalidRequestError: nobody could tell within the bounds.
        """
        told, _ = await self._ask("inspect", {}, picture, caller)
        facts = told["provenance"]
        return None if facts is None else Provenance(**facts), told["is_picture"]

    async def _ask(
        self, task: str, arguments: Mapping[str, Any], data: bytes, caller: str | None
    ) -> tuple[dict[str, Any], list[bytes]]:
        async with self._turns.turn(caller, _TASK_S):
            work = asyncio.get_running_loop().run_in_executor(
                self._threads, self._exchange, task, arguments, data
            )
            try:
                return await asyncio.shield(work)
            except asyncio.CancelledError:
                # The worker is busy with it still: its place is not free before that ends.
                await asyncio.wait({work})
                work.exception()
                raise

    def _exchange(
        self, task: str, arguments: Mapping[str, Any], data: bytes
    ) -> tuple[dict[str, Any], list[bytes]]:
        worker = self._idle.get()
        try:
            return worker.ask(task, arguments, data)
        finally:
            self._idle.put(worker)


def _end(workers: Sequence[WorkerProcess], threads: ThreadPoolExecutor) -> None:
    threads.shutdown(wait=False, cancel_futures=True)
    for worker in workers:
        worker.end()
