"""The routes: parse, call the pairing, format."""

import asyncio
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

from ray import serve
from ray.serve.handle import DeploymentHandle
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response

from deployments import errors
from deployments.calls import ModelCalls
from deployments.formatting import pair_response
from deployments.http import ERROR_RESPONSES, PAIR_BODY, http
from deployments.metrics import IngressMetrics
from deployments.pairing import Admission, Pairing, PairJob
from deployments.parsing import PairBody, read_pair_body
from deployments.replica_counts import ReplicaCounts
from deployments.resolving import check_accept, resolve_parameters
from deployments.schemas import LimitsAnswer, ModelCard, ModelList, PairResponse
from deployments.settings import AppSettings
from models.interfaces import ROLES, Role
from models.pixels import Crop, PictureLimits, SquarePicture, UnusablePictureError, read_square
from models.seeds import MAX_IMAGES, resolve_seeds

ANSWER_S = 0.5
"""Seconds after the deadline in which what is there by then is put together."""


# Serve copies the class by value at this point: what its methods use must be imported above.
@serve.ingress(http)
class Ingress:
    """Composes the two model deployments behind HTTP."""

    def __init__(
        self,
        settings: AppSettings,
        handles: Mapping[Role, DeploymentHandle],
        deployments: Mapping[Role, str],
    ) -> None:
        """Take the settings and, by role, the handles and the names of the deployments."""
        self._settings = settings
        self._limits: PictureLimits = settings.limits.picture_limits()
        self._metrics = IngressMetrics()
        attempts = settings.ingress.max_attempts
        self._pairing = Pairing(
            {role: ModelCalls(role, handles[role], attempts, self._metrics) for role in ROLES}
        )
        self._admission = Admission(settings.ingress.max_admitted_requests, self._metrics)
        # Threads of their own bound what is decoded at once, also when callers leave meanwhile.
        self._decoders = ThreadPoolExecutor(settings.ingress.max_decoding, "decode")
        self._deployments = deployments
        self._counts = ReplicaCounts(serve.get_replica_context().app_name)

    async def check_health(self) -> None:
        """Answer; asynchronous, so that it cannot starve behind requests."""

    @http.get("/livez", summary="The ingress answers", response_model=None)
    async def livez(self) -> Response:
        """Answer 200 as long as the ingress runs, whatever the models do."""
        return JSONResponse({"status": "ok"})

    @http.get("/readyz", summary="Both models have answered", responses=ERROR_RESPONSES)
    async def readyz(self) -> Response:
        """Answer 200 once both models have answered, as long as both have a replica; else 503."""
        await self._pairing.describe_all(ROLES, allow_partial=False)
        for role in ROLES:
            if not (await self._counts.of(self._deployments[role]))["running"]:
                message = f"the {role} model has no running replica: try again later"
                raise errors.ModelUnavailableError(message, retry_after_s=5)
        return JSONResponse({"status": "ready"})

    @http.get("/v1/models", summary="What is served", responses=ERROR_RESPONSES)
    async def models(self) -> ModelList:
        """List the models, the defaults they are served with, their replicas and the limits."""
        cards = await asyncio.gather(*(self._card(role) for role in ROLES))
        limits = LimitsAnswer(
            **vars(self._limits),
            max_images=MAX_IMAGES,
            request_timeout_s=self._settings.ingress.request_timeout_s,
        )
        return ModelList(data=cards, limits=limits)

    @http.post(
        "/v1/pairs",
        summary="One face in, two paired sets out",
        response_model=None,
        responses={**ERROR_RESPONSES, 200: {"model": PairResponse}},
        openapi_extra=PAIR_BODY,
    )
    async def pairs(self, request: Request) -> Response:
        """Make up to ten images of a face with each model, paired by index and seed."""
        started = time.monotonic()
        try:
            check_accept(request)
            async with self._admission.admit():
                response = await self._within_deadline(request, started)
        except errors.TwinsetError as error:
            self._metrics.requests.inc(tags={"status": str(errors.http_status(error))})
            raise
        self._metrics.requests.inc(tags={"status": "200"})
        return response

    async def _within_deadline(self, request: Request, started: float) -> Response:
        body = await self._read(request)
        limit_s = self._settings.ingress.request_timeout_s
        deadline = started + min(limit_s, body.request.timeout_s or limit_s)
        try:
            async with asyncio.timeout(max(0.0, deadline + ANSWER_S - time.monotonic())):
                return await self._pairs(body, deadline)
        except TimeoutError:
            raise errors.DeadlineExceededError(
                f"the sets were not ready after {deadline - started:.1f} s: ask for fewer images "
                "or steps, or allow more time"
            ) from None

    async def _read(self, request: Request) -> PairBody:
        timeout_s = self._settings.ingress.upload_timeout_s
        try:
            async with asyncio.timeout(timeout_s):
                return await read_pair_body(request, self._limits.max_bytes)
        except TimeoutError:
            raise errors.SlowUploadError(
                f"the body did not arrive within {timeout_s:g} s: send a smaller picture"
            ) from None
        except ClientDisconnect:
            raise errors.InvalidRequestError("the body ended before its time") from None

    async def _pairs(self, body: PairBody, deadline: float) -> Response:
        roles = body.request.roles()
        infos, away = await self._pairing.describe_all(roles, body.request.allow_partial)
        job = PairJob(
            picture=await self._square(body),
            seeds=resolve_seeds(body.request.n, body.request.seed, body.request.seeds),
            parameters={
                role: resolve_parameters(role, body.request, info) for role, info in infos.items()
            },
            output_format=body.request.output_format,
            deadline=deadline,
            allow_partial=body.request.allow_partial,
        )
        outcomes = {**await self._pairing.make(job), **away}
        content = await asyncio.to_thread(
            lambda: pair_response(job, infos, outcomes).model_dump_json(exclude_unset=True)
        )
        headers = {"Cache-Control": "no-store"}
        return Response(content, media_type="application/json", headers=headers)

    async def _square(self, body: PairBody) -> SquarePicture:
        crop = None
        if body.request.crop != "center":
            crop = Crop(*(int(part) for part in body.request.crop.split(",")))
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(
                self._decoders, read_square, body.picture, self._limits, crop
            )
        except UnusablePictureError as error:
            param = "crop" if str(error).startswith("crop") else "image"
            raise errors.InvalidRequestError(str(error), param=param) from error

    async def _card(self, role: Role) -> ModelCard:
        info = await self._pairing.describe(role)
        counts = await self._counts.of(self._deployments[role])
        return ModelCard(**{**vars(info), "defaults": dict(info.defaults)}, replicas=counts)
