"""API keys: sent as `Authorization: Bearer ...`, stored as digests, compared in constant time.

A key is 256 random bits, so one round of SHA-256 suffices: there is no dictionary to try.
"""

import hashlib
import hmac
import logging
import re
from pathlib import Path

from deployments.errors import UnauthenticatedError

_LINE = re.compile(r"^sha256:(?P<digest>[0-9a-f]{64})(\s+(?P<name>\S.*))?$")
_LOGGER = logging.getLogger("ray.serve")


def digest_of(key: str) -> str:
    """Return what the file of keys holds of a key: "sha256:" and 64 hexadecimal digits."""
    return f"sha256:{hashlib.sha256(key.encode()).hexdigest()}"


def read_digests(path: Path) -> list[str]:
    """Read a file of keys: one `sha256:<digest> <name>` a line; `#` begins a comment.

    Raises:
        ValueError: it cannot be read, or has a line of another shape.
    """
    try:
        lines = path.read_text().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(
            f"api_keys_file {path} cannot be read: make one, `make api-key`"
        ) from error
    digests = []
    for number, line in enumerate((line.strip() for line in lines), start=1):
        if not line or line.startswith("#"):
            continue
        match = _LINE.match(line)
        if match is None:
            raise ValueError(
                f"api_keys_file {path}, line {number}: expected `sha256:<64 digits> <name>`, as "
                "`make api-key` writes it"
            )
        digests.append(match["digest"])
    return digests


class ApiKeys:
    """The keys of one file, read anew when it changes: a key is revoked without a restart."""

    def __init__(self, path: Path) -> None:
        """Read the file.

        Raises:
            ValueError: as `read_digests`, or it holds no key.
        """
        self._path = path
        self._seen = self._state()
        self._digests = read_digests(path)
        if not self._digests:
            raise ValueError(f"api_keys_file {path} holds no key: add one with `make api-key`")

    def check(self, key: str | None) -> str:
        """Accept the key of an `Authorization: Bearer` header, or refuse it.

        Returns:
            The digest of the key: what tells callers apart.

        Raises:
            UnauthenticatedError: no key, or one that is not in the file.
        """
        if key is None or not key.strip():
            raise UnauthenticatedError(
                "an API key is needed: send it as `Authorization: Bearer <key>`"
            )
        digest = hashlib.sha256(key.strip().encode()).hexdigest()
        self._renew()
        # All are compared, so that the time does not tell which one came close.
        if not any([hmac.compare_digest(digest, known) for known in self._digests]):
            raise UnauthenticatedError("the API key is not known: check it, or ask for another")
        return digest

    def _renew(self) -> None:
        state = self._state()
        if state == self._seen:
            return
        self._seen = state
        try:
            self._digests = read_digests(self._path)
        except ValueError as error:
            # A key that somebody meant to revoke must not live on in a file that went wrong.
            self._digests = []
            _LOGGER.error("nobody is let in until this is mended: %s", error)

    def _state(self) -> tuple[int, int] | None:
        try:
            status = self._path.stat()
        except OSError:
            return None
        return status.st_mtime_ns, status.st_size
