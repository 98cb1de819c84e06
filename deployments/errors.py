"""Everything that can go wrong for a caller, and the HTTP status of each.

    TwinsetError
    ├── InvalidRequestError      400  a bad picture or parameter
    ├── UnauthenticatedError     401  no API key, or a wrong one
    ├── ContentFilteredError     400  a safety checker withholds the only image
    ├── ForbiddenError           403  without keys: from another page, or by another name
    ├── NotFoundError            404  no such route
    ├── MethodNotAllowedError    405  the route exists, not for this method
    ├── NotAcceptableError       406  Accept names nothing we make
    ├── SlowUploadError          408  the body did not arrive in time
    ├── TooLargeError            413  the body is over the limit
    ├── UnsupportedMediaError    415  neither multipart nor JSON
    ├── RefusedError             429  turned away for now; with Retry-After
    │   ├── OverloadedError           full
    │   └── KeyLimitError             one key's share or rate is used up
    ├── ModelFailedError         500  a model raised; ours to mend
    ├── OutOfMemoryError         503  a model ran out of GPU memory; with Retry-After
    ├── ModelUnavailableError    503  a model is away; with Retry-After
    └── DeadlineExceededError    504  past the deadline

The message of each is meant for the caller: no traceback, no prompt, no path in it.
"""

from typing import ClassVar


class TwinsetError(Exception):
    """The root: a sentence for the caller, and what machines read beside it."""

    type: ClassVar[str] = "server_error"
    code: ClassVar[str] = "internal_error"

    def __init__(
        self, message: str, param: str | None = None, retry_after_s: int | None = None
    ) -> None:
        """Take the sentence, the parameter at fault and, where waiting helps, for how long."""
        super().__init__(message, param, retry_after_s)
        self.message = message
        self.param = param
        self.retry_after_s = retry_after_s

    def envelope(self) -> dict[str, dict[str, str | None]]:
        """Return the JSON body, in the shape that OpenAI's clients read."""
        facts = {"message": self.message, "type": self.type, "param": self.param}
        return {"error": {**facts, "code": self.code}}


class InvalidRequestError(TwinsetError):
    """A picture or a parameter that cannot be used."""

    type = "invalid_request_error"
    code = "invalid_value"


class ContentFilteredError(TwinsetError):
    """A safety checker withholds the only image that was asked for."""

    type = "invalid_request_error"
    code = "content_filtered"


class UnauthenticatedError(TwinsetError):
    """The request carries no API key, or one that is not known."""

    type = "invalid_request_error"
    code = "invalid_api_key"


class ForbiddenError(TwinsetError):
    """Sent by another page of the caller's browser, or to a name that is not this machine's."""

    type = "invalid_request_error"
    code = "forbidden"


class NotFoundError(TwinsetError):
    """There is no such route."""

    type = "invalid_request_error"
    code = "not_found"


class MethodNotAllowedError(TwinsetError):
    """The route does not take this method."""

    type = "invalid_request_error"
    code = "method_not_allowed"


class NotAcceptableError(TwinsetError):
    """The Accept header names nothing that we can make."""

    type = "invalid_request_error"
    code = "not_acceptable"


class SlowUploadError(TwinsetError):
    """The body did not arrive in time."""

    type = "invalid_request_error"
    code = "slow_upload"


class TooLargeError(TwinsetError):
    """The body is over the limit."""

    type = "invalid_request_error"
    code = "request_too_large"


class UnsupportedMediaError(TwinsetError):
    """The body is neither multipart nor JSON."""

    type = "invalid_request_error"
    code = "unsupported_media_type"


class RefusedError(TwinsetError):
    """Turned away for now.

    Attributes:
        reason: for operators: full, share, rate, deadline, model_queue; in the proxy
            ingress_queue, unread_answers.
    """

    type = "rate_limit_error"

    def __init__(
        self,
        message: str,
        param: str | None = None,
        retry_after_s: int | None = None,
        reason: str = "full",
    ) -> None:
        """Take the sentence, for how long to wait, and the reason."""
        super().__init__(message, param, retry_after_s)
        self.reason = reason


class OverloadedError(RefusedError):
    """As many requests as allowed are under way."""

    code = "overloaded"


class KeyLimitError(RefusedError):
    """One key has used up its share of the places, or its rate."""

    code = "key_limit_exceeded"


class ModelFailedError(TwinsetError):
    """A model raised while it made a set."""

    code = "model_failed"


class OutOfMemoryError(TwinsetError):
    """A model ran out of its GPU's memory; the replica lives on."""

    code = "out_of_memory"


class ModelUnavailableError(TwinsetError):
    """No replica of a model answers."""

    code = "model_unavailable"


class DeadlineExceededError(TwinsetError):
    """The sets were not ready in time."""

    code = "deadline_exceeded"


HTTP_STATUS: dict[type[TwinsetError], int] = {
    InvalidRequestError: 400,
    ContentFilteredError: 400,
    UnauthenticatedError: 401,
    ForbiddenError: 403,
    NotFoundError: 404,
    MethodNotAllowedError: 405,
    NotAcceptableError: 406,
    SlowUploadError: 408,
    TooLargeError: 413,
    UnsupportedMediaError: 415,
    OverloadedError: 429,
    KeyLimitError: 429,
    ModelFailedError: 500,
    OutOfMemoryError: 503,
    ModelUnavailableError: 503,
    DeadlineExceededError: 504,
}


def http_status(error: TwinsetError) -> int:
    """Return the HTTP status of an error; 500 for one that is not in the table."""
    return HTTP_STATUS.get(type(error), 500)
