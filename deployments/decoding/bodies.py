"""Request bodies, taken apart: multipart forms and JSON."""

import asyncio
import json
from collections.abc import AsyncGenerator, Mapping
from typing import Any

from python_multipart.multipart import parse_options_header
from starlette.datastructures import Headers, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from deployments.decoding.base64_text import decode_base64
from deployments.decoding.strict_json import read_json
from deployments.errors import InvalidRequestError, UnsupportedMediaError

MAX_FORM_FIELDS = 64
MAX_FILES = 4
MAX_TEXT_BYTES = 64_000
"""Of a field that is no picture: room for every one of ours, and for those of all dialects."""
MAX_SKELETON_BYTES = 1_000_000
"""Of a JSON body without its pictures and with its texts cut, and of a form's fields."""
MAX_BOUNDARIES = 1_000
"""In a form. Where the boundary stands in a file and is none, the parser looks at each byte around
it in Python: 20 MB of them would take 6 s."""

Parts = tuple[dict[str, Any], list[bytes]]


class _MemoryParser(MultiPartParser):
    # A face must not be spooled to a file in /tmp; the body is bounded before it is parsed.
    spool_max_size = 2**31
    is_whole = False

    def on_end(self) -> None:
        """Note that the closing boundary came: a form cut short would lose its last fields."""
        self.is_whole = True


def form_body(data: bytes, content_type: str) -> Parts:
    """Take a multipart form apart, in a process without an event loop, as `read_form`."""
    return asyncio.run(read_form(data, content_type))


async def read_form(data: bytes, content_type: str) -> Parts:
    """Take a multipart form apart.

    Args:
        data: the whole body.
        content_type: of the request, with the boundary.

    Returns:
        `fields`: by name, the texts that were given. `files`: by name, the indices of their bytes
        in the list beside.

    Raises:
        UnsupportedMediaError: its charset is not UTF-8.
        InvalidRequestError: it is no form, or has too many parts.
    """

    async def stream() -> AsyncGenerator[bytes, None]:
        yield data

    _, options = parse_options_header(content_type)
    if options.get(b"charset", b"utf-8").lower() not in (b"utf-8", b"utf8", b"us-ascii"):
        raise UnsupportedMediaError("the form's charset is not taken: send it in UTF-8")
    if data.count(b"--" + options.get(b"boundary", b"")) > MAX_BOUNDARIES:
        raise InvalidRequestError(
            "the form holds its boundary over and over: send one file and few fields, or choose "
            "another boundary"
        )
    parser = _MemoryParser(
        Headers({"content-type": content_type}),
        stream(),
        max_files=MAX_FILES,
        max_fields=MAX_FORM_FIELDS,
        max_part_size=MAX_TEXT_BYTES,
    )
    try:
        form = await parser.parse()
    except (MultiPartException, UnicodeDecodeError) as error:
        raise InvalidRequestError(_complaint(str(error))) from error
    if not parser.is_whole:
        await form.close()
        raise InvalidRequestError("the form ends before its closing boundary: send all of it")
    fields: dict[str, list[str]] = {}
    files: dict[str, list[int]] = {}
    contents: list[bytes] = []
    for name, value in form.multi_items():
        if isinstance(value, UploadFile):
            files.setdefault(name, []).append(len(contents))
            contents.append(await value.read())
        else:
            fields.setdefault(name, []).append(value)
    if sum(len(text) for texts in fields.values() for text in texts) > MAX_SKELETON_BYTES:
        raise InvalidRequestError("the form's fields are too long: send the fields of one request")
    return {"fields": fields, "files": files}, contents


def json_body(data: bytes, mark: str, pictures: Mapping[str, str]) -> Parts:
    """Take a long JSON body apart, so that what is left of it is short.

    Args:
        data: the whole body.
        mark: that the caller cannot know; in the place of each picture stands this mark and the
            index of its bytes in the list beside, or of the sentence that says what is wrong.
        pictures: by the names under which pictures stand, how messages call them.

    Returns:
        `fields`: the object. Texts that are no pictures are cut where no field of ours is as long.
        `wrong`: by index, what is wrong with a picture.

    Raises:
        InvalidRequestError: as `read_json`, or it is long without its pictures.
    """
    long = _LongTexts(mark, pictures)
    fields = long.replaced(read_json(data), None)
    if len(json.dumps(fields)) > MAX_SKELETON_BYTES:
        raise InvalidRequestError("the body holds too many values: send the fields of one request")
    return {"fields": fields, "wrong": long.wrong}, long.contents


class _LongTexts:
    """Takes the long texts out of a JSON value."""

    def __init__(self, mark: str, pictures: Mapping[str, str]) -> None:
        self.contents: list[bytes] = []
        self.wrong: dict[str, dict[str, str | None]] = {}
        self._mark = mark
        self._pictures = pictures

    def replaced(self, value: Any, name: str | None) -> Any:
        """Return a value with its long texts cut; `name` is that of the nearest object's field."""
        if isinstance(value, dict):
            return {key: self.replaced(item, key) for key, item in value.items()}
        if isinstance(value, list):
            return [self.replaced(item, name) for item in value]
        if not isinstance(value, str) or len(value) <= MAX_TEXT_BYTES:
            return value
        called = self._pictures.get(name or "")
        return value[: MAX_TEXT_BYTES + 1] if called is None else self._picture(value, called)

    def _picture(self, text: str, called: str) -> str:
        index = len(self.contents)
        self.contents.append(b"")
        try:
            self.contents[index] = decode_base64(text, called)
        except InvalidRequestError as error:
            self.wrong[str(index)] = {"message": error.message, "param": error.param}
        return f"{self._mark}{index}"


def _complaint(reason: str) -> str:
    """Say what is wrong with a form; the parser's own words may hold pieces of it."""
    if reason.startswith("Too many"):
        return f"the form has too many parts: send at most {MAX_FORM_FIELDS} fields and one file"
    if reason.startswith("Part exceeded"):
        return f"a field has over {MAX_TEXT_BYTES} bytes: send the picture as a file"
    return "the multipart body cannot be read: check its boundary, and that each part has a name"
