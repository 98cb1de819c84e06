"""API keys: sent as `Authorization: Bearer ...`, stored as digests, compared in constant time.

A key is 256 random bits, so one round of SHA-256 suffices: there is no dictionary to try.
"""

import hashlib
import hmac
import logging
from pathlib import Path

from deployments.api.key_file import KeyFileError, KnownKey, read_keys
from deployments.errors import UnauthenticatedError

_LOGGER = logging.getLogger("ray.serve")


class ApiKeys:
    """The keys of one file, read anew when it changes: a key is revoked without a restart.

    Where the file becomes open to other users while it is in use, they may have written it: lines
    that went are revoked, new or changed ones wait until it is closed again. So nobody can let
    himself in, a revoked key stays out, and everybody else is served on.
    """

    def __init__(self, path: Path) -> None:
        """Read the file.

        Raises:
            ValueError: as `read_keys`, it is open to other users, or it holds no key.
        """
        self._path = path
        self._seen = self._state()
        self._is_broken = False
        self._keys, rights = read_keys(path)
        if rights is not None:
            raise KeyFileError(rights)
        if not self._keys:
            raise KeyFileError(f"api_keys_file {path} holds no key: add one with `make api-key`")

    def check(self, key: str | None) -> KnownKey:
        """Return what the file says of the key of an `Authorization: Bearer` header.

        It may have expired: see `KnownKey.refuse_expired`.

        Raises:
            UnauthenticatedError: no key, or one that is not in the file.
        """
        if key is None or not key.strip():
            raise UnauthenticatedError(
                "an API key is needed: send it as `Authorization: Bearer <key>`"
            )
        digest = hashlib.sha256(key.strip().encode()).hexdigest()
        self._renew()
        keys = () if self._is_broken else self._keys
        # All are compared, so that the time does not tell which one came close.
        found = [known for known in keys if hmac.compare_digest(digest, known.digest)]
        if not found:
            raise UnauthenticatedError("the API key is not known: check it, or ask for another")
        return found[0]

    def _renew(self) -> None:
        state = self._state()
        if state == self._seen:
            return
        self._seen = state
        try:
            keys, rights = read_keys(self._path)
        except KeyFileError as error:
            # A key that somebody meant to revoke must not live on in a file that went wrong.
            self._is_broken = True
            _LOGGER.error("nobody is let in until this is mended: %s", error)
            return
        self._is_broken = False
        if rights is not None:
            _LOGGER.error("until this is mended lines that go count, new ones do not: %s", rights)
            left = {known.digest for known in keys}
            keys = tuple(known for known in self._keys if known.digest in left)
        self._keys = keys

    def _state(self) -> tuple[int, ...] | None:
        try:
            now = self._path.stat()
        except OSError:
            return None
        # Size and time alone would miss a file that was exchanged for one with both; the time of
        # the last change of status, which nobody can set, tells of changed rights as well.
        return now.st_dev, now.st_ino, now.st_ctime_ns, now.st_mtime_ns, now.st_size
