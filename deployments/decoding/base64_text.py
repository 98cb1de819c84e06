"""Pictures in base64, as JSON carries them."""

import base64
import binascii
import re

from deployments.errors import InvalidRequestError

_DATA_URL = re.compile(r"data:image/[\w.+-]{1,40}(;[\w.+=-]{1,40}){0,4};base64,", re.IGNORECASE)
_NEVER_FETCHED = ("http:", "https:", "file:", "ftp:")
_URL_ALPHABET = str.maketrans("-_", "+/")  # RFC 4648, section 5


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
