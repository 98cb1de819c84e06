"""Fetches one file over HTTP: resumed where it broke off, and in place only once it is proven.

httpx, because huggingface_hub's `http_get` keeps whole pieces of 10 MB only (a link that breaks
every 9 MB never gets on) and starts counting its tries anew with each of them.
"""

import errno
import hashlib
import os
import re
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import httpx
from tqdm import tqdm

TIMEOUT_S = 30.0
"""Longest silence of the server, while connecting or between two pieces."""
TRIES = 5
"""Connections for one call of `fetch`, counted whether they brought something or not."""
WAITS_S = (1.0, 2.0, 4.0, 8.0)
"""Pauses before the second, third, ... connection."""
_PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})


class DownloadError(Exception):
    """A file could not be fetched; the sentence says why and what to do."""


class _PassingError(Exception):
    """This connection failed; the next one may do."""


@dataclass(frozen=True)
class GitBlob:
    """Identity of a file in a git repository.

    Attributes:
        sha1: 40 hexadecimal digits, SHA-1 of `blob <size in bytes>` + NUL + content.
    """

    sha1: str

    def __post_init__(self) -> None:
        """Refuse what is no SHA-1."""
        _check_digits("sha1", self.sha1, 40)

    def __str__(self) -> str:
        """Name it as a reader looks it up."""
        return f"git blob {self.sha1}"

    @classmethod
    def of(cls, file: Path) -> Self:
        """Measure the identity of `file`."""
        with file.open("rb") as opened:
            size_bytes = os.fstat(opened.fileno()).st_size
            started = hashlib.sha1(f"blob {size_bytes}\0".encode(), usedforsecurity=False)
            return cls(hashlib.file_digest(opened, lambda: started).hexdigest())


@dataclass(frozen=True)
class Sha256:
    """Identity of a file by its content alone.

    Attributes:
        sha256: 64 hexadecimal digits.
    """

    sha256: str

    def __post_init__(self) -> None:
        """Refuse what is no SHA-256."""
        _check_digits("sha256", self.sha256, 64)

    def __str__(self) -> str:
        """Name it as a reader looks it up."""
        return f"sha256 {self.sha256}"

    @classmethod
    def of(cls, file: Path) -> Self:
        """Measure the identity of `file`."""
        with file.open("rb") as opened:
            return cls(hashlib.file_digest(opened, "sha256").hexdigest())


Identity = GitBlob | Sha256


def fetch(
    url: str,
    target: Path,
    identity: Identity,
    limit_bytes: int,
    timeout_s: float = TIMEOUT_S,
    authorization: str | None = None,
) -> Path:
    """Make `target` the file that `identity` names; without the network when it is there already.

    What has come is kept in `target` + ".partial", across calls too, and becomes `target` by a
    rename once its identity is checked.

    Args:
        url: where it is; a constant of ours, never what a caller sent.
        target: where it goes; its directory is made.
        identity: what it must be.
        limit_bytes: more than the file has; whoever sends more is not the right server.
        timeout_s: longest silence of the server.
        authorization: what the header of that name says to the server of `url`; where it sends on
            to another server, that one does not get it. Proxies are those of the environment.

    Returns:
        `target`.

    Raises:
        DownloadError: it could not be fetched, is another file, or could not be written.
    """
    partial = target.with_name(target.name + ".partial")
    try:
        if target.exists():
            _check_present(target, identity)
            return target
        target.parent.mkdir(parents=True, exist_ok=True)
        source = _Source(url, limit_bytes, timeout_s, authorization)
        _receive_all(source, target, partial)
        _check_received(url, partial, identity)
        os.replace(partial, target)
    except OSError as error:
        raise DownloadError(_disk_sentence(target, error)) from error
    return target


def _check_digits(name: str, value: str, count: int) -> None:
    if not re.fullmatch(f"[0-9a-f]{{{count}}}", value):
        raise ValueError(f"{name} is {value!r}: give {count} lower-case hexadecimal digits")


def _check_present(target: Path, identity: Identity) -> None:
    if not target.is_file():
        raise DownloadError(f"{target} is not a file: move it away and run this again")
    found = identity.of(target)
    if found != identity:
        raise DownloadError(
            f"{target} is {found}, not {identity}: delete it and run this again to fetch it anew"
        )


