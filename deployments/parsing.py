"""Request bodies to fields and pictures: multipart or JSON, in memory only."""

import base64
import binascii
import json
import re
from collections.abc import AsyncGenerator, Collection
from dataclasses import dataclass, field
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request

from deployments.errors import InvalidRequestError, TooLargeError, UnsupportedMediaError

MAX_FORM_FIELDS = 64
_DATA_URL = re.compile(r"^data:image/[\w.+-]{1,40};base64,")
_HOW_TO_SEND = (
    "send the request as multipart/form-data (an image file and form fields) or as "
    "application/json (image as base64)"
)
# Room for the other fields, the part headers and, in JSON, base64's four thirds.
_OVERHEAD_BYTES = 64_000

FieldsT = TypeVar("FieldsT", bound=BaseModel)


@dataclass(frozen=True)
class Body:
    """A body taken apart; nothing of it is checked yet.

    Attributes:
        fields: by name, as they came; a field that was given several times is a list.
        files: the multipart file fields, by name, in order.
        is_json: values have JSON's types; those of a form are text.
    """

    fields: dict[str, Any]
    files: dict[str, list[bytes]] = field(default_factory=dict)
    is_json: bool = False

    def picture(self, name: str = "image") -> bytes:
        """Take the one picture out of the body: a file field, or base64 in JSON.

        Raises:
            InvalidRequestError: there is none, or there are several.
        """
        files = [*self.files.pop(name, []), *self.files.pop(f"{name}[]", [])]
        text = self.fields.pop(name, None)
        if len(files) > 1:
            raise InvalidRequestError(f"{name} is sent {len(files)} times: send one", param=name)
        if files:
            return files[0]
        if not self.is_json:
            raise InvalidRequestError(
                f"{name} must be a file: send the picture as a multipart file field", param=name
            )
        if not isinstance(text, str):
            raise InvalidRequestError(
                f"{name} must be the picture in base64, or a data URL with base64", param=name
            )
        return decode_base64(text, name)

    def checked(self, model: type[FieldsT], lists: Collection[str] = ()) -> FieldsT:
        """Check the fields against a model; in a form, those of `lists` may hold several values.

        Raises:
            InvalidRequestError: a field is unknown, given twice, or out of range.
        """
        for name in self.files:
            raise InvalidRequestError(f"{name} is sent as a file: send it as a field", param=name)
        fields = self.fields if self.is_json else _form_values(self.fields, lists)
        try:
            return model.model_validate(fields, strict=self.is_json)
        except ValidationError as error:
            raise invalid_field(error, ["image", *model.model_fields]) from error


class _MemoryParser(MultiPartParser):
    # A face must not be spooled to a file in /tmp; the body is bounded before it is parsed.
    spool_max_size = 2**31


async def read_body(request: Request, max_picture_bytes: int) -> Body:
    """Read a body of either kind.

    Raises:
        UnsupportedMediaError: something else than multipart or JSON.
        TooLargeError: longer than a picture of `max_picture_bytes` can make it.
        InvalidRequestError: it is empty, or not what its Content-Type says.
    """
    kind = media_type(request)
    if kind == "application/json":
        return _from_json(await read_bytes(request, max_picture_bytes * 4 // 3 + _OVERHEAD_BYTES))
    if kind == "multipart/form-data":
        return await _from_form(
            request, await read_bytes(request, max_picture_bytes + _OVERHEAD_BYTES)
        )
    if not await read_bytes(request, _OVERHEAD_BYTES):
        raise InvalidRequestError(f"the body is empty: {_HOW_TO_SEND}", param="image")
    raise UnsupportedMediaError(_HOW_TO_SEND)


def media_type(request: Request) -> str:
    """Return the media type of the body in lower case, without parameters."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


async def read_bytes(request: Request, limit: int) -> bytes:
    """Read a body of at most `limit` bytes.

    Raises:
        TooLargeError: it is longer; the rest is not read.
    """
    chunks, size = [], 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > limit:
            raise TooLargeError(f"the body has over {limit} bytes: send a smaller picture")
        chunks.append(chunk)
    return b"".join(chunks)


def decode_base64(text: str, name: str) -> bytes:
    """Decode a picture in base64 or in a data URL.

    Raises:
        InvalidRequestError: it is neither, or a URL that would have to be fetched.
    """
    if text.startswith(("http:", "https:", "file:")):
        raise InvalidRequestError(
            f"{name} is never fetched from a URL: send the picture itself", param=name
        )
    try:
        return base64.b64decode(_DATA_URL.sub("", text, count=1), validate=True)
    except (binascii.Error, ValueError) as error:
        raise InvalidRequestError(f"{name} is not valid base64", param=name) from error


def _from_json(body: bytes) -> Body:
    try:
        fields = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise InvalidRequestError("the body is not valid JSON") from error
    if not isinstance(fields, dict):
        raise InvalidRequestError("the body must be a JSON object")
    return Body(fields, is_json=True)


async def _from_form(request: Request, body: bytes) -> Body:
    async def stream() -> AsyncGenerator[bytes, None]:
        yield body

    parser = _MemoryParser(
        request.headers, stream(), max_files=4, max_fields=MAX_FORM_FIELDS, max_part_size=len(body)
    )
    try:
        form = await parser.parse()
    except (MultiPartException, UnicodeDecodeError) as error:
        raise InvalidRequestError("the multipart body cannot be read") from error
    fields: dict[str, Any] = {}
    files: dict[str, list[bytes]] = {}
    for name, value in form.multi_items():
        if isinstance(value, UploadFile):
            files.setdefault(name, []).append(await value.read())
        else:
            fields.setdefault(name, []).append(value)
    return Body(fields, files)


def _form_values(fields: dict[str, list[str]], lists: Collection[str]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for given, texts in fields.items():
        name = given.removesuffix("[]")  # some clients mark repeated fields so
        if name in lists:
            parts = [part.strip() for text in texts for part in text.split(",")]
            values.setdefault(name, []).extend(parts)
        elif len(texts) > 1 or name in values:
            raise InvalidRequestError(f"{name} is given twice: send it once", param=name)
        else:
            values[given] = texts[0]
    return values


def invalid_field(error: ValidationError, known: Collection[str]) -> InvalidRequestError:
    """Turn pydantic's first complaint into ours; the value at fault is not repeated."""
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    location = [str(part) for part in first["loc"]]
    name = location[0] if location else None
    if first["type"] == "extra_forbidden":
        message = f"{'.'.join(location)} is not a field; the fields are {', '.join(known)}"
        return InvalidRequestError(message, param=name)
    message = first["msg"].removeprefix("Value error, ")
    prefix = f"{'.'.join(location)}: " if location else ""
    return InvalidRequestError(prefix + message[:1].lower() + message[1:], param=name)
