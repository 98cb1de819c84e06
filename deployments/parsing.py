"""Request bodies to fields and a picture: multipart or JSON, in memory only."""

import base64
import binascii
import json
import re
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError
from starlette.datastructures import FormData, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request

from deployments.errors import InvalidRequestError, TooLargeError, UnsupportedMediaError
from deployments.schemas import PairRequest

MAX_FORM_FIELDS = 64
_LIST_FIELDS = frozenset({"seeds", "models"})
_DATA_URL = re.compile(r"^data:image/[\w.+-]{1,40};base64,")
_HOW_TO_SEND = (
    "send the request as multipart/form-data (an image file and form fields) or as "
    "application/json (image as base64)"
)
# Room for the other fields, the part headers and, in JSON, base64's four thirds.
_OVERHEAD_BYTES = 64_000


@dataclass(frozen=True)
class PairBody:
    """What a body holds.

    Attributes:
        request: the fields, checked.
        picture: the bytes of the picture file.
    """

    request: PairRequest
    picture: bytes


class _MemoryParser(MultiPartParser):
    # A face must not be spooled to a file in /tmp; the body is bounded before it is parsed.
    spool_max_size = 2**31


async def read_pair_body(request: Request, max_picture_bytes: int) -> PairBody:
    """Read and check the body of a paired request.

    Raises:
        UnsupportedMediaError: something else than multipart or JSON.
        TooLargeError: longer than a picture of `max_picture_bytes` can make it.
        InvalidRequestError: a field is missing, unknown, given twice or out of range.
    """
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type == "application/json":
        body = await _read(request, max_picture_bytes * 4 // 3 + _OVERHEAD_BYTES)
        return _from_json(body)
    if media_type == "multipart/form-data":
        body = await _read(request, max_picture_bytes + _OVERHEAD_BYTES)
        return await _from_form(request, body)
    if not await _read(request, _OVERHEAD_BYTES):
        raise _missing_image(f"the body is empty: {_HOW_TO_SEND}")
    raise UnsupportedMediaError(_HOW_TO_SEND)


async def _read(request: Request, limit: int) -> bytes:
    chunks, size = [], 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > limit:
            raise TooLargeError(f"the body has over {limit} bytes: send a smaller picture")
        chunks.append(chunk)
    return b"".join(chunks)


def _from_json(body: bytes) -> PairBody:
    try:
        fields = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise InvalidRequestError("the body is not valid JSON") from error
    if not isinstance(fields, dict):
        raise InvalidRequestError("the body must be a JSON object")
    image = fields.pop("image", None)
    if not isinstance(image, str):
        raise _missing_image("image must be the picture in base64, or a data URL with base64")
    return PairBody(_validate(fields, strict=True), _decode_base64(image))


def _decode_base64(image: str) -> bytes:
    if image.startswith(("http:", "https:", "file:")):
        raise _missing_image("image is never fetched from a URL: send the picture itself")
    try:
        return base64.b64decode(_DATA_URL.sub("", image, count=1), validate=True)
    except (binascii.Error, ValueError) as error:
        raise _missing_image("image is not valid base64") from error


async def _from_form(request: Request, body: bytes) -> PairBody:
    async def stream() -> AsyncGenerator[bytes, None]:
        yield body

    parser = _MemoryParser(
        request.headers, stream(), max_files=1, max_fields=MAX_FORM_FIELDS, max_part_size=len(body)
    )
    try:
        form = await parser.parse()
    except (MultiPartException, UnicodeDecodeError) as error:
        raise InvalidRequestError("the multipart body cannot be read") from error
    picture = await _picture_of(form)
    return PairBody(_validate(_fields_of(form), strict=False), picture)


async def _picture_of(form: FormData) -> bytes:
    upload = form.get("image")
    if not isinstance(upload, UploadFile):
        raise _missing_image("image must be a file: send the picture as a multipart file field")
    return await upload.read()


def _fields_of(form: FormData) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    for name, value in form.multi_items():
        if name == "image":
            continue
        if isinstance(value, UploadFile):
            raise InvalidRequestError(f"{name} is sent as a file: send it as a field", param=name)
        if name in _LIST_FIELDS:
            fields.setdefault(name, []).extend(part.strip() for part in value.split(","))
        elif name in fields:
            raise InvalidRequestError(f"{name} is given twice: send it once", param=name)
        else:
            fields[name] = value
    return fields


def _validate(fields: dict[str, Any], strict: bool) -> PairRequest:
    try:
        return PairRequest.model_validate(fields, strict=strict)
    except ValidationError as error:
        raise invalid_field(error) from error


def invalid_field(error: ValidationError) -> InvalidRequestError:
    """Turn pydantic's first complaint into ours; the value at fault is not repeated."""
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    location = [str(part) for part in first["loc"]]
    name = location[0] if location else None
    if first["type"] == "extra_forbidden":
        known = ", ".join(["image", *PairRequest.model_fields])
        return InvalidRequestError(f"{name} is not a field; the fields are {known}", param=name)
    message = first["msg"].removeprefix("Value error, ")
    prefix = f"{'.'.join(location)}: " if location else ""
    return InvalidRequestError(prefix + message[:1].lower() + message[1:], param=name)


def _missing_image(message: str) -> InvalidRequestError:
    return InvalidRequestError(message, param="image")
