"""The file of API keys: one `sha256:<digest> until:<date> <name>` a line; `#` begins a comment."""

import hashlib
import os
import re
import stat
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

from deployments.errors import UnauthenticatedError

PREFIX = "twinset-"
"""Of every key that `make api-key` makes."""
_DIGEST = re.compile(r"sha256:([0-9a-f]{64})", re.IGNORECASE)
_KEY = re.compile(re.escape(PREFIX) + r"[\w-]{40,}")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_UNSAFE = re.compile(r"[^\w.@+-]+")
_MAX_NAME = 80
_OPEN_TO_OTHERS = stat.S_IRWXO | stat.S_IWGRP


class KeyFileError(ValueError):
    """A file of keys cannot be used; the sentence says what to do, and never repeats a line."""


@dataclass(frozen=True)
class KnownKey:
    """A line of the file.

    Attributes:
        digest: of the key, 64 hexadecimal digits: what tells callers apart.
        name: safe for logs and labels: letters, digits and `_.@+-`, at most 80 of them. Several
            keys may have one; where the file has none it is the digest's beginning.
        until: the last day on which the key is accepted, in UTC; None: no such day.
    """

    digest: str
    name: str
    until: date | None = None

    def refuse_expired(self) -> None:
        """Raise an UnauthenticatedError where the key's last day is over."""
        if self.until is not None and today() > self.until:
            raise UnauthenticatedError(
                f"the API key has expired: its last day was {self.until} (UTC); ask for another"
            )


def today() -> date:
    """Return the day in UTC, by which keys expire."""
    return datetime.now(UTC).date()


def digest_of(key: str) -> str:
    """Return what the file of keys holds of a key: "sha256:" and 64 hexadecimal digits."""
    return f"sha256:{hashlib.sha256(key.encode()).hexdigest()}"


def read_keys(path: Path) -> tuple[tuple[KnownKey, ...], str | None]:
    """Read a file of keys.

    Returns:
        The keys, and a sentence where other users can read or write the file. Its group may read
        it: Kubernetes mounts secrets so.

    Raises:
        KeyFileError: it cannot be read, or a line has another shape.
    """
    mode, text = _content(path)
    keys: list[KnownKey] = []
    lines: dict[str, int] = {}
    for number, line in enumerate((line.strip() for line in text.splitlines()), start=1):
        if not line or line.startswith("#"):
            continue
        try:
            key = _parsed(line)
        except ValueError as error:
            raise KeyFileError(f"api_keys_file {path}, line {number}: {error}") from None
        if first := lines.get(key.digest):
            raise KeyFileError(
                f"api_keys_file {path}, line {number}: the same key as in line {first}: delete one "
                "of them, or deleting the other would revoke nothing"
            )
        lines[key.digest] = number
        keys.append(key)
    rights = None
    if mode & _OPEN_TO_OTHERS:
        rights = (
            f"api_keys_file {path} has mode {mode & 0o777:03o}, other users can read or write it: "
            f"run `chmod 600 {path}`"
        )
    return tuple(keys), rights


def _content(path: Path) -> tuple[int, str]:
    """Return the mode and the text of a file, both of the same one."""
    try:
        if not path.is_file():  # to open a pipe would wait for ever
            raise KeyFileError(f"api_keys_file {path} cannot be read: make one, `make api-key`")
        with path.open(encoding="utf-8-sig") as opened:  # editors may put a byte order mark first
            return os.fstat(opened.fileno()).st_mode, opened.read()
    except UnicodeDecodeError:
        raise KeyFileError(f"api_keys_file {path} cannot be read: save it as UTF-8") from None
    except OSError as error:
        raise KeyFileError(
            f"api_keys_file {path} cannot be read ({error.strerror}): make one, `make api-key`, or "
            "mend its rights"
        ) from error


def _parsed(line: str) -> KnownKey:
    if _KEY.search(line):
        raise ValueError(
            "a key stands here itself, and the file must not hold one: delete the line, and make "
            "another key with `make api-key`, for this one has been seen"
        )
    if len(re.findall("sha256:", line, re.IGNORECASE)) > 1:
        raise ValueError(
            "two keys stand on one line: begin a new line before the second `sha256:` (the line "
            "above it had no line end)"
        )
    first, *rest = line.split()
    match = _DIGEST.fullmatch(first)
    if match is None:
        raise ValueError(
            "expected `sha256:<64 hexadecimal digits> <name>`, as `make api-key` writes it"
        )
    dates = [word for word in rest if word.lower().startswith("until")]
    if len(dates) > 1:
        raise ValueError("two dates stand on one line: leave one `until:`")
    digest = match[1].lower()
    name = " ".join(word for word in rest if word not in dates)
    safe = _UNSAFE.sub("_", name)[:_MAX_NAME]
    return KnownKey(digest, safe or digest[:8], _until(dates[0]) if dates else None)


def _until(word: str) -> date:
    name, _, text = word.partition(":")
    if name != "until":
        raise ValueError("a word begins with `until`: a last day is `until:2027-01-31`")
    return parse_date(text)


def parse_date(text: str) -> date:
    """Return the date that a text gives as year, month and day.

    Raises:
        ValueError: it is none.
    """
    try:
        if not _DATE.fullmatch(text):
            raise ValueError
        return date.fromisoformat(text)
    except ValueError:
        raise ValueError("no such date: write the key's last day (UTC) as 2027-01-31") from None
