"""Request bodies to fields and pictures: multipart or JSON, in memory only."""

import base64
import binascii
import re
from collections.abc import AsyncGenerator, Collection
from dataclasses import dataclass, field
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from python_multipart.multipart import parse_options_header
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request

from deployments.api.field_errors import invalid_field
from deployments.api.strict_json import read_json, shown
from deployments.errors import InvalidRequestError, TooLargeError, UnsupportedMediaError

MAX_FORM_FIELDS = 64
MAX_FILES = 4
_DATA_URL = re.compile(r"data:image/[\w.+-]{1,40}(;[\w.+=-]{1,40}){0,4};base64,", re.IGNORECASE)
_NEVER_FETCHED = ("http:", "https:", "file:", "ftp:")
_URL_ALPHABET = str.maketrans("-_", "+/")  # RFC 4648, section 5
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
        sent = len(files) + (bool(files) and text is not None)
        if sent > 1:
            raise InvalidRequestError(f"{name} is sent {sent} times: send one", param=name)
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
        for name in map(shown, self.files):
            raise InvalidRequestError(f"{name} is sent as a file: send it as a field", param=name)
        fields = self.fields if self.is_json else _form_values(self.fields, lists)
        try:
            return model.model_validate(fields, strict=self.is_json)
        except ValidationError as error:
            raise invalid_field(error, ["image", *model.model_fields]) from error


class _MemoryParser(MultiPartParser):
    # A face must not be spooled to a file in /tmp; the body is bounded before it is parsed.
    spool_max_size = 2**31
    is_whole = False

    def on_end(self) -> None:
        """Note that the closing boundary came: a form cut short would lose its last fields."""
        self.is_whole = True


async def read_body(request: Request, max_picture_bytes: int) -> Body:
    """Read a body of either kind.

    Raises:
        UnsupportedMediaError: something else than multipart or JSON.
        TooLargeError: longer than a picture of `max_picture_bytes` can make it.
        InvalidRequestError: it is empty, or not what its Content-Type says.
    """
    kind = media_type(request)
    if kind == "application/json":
        body = await read_bytes(request, max_picture_bytes * 4 // 3 + _OVERHEAD_BYTES)
        return Body(read_json(body), is_json=True)
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
        TooLargeError: it is longer, or says so beforehand; the rest is not read.
        UnsupportedMediaError: it is compressed.
    """
    message = f"the body has over {limit} bytes: send a smaller picture"
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and (len(declared) > 18 or int(declared) > limit):
        raise TooLargeError(message)
    if request.headers.get("content-encoding", "identity").strip().lower() not in ("", "identity"):
        raise UnsupportedMediaError("Content-Encoding is not taken: send the body uncompressed")
    chunks, size = [], 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > limit:
            raise TooLargeError(message)
        chunks.append(chunk)
    return b"".join(chunks)


def decode_base64(text: str, name: str) -> bytes:
    """Decode a picture in base64 or in a data URL; spaces and line ends in it do not matter.

    Both alphabets of base64 are taken, with padding or without.

    Raises:
        InvalidRequestError: it is neither, or a URL that would have to be fetched.
    """
    if text[:8].lower().startswith(_NEVER_FETCHED):
        raise InvalidRequestError(
            f"{name} is never fetched from a URL: send the picture itself", param=name
        )
    url = _DATA_URL.match(text)
    if text[:5].lower() == "data:" and url is None:
        raise InvalidRequestError(
            f"{name}: of data URLs only data:image/...;base64,... is taken", param=name
        )
    letters = "".join(text[url.end() if url else 0 :].split()).rstrip("=").translate(_URL_ALPHABET)
    try:
        return base64.b64decode(letters + "=" * (-len(letters) % 4), validate=True)
    except (binascii.Error, ValueError) as error:
        raise InvalidRequestError(
            f"{name} is not valid base64: encode the bytes of the picture file", param=name
        ) from error


async def _from_form(request: Request, body: bytes) -> Body:
    async def stream() -> AsyncGenerator[bytes, None]:
        yield body

    _, options = parse_options_header(request.headers["content-type"])
    if options.get(b"charset", b"utf-8").lower() not in (b"utf-8", b"utf8", b"us-ascii"):
        raise UnsupportedMediaError("the form's charset is not taken: send it in UTF-8")
    parser = _MemoryParser(
        request.headers,
        stream(),
        max_files=MAX_FILES,
        max_fields=MAX_FORM_FIELDS,
        max_part_size=_OVERHEAD_BYTES,
    )
    try:
        form = await parser.parse()
    except (MultiPartException, UnicodeDecodeError) as error:
        raise InvalidRequestError(_multipart_complaint(str(error))) from error
    if not parser.is_whole:
        await form.close()
        raise InvalidRequestError("the form ends before its closing boundary: send all of it")
    fields: dict[str, Any] = {}
    files: dict[str, list[bytes]] = {}
    for name, value in form.multi_items():
        if isinstance(value, UploadFile):
            files.setdefault(name, []).append(await value.read())
        else:
            fields.setdefault(name, []).append(value)
    return Body(fields, files)


def _multipart_complaint(reason: str) -> str:
    """Say what is wrong with a form; the parser's own words may hold pieces of it."""
    if reason.startswith("Too many"):
        return f"the form has too many parts: send at most {MAX_FORM_FIELDS} fields and one file"
    if reason.startswith("Part exceeded"):
        return f"a field has over {_OVERHEAD_BYTES} bytes: send the picture as a file"
    return "the multipart body cannot be read: check its boundary, and that each part has a name"


def _form_values(fields: dict[str, list[str]], lists: Collection[str]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for given, texts in fields.items():
        name = given.removesuffix("[]")  # some clients mark repeated fields so
        if name in lists:
            parts = [part.strip() for text in texts for part in text.split(",")]
            values.setdefault(name, []).extend(parts)
        elif len(texts) > 1 or name in values:
            twice = shown(name)
            raise InvalidRequestError(f"{twice} is given twice: send it once", param=twice)
        else:
            values[given] = texts[0]
    return values
