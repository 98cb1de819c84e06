"""What every request for images goes through, whatever dialect it speaks."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import TypeVar

from starlette.requests import ClientDisconnect, Request

from deployments import errors
from deployments.admission.admission import Admission, Slot
from deployments.admission.wait_estimate import work_of
from deployments.api.api_keys import ApiKeys
from deployments.api.body import Body, read_body
from deployments.api.defaults import resolve_parameters
from deployments.api.schemas.requests import GenerationFields, PictureFields, SeedFields
from deployments.dispatch.pairing import MadeSet, Outcome, Pairing, PairJob
from deployments.dispatch.replica_counts import ReplicaCounts
from deployments.settings import AppSettings
from models.interfaces import ModelInfo, Role
from models.parameters import VariationParameters
from models.pixels import Crop, PictureLimits, SquarePicture, UnusablePictureError, read_square
from models.seeds import resolve_seeds

BodyT = TypeVar("BodyT")

ANSWER_S = 0.5
"""Seconds after the deadline in which what is there by then is put together."""
SWEEP_WIDTH = 4
"""Sets of one sweep under way at once: two replicas' worth, so that others get their turn."""


@dataclass(frozen=True)
class ImageRequest:
    """A request in our own terms.

    Attributes:
        fields: checked, except against the served weights.
        picture: the bytes of the picture file.
        roles: of the sets to make.
        allow_partial: when one model fails, the other set is wanted.
        check: refuses what the served weights cannot do in the caller's dialect.
    """

    fields: GenerationFields
    picture: bytes
    roles: Sequence[Role]
    allow_partial: bool = False
    check: Callable[[Mapping[Role, ModelInfo]], None] = lambda models: None


@dataclass(frozen=True)
class Service:
    """The parts of one ingress replica, and the steps of a request.

    Attributes:
        settings: of the application.
        limits: what is refused of a picture.
        keys: of the callers; None when anybody may call.
        pairing: the two models.
        admission: the bound on requests under way.
        decoders: threads of their own, which bound what is decoded at once.
        counts: of replicas.
        deployments: the names of the deployments, by role.
    """

    settings: AppSettings
    limits: PictureLimits
    keys: ApiKeys | None
    pairing: Pairing
    admission: Admission
    decoders: ThreadPoolExecutor
    counts: ReplicaCounts
    deployments: Mapping[Role, str]

    async def read(self, request: Request, read: Callable[[Request], Awaitable[BodyT]]) -> BodyT:
        """Read a body within the time that an upload may take.

        Raises:
            SlowUploadError: it did not arrive.
            InvalidRequestError: the caller left before its end.
            TwinsetError: what `read` raises.
        """
        timeout_s = self.settings.ingress.upload_timeout_s
        try:
            async with asyncio.timeout(timeout_s):
                return await read(request)
        except TimeoutError:
            raise errors.SlowUploadError(
                f"the body did not arrive within {timeout_s:g} s: send a smaller picture"
            ) from None
        except ClientDisconnect:
            raise errors.InvalidRequestError("the body ended before its time") from None

    async def body(self, request: Request) -> Body:
        """Read a multipart or JSON body within its time and up to its limit.

        Raises:
            TwinsetError: as `read` and `read_body`.
        """
        return await self.read(request, lambda one: read_body(one, self.limits.max_bytes))

    def admit(self, request: Request) -> AbstractContextManager[Slot]:
        """Hold a place for a request, as `Admission.admit`.

        Raises:
            TwinsetError: it is turned away.
        """
        return self.admission.admit(request.state.caller)

    async def prepare(self, asked: ImageRequest, place: Slot, sets: int = 1) -> PairJob:
        """Decode the picture and fill in what the caller left open.

        Args:
            asked: nobody should hold on to it, so that the file does not stay in memory.
            place: moves into the lane of the slowest model.
            sets: how many such sets the request asks for.

        Raises:
            TwinsetError: the request cannot be served, or not now.
        """
        fields = asked.fields
        lane: Role = "stable_diffusion" if "stable_diffusion" in asked.roles else "vae"
        place.enter(lane)
        deadline = self._deadline(fields, place)
        async with _until(deadline, place):
            models, away = await self.pairing.describe_all(asked.roles, asked.allow_partial)
            asked.check(models)
            parameters = {
                role: resolve_parameters(role, fields, info) for role, info in models.items()
            }
            seeds = _seeds(fields)
            if lane in parameters:  # else it is away, and the other one makes its set alone
                place.expect(lane, sets * work_of(parameters[lane], len(seeds)), deadline)
            return PairJob(
                picture=await self._square(asked.picture, fields),
                seeds=seeds,
                models=models,
                parameters=parameters,
                output_format=fields.output_format,
                deadline=deadline,
                allow_partial=asked.allow_partial,
                away=away,
            )

    async def make(self, job: PairJob, place: Slot) -> dict[Role, Outcome]:
        """Make the sets of a job.

        Raises:
            TwinsetError: as `Pairing.make`.
        """
        async with _until(job.deadline, place):
            return await self.pairing.make(job)

    async def sweep(self, job: PairJob, factors: Sequence[float], place: Slot) -> list[MadeSet]:
        """Make one VAE set for each diversity factor, a few at a time.

        Raises:
            TwinsetError: one of them could not be made; the others are cancelled.
        """
        turns = asyncio.Semaphore(SWEEP_WIDTH)

        async def one(factor: float) -> MadeSet:
            async with turns:
                return await self.pairing.make_set("vae", job, VariationParameters(factor))

        tasks = [asyncio.create_task(one(factor)) for factor in factors]
        try:
            async with _until(job.deadline, place):
                return list(await asyncio.gather(*tasks))
        finally:
            for task in tasks:
                task.cancel()

    def _deadline(self, fields: PictureFields, place: Slot) -> float:
        limit_s = self.settings.ingress.request_timeout_s
        return place.started + min(limit_s, fields.timeout_s or limit_s)

    async def _square(self, picture: bytes, fields: PictureFields) -> SquarePicture:
        crop = None
        if fields.crop != "center":
            crop = Crop(*(int(part) for part in fields.crop.split(",")))
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(
                self.decoders, read_square, picture, self.limits, crop
            )
        except UnusablePictureError as error:
            param = "crop" if str(error).startswith("crop") else "image"
            raise errors.InvalidRequestError(str(error), param=param) from error


def _seeds(fields: SeedFields) -> list[int]:
    return resolve_seeds(fields.n, fields.seed, fields.seeds)


@asynccontextmanager
async def _until(deadline: float, place: Slot) -> AsyncIterator[None]:
    try:
        async with asyncio.timeout(max(0.0, deadline + ANSWER_S - time.monotonic())):
            yield
    except TimeoutError:
        raise errors.DeadlineExceededError(
            f"the sets were not ready after {deadline - place.started:.1f} s: ask for fewer images "
            "or steps, or allow more time"
        ) from None
