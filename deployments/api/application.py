"""The HTTP application: its routes, its error answers, its middleware."""

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from deployments import errors
from deployments.api.dialects import routers
from deployments.api.middleware.caller_header import CallerHeader
from deployments.api.middleware.disconnects import CancelOnDisconnect
from deployments.api.middleware.own_pages_only import OwnPagesOnly
from deployments.api.middleware.request_metrics import RequestMetrics
from deployments.api.middleware.security_headers import SecurityHeaders
from deployments.api.refusals import Refusals
from deployments.api.routes import inspect, page, status
from deployments.api.service import Service
from deployments.metrics import IngressMetrics
from models import __version__

_BODY_UNREAD = (errors.UnauthenticatedError, errors.SlowUploadError, errors.TooLargeError)


def build_application(service: Service, metrics: IngressMetrics) -> FastAPI:
    """Hang all routes on one application that serves them with `service`."""
    http = FastAPI(
        title="Twinset",
        version=__version__,
        description="One face in, two paired sets of ten out.",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    http.state.service = service
    http.state.refusals = Refusals(metrics)
    for router in (*routers(), inspect.router, status.router, page.router):
        http.include_router(router)
    http.mount("/web", page.WebFiles(directory=page.WEB), name="web")
    http.add_exception_handler(errors.TwinsetError, _twinset_error)
    http.add_exception_handler(HTTPException, _http_error)
    http.add_exception_handler(RequestValidationError, _validation_error)
    http.add_exception_handler(Exception, _unexpected_error)
    if service.open_to is not None:
        http.add_middleware(OwnPagesOnly, hosts=service.open_to)
    http.add_middleware(SecurityHeaders)
    http.add_middleware(CallerHeader)
    http.add_middleware(RequestMetrics, metrics=metrics)
    http.add_middleware(CancelOnDisconnect)
    return http


async def _twinset_error(request: Request, error: Exception) -> Response:
    known = error if isinstance(error, errors.TwinsetError) else errors.TwinsetError("it broke")
    request.app.state.refusals.note(known, request)
    headers = {"Cache-Control": "no-store"}
    if known.retry_after_s is not None:
        headers["Retry-After"] = str(known.retry_after_s)
    if isinstance(known, errors.UnauthenticatedError):
        headers["WWW-Authenticate"] = "Bearer"
    if isinstance(known, _BODY_UNREAD):
        headers["Connection"] = "close"  # else the proxy reads on, for as long as somebody sends
    return JSONResponse(known.envelope(), errors.http_status(known), headers)


async def _http_error(request: Request, error: Exception) -> Response:
    where = f"{request.method} {request.url.path}"
    headers = dict(getattr(error, "headers", None) or {})
    methods = headers.get("Allow", "another method")
    known: dict[int, errors.TwinsetError] = {
        404: errors.NotFoundError(f"there is no {where}"),
        405: errors.MethodNotAllowedError(f"{where} is not allowed: use {methods}"),
    }
    fallback = errors.InvalidRequestError("the request cannot be read")
    status_code = error.status_code if isinstance(error, HTTPException) else 400
    response = await _twinset_error(request, known.get(status_code, fallback))
    response.headers.update(headers)
    return response


async def _validation_error(request: Request, error: Exception) -> Response:
    return await _twinset_error(request, errors.InvalidRequestError("the request is not valid"))


async def _unexpected_error(request: Request, error: Exception) -> Response:
    # Starlette raises the error again after this answer, so that it reaches the log.
    return await _twinset_error(request, errors.TwinsetError("something of ours broke"))
