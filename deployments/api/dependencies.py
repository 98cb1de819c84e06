"""What all routes share: the service behind them, the callers' keys, the errors they may answer."""

import base64
from functools import cache
from io import BytesIO
from typing import Annotated, Any

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from PIL import Image
from pydantic import BaseModel

from deployments import errors
from deployments.api.body import Body
from deployments.api.routes.page import WEB
from deployments.api.schemas.errors import ErrorEnvelope
from deployments.api.service import Service
from deployments.errors import InvalidRequestError

ERROR_RESPONSES: dict[int | str, dict[str, Any]] = {
    status: {"model": ErrorEnvelope} for status in sorted(set(errors.HTTP_STATUS.values()))
}
PROMPT = "a portrait of a woman with red hair"
"""Of examples in the documentation."""
_BEARER = HTTPBearer(auto_error=False, description="An API key, where the service asks for one")


def get_service(request: Request) -> Service:
    """Return the service of this ingress replica."""
    service: Service = request.app.state.service
    return service


ServiceParameter = Annotated[Service, Depends(get_service)]


def authenticate(
    request: Request,
    service: ServiceParameter,
    sent: Annotated[HTTPAuthorizationCredentials | None, Depends(_BEARER)] = None,
) -> None:
    """Let callers in who have a key, or everybody where the settings say so.

    Sets `request.state.caller`, which tells callers apart, and `request.state.key_name`, which
    tells operators who it was: None where everybody is let in.

    Raises:
        UnauthenticatedError: no key, a wrong one, or one that has expired.
    """
    known = service.known_key(None if sent is None else sent.credentials)
    request.state.caller = None if known is None else known.digest
    request.state.key_name = None if known is None else known.name
    if known is not None:
        known.refuse_expired()


async def our_body(request: Request, service: Service) -> Body:
    """Read the body of one of our own routes, which take no field in the address.

    Raises:
        TwinsetError: as `Service.body`, or a field stands in the address.
    """
    for name in request.query_params:
        message = f"{name} stands in the address: send it as a field of the body"
        raise InvalidRequestError(message, param=name)
    return await service.body(request)


def body_of(
    model: type[BaseModel],
    *media_types: str,
    picture: str | None = "image",
    extra: dict[str, Any] | None = None,
    example: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Describe a request body that is read by hand, for OpenAPI.

    Args:
        model: of the fields.
        *media_types: that are taken; multipart and JSON when none is named.
        picture: name of the field that holds the picture; None when `model` has it.
        extra: further properties.
        example: the fields that `/docs` fills in for a first try, beside the picture; those of all
            properties together would contradict each other.
    """
    whole = model.model_json_schema()
    schema = _inlined(whole, whole.pop("$defs", {}))
    contents = {}
    for media_type in media_types or ("multipart/form-data", "application/json"):
        properties = {**schema.get("properties", {}), **(extra or {})}
        required = schema.get("required", [])
        filled = dict(example or {})
        if picture is not None:
            properties = {picture: _picture(media_type), **properties}
            required = [picture, *required]
            if media_type == "application/json":
                filled = {picture: example_picture(), **filled}
        contents[media_type] = {
            "schema": {**schema, "properties": properties, "required": required},
            "example": filled,
        }
    return {"requestBody": {"required": True, "content": contents}}


def _inlined(schema: Any, definitions: dict[str, Any]) -> Any:
    # FastAPI collects the definitions of answers only; these stand where they are used.
    if isinstance(schema, list):
        return [_inlined(item, definitions) for item in schema]
    if not isinstance(schema, dict):
        return schema
    name = str(schema.get("$ref", "")).removeprefix("#/$defs/")
    inlined = {key: _inlined(value, definitions) for key, value in schema.items() if key != "$ref"}
    return {**_inlined(definitions[name], definitions), **inlined} if name else inlined


def _picture(media_type: str) -> dict[str, Any]:
    if media_type == "application/json":
        return {
            "type": "string",
            "description": "The picture in base64, or a data URL",
            "examples": ["iVBORw0KGgo..."],
        }
    return {
        "type": "string",
        "format": "binary",
        "description": "The picture file: JPEG, PNG or WebP",
        "examples": ["face.jpg"],
    }


@cache
def example_picture() -> str:
    """Return the sample face in base64, small: what `/docs` sends has to be a picture."""
    buffer = BytesIO()
    with Image.open(WEB / "sample-face.png") as opened:
        opened.convert("RGB").resize((96, 96)).save(buffer, "JPEG", quality=80)
    return base64.b64encode(buffer.getvalue()).decode()
