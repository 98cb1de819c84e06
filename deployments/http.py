"""The HTTP application that the routes hang on: its description and its error answers."""

from typing import Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from deployments import errors
from deployments.schemas import ErrorEnvelope, PairRequest
from models import __version__

ERROR_RESPONSES: dict[int | str, dict[str, Any]] = {
    status: {"model": ErrorEnvelope} for status in sorted(set(errors.HTTP_STATUS.values()))
}
PAIR_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            media_type: {
                "schema": {
                    **PairRequest.model_json_schema(),
                    "properties": {
                        "image": {"type": "string", **image},
                        **PairRequest.model_json_schema()["properties"],
                    },
                    "required": ["image"],
                }
            }
            for media_type, image in {
                "multipart/form-data": {"format": "binary", "description": "The picture file"},
                "application/json": {"description": "The picture in base64, or a data URL"},
            }.items()
        },
    }
}

http = FastAPI(
    title="Twinset",
    version=__version__,
    description="One face in, two paired sets of ten out.",
    docs_url=None,
    redoc_url=None,
)


@http.exception_handler(errors.TwinsetError)
async def _twinset_error(request: Request, error: errors.TwinsetError) -> Response:
    headers = {"Cache-Control": "no-store"}
    if error.retry_after_s is not None:
        headers["Retry-After"] = str(error.retry_after_s)
    return JSONResponse(error.envelope(), errors.http_status(error), headers)


@http.exception_handler(HTTPException)
async def _http_error(request: Request, error: HTTPException) -> Response:
    where = f"{request.method} {request.url.path}"
    known: dict[int, errors.TwinsetError] = {
        404: errors.NotFoundError(f"there is no {where}"),
        405: errors.MethodNotAllowedError(f"{where} is not allowed: use another method"),
    }
    fallback = errors.InvalidRequestError("the request cannot be read")
    return await _twinset_error(request, known.get(error.status_code, fallback))


@http.exception_handler(RequestValidationError)
async def _validation_error(request: Request, error: RequestValidationError) -> Response:
    return await _twinset_error(request, errors.InvalidRequestError("the request is not valid"))


@http.exception_handler(Exception)
async def _unexpected_error(request: Request, error: Exception) -> Response:
    # Starlette raises the error again after this answer, so that it reaches the log.
    return await _twinset_error(request, errors.TwinsetError("something of ours broke"))