def _check_received(url: str, partial: Path, identity: Identity) -> None:
    found = identity.of(partial)
    if found != identity:
        # Whatever is wrong with it, going on from here could never become right.
        partial.unlink()
        raise DownloadError(
            f"what came from {url} is {found}, not {identity}: it was thrown away; run this again, "
            "and if it stays so, look whether a proxy or a login page answers in its place"
        )


@dataclass(frozen=True)
class _Source:
    url: str
    limit_bytes: int
    timeout_s: float
    authorization: str | None


def _receive_all(source: _Source, target: Path, partial: Path) -> None:
    url = source.url
    by_hand = f"or fetch {url} elsewhere and put it at {target}, and run this again"
    for attempt in range(1, TRIES + 1):
        try:
            return _receive(source, target.name, partial)
        except (_PassingError, httpx.TransportError) as error:
            if attempt == TRIES:
                raise DownloadError(
                    f"{url} could not be fetched in {TRIES} tries "
                    f"({str(error) or type(error).__name__}): check the network, {by_hand}"
                ) from error
            time.sleep(WAITS_S[attempt - 1])
        except httpx.HTTPStatusError as error:
            answered = f"{error.response.status_code} {error.response.reason_phrase}".strip()
            raise DownloadError(
                f"{url} answers {answered}: check what stands between this machine and it, "
                f"{by_hand}"
            ) from error
        except httpx.HTTPError as error:
            raise DownloadError(
                f"{url} could not be fetched ({error}): check the network, {by_hand}"
            ) from error


def _receive(source: _Source, name: str, partial: Path) -> None:
    """Use one connection: go on where the partial file ends, or start anew if the server must."""
    offset = partial.stat().st_size if partial.exists() else 0
    # Ranges count the bytes that are sent: compressed ones would not be the file's.
    headers = {"Accept-Encoding": "identity"}
    if source.authorization:
        headers["Authorization"] = source.authorization
    if offset:
        headers["Range"] = f"bytes={offset}-"
    with httpx.stream(
        "GET", source.url, headers=headers, timeout=source.timeout_s, follow_redirects=True
    ) as response:
        _check_status(response, partial, offset)
        if response.status_code != httpx.codes.PARTIAL_CONTENT:
            offset = 0
        _write(response, name, partial, offset, source.limit_bytes)


def _check_status(response: httpx.Response, partial: Path, offset: int) -> None:
    if response.status_code in _PASSING:
        raise _PassingError(f"{response.status_code} {response.reason_phrase}")
    continues = response.headers.get("Content-Range", "").startswith(f"bytes {offset}-")
    if response.status_code == httpx.codes.REQUESTED_RANGE_NOT_SATISFIABLE or (
        response.status_code == httpx.codes.PARTIAL_CONTENT and not continues
    ):
        partial.unlink(missing_ok=True)
        raise _PassingError(f"the server cannot go on after {offset} bytes")
    response.raise_for_status()


def _write(
    response: httpx.Response, name: str, partial: Path, offset: int, limit_bytes: int
) -> None:
    rest = response.headers.get("Content-Length", "")
    total = offset + int(rest) if rest.isdecimal() else None
    with (
        partial.open("ab" if offset else "wb") as file,
        # Nothing is drawn where nobody watches: not a terminal.
        tqdm(
            desc=name, total=total, initial=offset, unit="B", unit_scale=True, disable=None
        ) as bar,
    ):
        for piece in response.iter_raw():
            bar.update(len(piece))
            if file.tell() + len(piece) > limit_bytes:
                file.close()
                partial.unlink()
                raise DownloadError(
                    f"{response.url} sends more than the {limit_bytes} bytes that {name} may have: "
                    "another file, thrown away; look whether a proxy answers in its place"
                )
            file.write(piece)
        file.flush()
        # A rename may reach the disk before the content does.
        os.fsync(file.fileno())


def _disk_sentence(target: Path, error: OSError) -> str:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        fix = "make room and run this again; what has come is kept"
    else:
        fix = "choose a directory that can be written, or mend its rights"
    return f"{target} could not be written ({error.strerror or error}): {fix}"
