"""The page, the description of the API, and their static files; nothing comes from elsewhere."""

from pathlib import Path

import fastapi_swagger
from fastapi import APIRouter
from starlette.responses import FileResponse

from deployments.errors import NotFoundError

WEB = Path(__file__).parent.parent / "web"
_SWAGGER = Path(fastapi_swagger.__file__).parent / "resources"
_SWAGGER_FILES = ("swagger-ui-bundle.js", "swagger-ui.css")

router = APIRouter(include_in_schema=False)


@router.get("/")
async def page() -> FileResponse:
    """Return the page that shows the two sets as they grow."""
    return FileResponse(WEB / "index.html")


@router.get("/docs")
async def docs() -> FileResponse:
    """Return Swagger UI over /openapi.json."""
    return FileResponse(WEB / "docs.html")


@router.get("/docs/{name}")
async def swagger(name: str) -> FileResponse:
    """Return a file of Swagger UI, from the installed package."""
    if name not in _SWAGGER_FILES:
        raise NotFoundError(f"there is no GET /docs/{name[:80]}")
    return FileResponse(_SWAGGER / name)
