"""The page, the description of the API, and their static files; nothing comes from elsewhere."""

from pathlib import Path
from typing import Any

import fastapi_swagger
from fastapi import APIRouter
from starlette.responses import FileResponse, Response
from starlette.staticfiles import StaticFiles

from deployments.errors import NotFoundError

WEB = Path(__file__).parent.parent.parent / "web"
_SWAGGER = Path(fastapi_swagger.__file__).parent / "resources"
_SWAGGER_FILES = ("swagger-ui-bundle.js", "swagger-ui.css")

# Asked again each time, answered by an ETag: a page never mixes files of two versions.
_FRESH = {"Cache-Control": "no-cache"}

router = APIRouter(include_in_schema=False)


class WebFiles(StaticFiles):
    """The page's static files."""

    def file_response(self, *arguments: Any, **options: Any) -> Response:
        """Return a file, or 304 when the browser has it."""
        response = super().file_response(*arguments, **options)
        response.headers.update(_FRESH)
        return response


@router.get("/")
async def page() -> FileResponse:
    """Return the page that shows the two sets as they grow."""
    return FileResponse(WEB / "index.html", headers=_FRESH)


@router.get("/docs")
async def docs() -> FileResponse:
    """Return Swagger UI over /openapi.json."""
    return FileResponse(WEB / "docs.html", headers=_FRESH)


@router.get("/docs/{name}")
async def swagger(name: str) -> FileResponse:
    """Return a file of Swagger UI, from the installed package."""
    if name not in _SWAGGER_FILES:
        raise NotFoundError(f"there is no GET /docs/{name[:80]}")
    return FileResponse(_SWAGGER / name)
