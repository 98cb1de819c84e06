"""One ingress replica's service: the steps that every request for images goes through."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TypeVar

from starlette.requests import ClientDisconnect, Request

from deployments import errors
from deployments.admission.admission import Admission, Slot
from deployments.api.api_keys import ApiKeys
from deployments.api.body import Body, read_body, taken_apart
from deployments.api.defaults import resolve_parameters
from deployments.api.key_file import KnownKey
from deployments.api.schemas.requests import GenerationFields, PictureFields
from deployments.decoding.decoders import Decoders
from deployments.jobs import (
    Deadline,
    MadeSet,
    Outcome,
    PairJob,
    PairMaker,
    ReplicaCounter,
    Watcher,
    work_of,
)
from deployments.settings import AppSettings
from models.interfaces import ModelInfo
from models.parameters import VariationParameters
from models.pixels import (
    Crop,
    PictureLimits,
)
from models.provenance import Provenance
from models.roles import ROLES, VAE, Role, slowest
from models.seeds import resolve_seeds

BodyT = TypeVar("BodyT")

SWEEP_WIDTH = 4
"""Sets of one sweep under way at once: two replicas' worth, so that others get their turn."""
PICTURES = {"image": "image"}
"""Where our own routes take a picture in JSON, and how messages call it."""
_RETRY_AFTER_S = 5


@dataclass(frozen=True)
class ImageRequest:
    """A request for images in our own terms.

    Attributes:
        fields: checked, except against the served weights.
        picture: the bytes of the picture file.
        roles: of the sets to make.
        allow_partial: when one model fails, the other set is wanted.
        sets: how many sets of its slowest model the request asks for.
    """

    fields: GenerationFields
    picture: bytes
    roles: Sequence[Role]
    allow_partial: bool = False
    sets: int = 1


@dataclass(frozen=True)
class Served:
    """What the models that a request asks for say of themselves.

    Attributes:
        models: by role, of those that answered.
        away: by role, the failures of the others.
        deadline: of the request.
    """

    models: Mapping[Role, ModelInfo]
    away: Mapping[Role, errors.TwinsetError]
    deadline: Deadline


