"""Request bodies to fields and pictures: multipart or JSON, in memory only."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from starlette.requests import Request

from deployments.api.field_errors import invalid_field
from deployments.decoding.base64_text import decode_base64
from deployments.decoding.decoders import Decoders
from deployments.decoding.strict_json import shown
from deployments.errors import InvalidRequestError, TooLargeError, UnsupportedMediaError

_HOW_TO_SEND = (
    "send the request as multipart/form-data (an image file and form fields) or as "
    "application/json (image as base64)"
)
_MAX_LIST = 100  # values of a list in a form; a sweep has 12, a set 10
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
        long_pictures: by the mark that stands in their place in JSON, pictures, or what is wrong.
    """

    fields: dict[str, Any]
    files: dict[str, list[bytes]] = field(default_factory=dict)
    is_json: bool = False
    long_pictures: Mapping[str, bytes | InvalidRequestError] = field(default_factory=dict)

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
        return self.decoded(text, name)

    def decoded(self, text: str, name: str) -> bytes:
        """Return the picture that a text of JSON holds, in base64 or as a data URL.

        Raises:
            InvalidRequestError: as `decode_base64`.
        """
        picture = self.long_pictures.get(text)
        if isinstance(picture, InvalidRequestError):
            raise picture
        return decode_base64(text, name) if picture is None else picture

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


async def read_body(request: Request, max_picture_bytes: int) -> bytes:
    """Read the whole of a body of either kind.

    Raises:
        UnsupportedMediaError: something else than multipart or JSON.
        TooLargeError: longer than a picture of `max_picture_bytes` can make it.
        InvalidRequestError: it is empty.
    """
    kind = media_type(request)
    if kind == "application/json":
        return await read_bytes(request, max_picture_bytes * 4 // 3 + _OVERHEAD_BYTES)
    if kind == "multipart/form-data":
        return await read_bytes(request, max_picture_bytes + _OVERHEAD_BYTES)
    if not await read_bytes(request, _OVERHEAD_BYTES):
        raise InvalidRequestError(f"the body is empty: {_HOW_TO_SEND}", param="image")
    raise UnsupportedMediaError(_HOW_TO_SEND)


async def taken_apart(
    request: Request, data: bytes, decoders: Decoders, pictures: Mapping[str, str]
) -> Body:
    """Take a body of either kind apart.

    Args:
        request: whose body it is, from a caller who is known by now.
        data: the body.
        decoders: that do it.
        pictures: by the names under which pictures stand in JSON, how messages call them.

    Raises:
        InvalidRequestError: it is not what its Content-Type says.
        UnsupportedMediaError: its charset is not UTF-8.
    """
    caller = request.state.caller
    if media_type(request) == "application/json":
        sent = await decoders.json(data, pictures, caller)
        return Body(sent.fields, is_json=True, long_pictures=sent.pictures)
    fields, files = await decoders.form(data, request.headers["content-type"], caller)
    return Body(fields, files)


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


def _form_values(fields: dict[str, list[str]], lists: Collection[str]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for given, texts in fields.items():
        name = given.removesuffix("[]")  # some clients mark repeated fields so
        if name in lists:
            if sum(text.count(",") for text in texts) > _MAX_LIST:
                raise InvalidRequestError(f"{name} has too many values", param=name)
            parts = [part.strip() for text in texts for part in text.split(",")]
            values.setdefault(name, []).extend(parts)
        elif len(texts) > 1 or name in values:
            twice = shown(name)
            raise InvalidRequestError(f"{twice} is given twice: send it once", param=twice)
        else:
            values[given] = texts[0]
    return values
