"""Bodies of the largest size that cost a parser as much as they can."""

import base64
import json
import random
from collections.abc import Iterator

FORM = "multipart/form-data; boundary=b"
JSON = "application/json"
PICTURE_BYTES = 19_900_000
JSON_BYTES = 26_600_000
_START = b'--b\r\nContent-Disposition: form-data; name="image"; filename="a"\r\n\r\n'
_END = b"\r\n--b--\r\n"

Body = tuple[str, str, bytes]
"""Name, Content-Type, bytes."""


def bodies() -> Iterator[Body]:
    """Yield them one by one: all together take a gigabyte."""
    yield from _files()
    yield from _forms()
    yield from _fields()
    yield from _texts()
    yield from _json()


def _filled(pattern: bytes, size: int) -> bytes:
    return (pattern * (size // len(pattern) + 1))[:size]


def _noise(size: int) -> bytes:
    return random.Random(0).randbytes(size)


def _files() -> Iterator[Body]:
    """Forms whose one file looks like a boundary as often as it can."""
    yield "form, noise", FORM, _START + _noise(PICTURE_BYTES) + _END
    patterns = (b"\r", b"\r\n", b"\r\n-", b"\r\n--", b"\r\n--b", b"\r\n--bx", b"\r\n--b-", b"--b")
    for pattern in (*patterns, b"\r\n--b\r", b"-", b"b", b"\n"):
        yield f"form, {pattern!r}", FORM, _START + _filled(pattern, PICTURE_BYTES) + _END
    long = b"z" * 60
    almost = _filled(b"\r\n--" + long[:-1] + b"y", PICTURE_BYTES)
    kind = f"multipart/form-data; boundary={long.decode()}"
    yield "form, a long boundary", kind, _START.replace(b"--b", b"--" + long) + almost


def _forms() -> Iterator[Body]:
    """Forms made of everything but one file."""
    part = b'--b\r\nContent-Disposition: form-data; name="x"\r\n\r\n1\r\n'
    yield "form, parts", FORM, _filled(part, PICTURE_BYTES)
    yield "form, empty parts", FORM, _filled(b"--b\r\n\r\n\r\n", PICTURE_BYTES)
    yield "form, headers", FORM, b"--b\r\n" + _filled(b"A: b\r\n", PICTURE_BYTES) + b"\r\n" + _END
    yield "form, a header", FORM, b"--b\r\nA: " + _filled(b"x", PICTURE_BYTES) + b"\r\n\r\n" + _END
    yield "form, a header's name", FORM, b"--b\r\n" + _filled(b"x", PICTURE_BYTES) + _END
    yield "form, before it", FORM, _filled(b"\r\n", PICTURE_BYTES)
    yield "form, after it", FORM, _START + b"a" + _END + _filled(b"\r\n--b", PICTURE_BYTES)


def _fields() -> Iterator[Body]:
    """Forms of as many fields as are taken, each as long as it may be."""
    for name, letter in (("seeds", b","), ("models", b","), ("prompt", b"\x01")):
        head = f'--b\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n'.encode()
        field = head + letter * 63_999 + b"\r\n"
        yield f"form, fields of {name}", FORM, field * 63 + _START + b"a" + _END


def _texts() -> Iterator[Body]:
    """JSON whose one text is long."""
    picture = base64.b64encode(_noise(PICTURE_BYTES - 400_000)).decode()
    yield "json, a picture", JSON, json.dumps({"image": picture}).encode()
    slashed = json.dumps({"image": picture}).replace("/", "\\/").encode()
    yield "json, a picture from PHP", JSON, slashed
    texts = {
        "\\u0041": "escapes",
        "\\n": "short escapes",
        "\\ud83d\\ude00": "pairs",
        "\\ud83d": "half pairs",
        "😀": "four bytes",
        "A ": "spaces",
        "A": "letters",
        "=": "padding",
    }
    for pattern, name in texts.items():
        text = _filled(pattern.encode(), JSON_BYTES - 24) + b"A"
        text = text[: len(text) - len(text) % 12]
        yield f"json, {name}", JSON, b'{"image":"' + text + b'"}'
        yield f"json, {name} elsewhere", JSON, b'{"prompt":"' + text + b'"}'
    yield "json, a data URL", JSON, b'{"image":"data:image/' + b"a" * JSON_BYTES + b';base64,"}'
    yield "json, a name", JSON, b'{"' + b"a" * (JSON_BYTES - 20) + b'":1}'


def _json() -> Iterator[Body]:
    """JSON of many values, or of none."""
    for pattern in (b"[", b"{},", b'"a",', b'{"a":', b"1,", b"null,", b"\\"):
        yield f"json, {pattern!r}", JSON, b'{"a":[' + _filled(pattern, JSON_BYTES)
    few = {b"{},": b"{}]}", b'"a",': b'""]}', b"1,": b"1]}", b'{"a":1},': b"1]}"}
    for pattern, end in few.items():
        yield f"json, just so many {pattern!r}", JSON, b'{"a":[' + pattern * 58_000 + end
    for levels in (33, 400, 600, 980):
        nested = b"[" * levels + b"]" * levels
        yield f"json, {levels} levels", JSON, b'{"a":' + nested + b',"b":"' + b"A" * 70_000 + b'"}'
    padded = b'{"image":"' + b"A" * (JSON_BYTES - 500_000) + b'","b":[' + b"{}," * 45_000 + b"{}]}"
    yield "json, a picture and so many", JSON, padded
    for pattern, name in ((b" ", "spaces"), (b"1", "digits"), (b"A", "letters")):
        yield f"json, only {name}", JSON, _filled(pattern, JSON_BYTES)
    yield "json, a number", JSON, b'{"a":' + _filled(b"1", JSON_BYTES) + b"}"
    yield "json, a fraction", JSON, b'{"a":0.' + _filled(b"1", JSON_BYTES) + b"}"
    yield "json, an exponent", JSON, b'{"a":1e' + _filled(b"1", JSON_BYTES) + b"}"