class Service:
    """The steps of a request, over the two models and the bound on requests under way.

    Attributes:
        limits: of pictures.
        decoders: read what callers send.
        open_to: where no keys are asked for, names by which callers may come besides the loopback
            interface's; None where keys are asked for.
    """

    def __init__(
        self,
        settings: AppSettings,
        keys: ApiKeys | None,
        pairs: PairMaker,
        replicas: ReplicaCounter,
        admission: Admission,
    ) -> None:
        """Take what the steps need.

        Args:
            settings: of the application.
            keys: of the callers; None when anybody may call.
            pairs: makes the sets.
            replicas: counts the models' replicas.
            admission: bounds the requests under way.
        """
        self.limits: PictureLimits = settings.limits.picture_limits()
        self.open_to: Sequence[str] | None = settings.anonymous_hosts if keys is None else None
        self._live = settings.ingress
        self._keys = keys
        self._pairs = pairs
        self._replicas = replicas
        self._admission = admission
        self.decoders = Decoders(settings.ingress.max_decoding)

    def configure(self, settings: AppSettings) -> None:
        """Change live settings; requests under way keep their deadlines."""
        self._live = settings.ingress
        self._admission.limit(settings.ingress)

    @property
    def request_timeout_s(self) -> float:
        """The longest that a request may take, seconds."""
        return self._live.request_timeout_s

    @property
    def event_ping_s(self) -> float:
        """After how many silent seconds an event stream sends a ping."""
        return self._live.event_ping_s

    def known_key(self, key: str | None) -> KnownKey | None:
        """Return what is known of a caller's key; None where everybody may call.

        Raises:
            UnauthenticatedError: no key, or a wrong one.
        """
        return None if self._keys is None else self._keys.check(key)

    async def ready(self) -> None:
        """Return when both models have answered and have a replica.

        Raises:
            ModelUnavailableError: one of them has not.
        """
        await self._pairs.describe_all(ROLES, allow_partial=False)
        for role in ROLES:
            if not (await self._replicas.of(role))["running"]:
                message = f"the {role} model has no running replica: try again later"
                raise errors.ModelUnavailableError(message, retry_after_s=_RETRY_AFTER_S)

    async def status(self, role: Role) -> tuple[ModelInfo, dict[str, int]]:
        """Return what a model says of itself, and its replicas by state."""
        return await self._pairs.describe(role), await self._replicas.of(role)

    async def known_models(self) -> Mapping[Role, ModelInfo]:
        """Return what the models that answer say of themselves.

        Raises:
            TwinsetError: none does.
        """
        models, _ = await self._pairs.describe_all(ROLES, allow_partial=True)
        return models

    async def read(self, request: Request, read: Callable[[Request], Awaitable[BodyT]]) -> BodyT:
        """Read a body within the time that an upload may take.

        Raises:
            SlowUploadError: it did not arrive.
            InvalidRequestError: the caller left before its end.
            TwinsetError: what `read` raises.
        """
        timeout_s = self._live.upload_timeout_s
        try:
            async with asyncio.timeout(timeout_s):
                return await read(request)
        except TimeoutError:
            raise errors.SlowUploadError(
                f"the body did not arrive within {timeout_s:g} s: send a smaller picture"
            ) from None
        except ClientDisconnect:
            raise errors.InvalidRequestError("the body ended before its time") from None

    async def body(self, request: Request, pictures: Mapping[str, str] = PICTURES) -> Body:
        """Read a multipart or JSON body within its time and up to its limit, and take it apart.

        Args:
            request: from a caller who is known by now.
            pictures: by the names under which pictures stand in JSON, how messages call them.

        Raises:
            TwinsetError: as `read`, `read_body` and `taken_apart`.
        """
        data = await self.read(request, lambda sent: read_body(sent, self.limits.max_bytes))
        async with Deadline.within(self.request_timeout_s).kept():
            return await taken_apart(request, data, self.decoders, pictures)

    def admit(self, request: Request) -> AbstractContextManager[Slot]:
        """Hold a slot for a request, as `Admission.admit`.

        Raises:
            TwinsetError: it is turned away.
        """
        return self._admission.admit(request.state.caller)

    async def served(self, asked: ImageRequest, slot: Slot) -> Served:
        """Let a request into the queue of its slowest model, and ask its models who they are.

        Raises:
            TwinsetError: the queue is full, or a model that is needed is away.
        """
        slot.enter(slowest(asked.roles))
        limit_s = min(self.request_timeout_s, asked.fields.timeout_s or self.request_timeout_s)
        deadline = Deadline(slot.started, slot.started + limit_s)
        async with deadline.kept():
            models, away = await self._pairs.describe_all(asked.roles, asked.allow_partial)
        return Served(models, away, deadline)

    async def job(self, asked: ImageRequest, served: Served, slot: Slot) -> PairJob:
        """Fill in what the caller left open, count the work, and decode the picture.

        Raises:
            TwinsetError: the request cannot be served, or not in its time.
        """
        fields, deadline = asked.fields, served.deadline
        seeds = resolve_seeds(fields.n, fields.seed, fields.seeds)
        parameters = {
            role: resolve_parameters(role, fields, info) for role, info in served.models.items()
        }
        queue = slowest(asked.roles)
        if queue in parameters:  # else it is away, and the other one makes its set alone
            work = asked.sets * work_of(parameters[queue], len(seeds))
            slot.expect(queue, work, deadline.at)
        async with deadline.kept():
            picture = await self.decoders.square(
                asked.picture, self.limits, _crop(fields), slot.caller
            )
        return PairJob(
            picture=picture,
            seeds=seeds,
            models=served.models,
            parameters=parameters,
            output_format=fields.output_format,
            deadline=deadline,
            allow_partial=asked.allow_partial,
            caller=slot.caller,
            away=served.away,
        )

    async def make(self, job: PairJob, watch: Watcher | None = None) -> dict[Role, Outcome]:
        """Make the sets of a job, within its deadline; `watch` is told of each step and set.

        Raises:
            TwinsetError: as `PairMaker.make`.
        """
        async with job.deadline.kept():
            return await self._pairs.make(job, watch)

    async def sweep(self, job: PairJob, factors: Sequence[float]) -> list[MadeSet]:
        """Make one VAE set for each diversity factor, a few at a time.

        Raises:
            TwinsetError: one of them could not be made; the others are cancelled.
        """
        turns = asyncio.Semaphore(SWEEP_WIDTH)

        async def made(factor: float) -> MadeSet:
            async with turns:
                return await self._pairs.make_set(VAE, job, VariationParameters(factor))

        tasks = [asyncio.create_task(made(factor)) for factor in factors]
        try:
            async with job.deadline.kept():
                return list(await asyncio.gather(*tasks))
        finally:
            for task in tasks:
                task.cancel()

    async def inspect(self, picture: bytes, caller: str | None) -> tuple[Provenance | None, bool]:
        """Return what a file says of where it comes from, and whether it is a picture at all.

        Raises:
            TwinsetError: as `Decoders.inspect`, or the turn did not come in time.
        """
        async with Deadline.within(self.request_timeout_s).kept():
            return await self.decoders.inspect(picture, caller)

    def close(self) -> None:
        """End the decoding workers; what is asked of them from now on fails."""
        self.decoders.close()


def _crop(fields: PictureFields) -> Crop | None:
    if fields.crop == "center":
        return None
    return Crop(*(int(part) for part in fields.crop.split(",")))
