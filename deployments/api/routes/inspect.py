"""What an image says of where it comes from."""

from fastapi import APIRouter, Depends, Request

from deployments.api.accept import negotiate
from deployments.api.dependencies import (
    ERROR_RESPONSES,
    ServiceParameter,
    authenticate,
    body_of,
    our_body,
)
from deployments.api.schemas.answers import InspectResponse
from deployments.api.schemas.requests import InspectRequest
from deployments.errors import InvalidRequestError

router = APIRouter(tags=["Provenance"], dependencies=[Depends(authenticate)])


@router.post(
    "/v1/inspect",
    summary="What an image says of where it comes from",
    responses=ERROR_RESPONSES,
    openapi_extra=body_of(InspectRequest),
)
async def inspect(request: Request, service: ServiceParameter) -> InspectResponse:
    """Read the model, seed and parameters out of an image that Twinset made.

    It is what the file says; nothing proves that nobody changed it.
    """
    negotiate(request, ["application/json"])
    with service.admit(request) as slot:
        body = await our_body(request, service)
        picture = body.picture()
        body.checked(InspectRequest)
        provenance, is_picture = await service.inspect(picture, slot.caller)
    if not is_picture:
        raise InvalidRequestError(
            "the picture cannot be opened: send a PNG, WebP or JPEG file", param="image"
        )
    if provenance is None:
        raise InvalidRequestError(
            "the picture says nothing of Twinset: it was made by something else, or its metadata "
            "was removed",
            param="image",
        )
    return InspectResponse(**vars(provenance))
