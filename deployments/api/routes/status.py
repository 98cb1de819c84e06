"""What the service says of itself: alive, ready, what is served."""

import asyncio

from fastapi import APIRouter, Depends, Response
from fastapi.responses import JSONResponse

from deployments.api.dependencies import ERROR_RESPONSES, ServiceParameter, authenticate
from deployments.api.schemas.status import LimitsAnswer, ModelCard, ModelList, StatusAnswer
from deployments.api.service import Service
from models.roles import ROLES, Role
from models.seeds import MAX_IMAGES

router = APIRouter(tags=["Status"])


@router.get("/livez", summary="The ingress answers", responses={200: {"model": StatusAnswer}})
async def livez() -> JSONResponse:
    """Answer 200 as long as the ingress runs, whatever the models do."""
    return JSONResponse({"status": "ok"})


@router.get(
    "/readyz",
    summary="Both models have answered",
    responses={**ERROR_RESPONSES, 200: {"model": StatusAnswer}},
)
async def readyz(service: ServiceParameter) -> JSONResponse:
    """Answer 200 once both models have answered, as long as both have a replica; else 503."""
    await service.ready()
    return JSONResponse({"status": "ready"})


@router.get(
    "/v1/models",
    summary="What is served",
    responses=ERROR_RESPONSES,
    dependencies=[Depends(authenticate)],
)
async def models(service: ServiceParameter, response: Response) -> ModelList:
    """List the models, the defaults they are served with, their replicas and the limits."""
    response.headers["Cache-Control"] = "no-store"  # it took a key
    cards = await asyncio.gather(*(_card(service, role) for role in ROLES))
    limits = LimitsAnswer(
        **vars(service.limits),
        max_images=MAX_IMAGES,
        request_timeout_s=service.request_timeout_s,
    )
    return ModelList(data=cards, limits=limits)


async def _card(service: Service, role: Role) -> ModelCard:
    info, counts = await service.status(role)
    return ModelCard(**{**vars(info), "defaults": dict(info.defaults)}, replicas=counts)
