"""The routes: parse, call the pairing, format."""

import asyncio
import time
from collections.abc import Mapping

from ray import serve
from ray.serve.handle import DeploymentHandle
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from deployments import errors
from deployments.calls import ModelCalls
from deployments.formatting import pair_response
from deployments.http import ERROR_RESPONSES, PAIR_BODY, http
from deployments.metrics import IngressMetrics
from deployments.pairing import Admission, Pairing, PairJob
from deployments.parsing import PairBody, read_pair_body
from deployments.replica_counts import ReplicaCounts
from deployments.resolving import check_accept, earlier, resolve_parameters
from deployments.schemas import LimitsAnswer, ModelCard, ModelList, PairResponse
from deployments.settings import AppSettings
from models.interfaces import ROLES, Role
from models.pixels import Crop, PictureLimits, SquarePicture, UnusablePictureError, read_square
from models.seeds import MAX_IMAGES, resolve_seeds


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
        self._decoding = asyncio.Semaphore(settings.ingress.max_decoding)
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
        """Answer 200 once both models have said what they are; 503 until then."""
        await asyncio.gather(*(self._pairing.describe(role) for role in ROLES))
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
        deadline = time.monotonic() + self._settings.ingress.request_timeout_s
        try:
            check_accept(request)
            async with self._admission.admit():
                response = await self._pairs(request, deadline)
        except errors.TwinsetError as error:
            self._metrics.requests.inc(tags={"status": str(errors.http_status(error))})
            raise
        self._metrics.requests.inc(tags={"status": "200"})
        return response

    async def _pairs(self, request: Request, deadline: float) -> Response:
        body = await read_pair_body(request, self._limits.max_bytes)
        roles = body.request.roles()
        described = await asyncio.gather(*(self._pairing.describe(role) for role in roles))
        infos = dict(zip(roles, described, strict=True))
        parameters = {role: resolve_parameters(role, body.request, infos[role]) for role in roles}
        job = PairJob(
            picture=await self._square(body),
            seeds=resolve_seeds(body.request.n, body.request.seed, body.request.seeds),
            parameters=parameters,
            output_format=body.request.output_format,
            deadline=earlier(deadline, body.request.timeout_s),
            allow_partial=body.request.allow_partial,
        )
        outcomes = await self._pairing.make(job)
        content = await asyncio.to_thread(
            lambda: pair_response(job, infos, outcomes).model_dump_json(exclude_none=True)
        )
        headers = {"Cache-Control": "no-store"}
        return Response(content, media_type="application/json", headers=headers)

    async def _square(self, body: PairBody) -> SquarePicture:
        crop = None
        if body.request.crop != "center":
            crop = Crop(*(int(part) for part in body.request.crop.split(",")))
        async with self._decoding:
            try:
                return await asyncio.to_thread(read_square, body.picture, self._limits, crop)
            except UnusablePictureError as error:
                param = "crop" if str(error).startswith("crop") else "image"
                raise errors.InvalidRequestError(str(error), param=param) from error

    async def _card(self, role: Role) -> ModelCard:
        info = await self._pairing.describe(role)
        counts = await self._counts.of(self._deployments[role])
        return ModelCard(**{**vars(info), "defaults": dict(info.defaults)}, replicas=counts)
