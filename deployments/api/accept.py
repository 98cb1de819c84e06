"""Which of the media types that a route makes the caller wants (RFC 9110, section 12.5.1)."""

from collections.abc import Sequence

from starlette.requests import Request

from deployments.errors import NotAcceptableError


def negotiate(request: Request, offered: Sequence[str]) -> str:
    """Return the media type of `offered` that the Accept header likes best.

    The most specific range decides on a type; of types liked equally the first offered wins, and
    without a header the first one of all.

    Raises:
        NotAcceptableError: the header names none of them.
    """
    header = ",".join(request.headers.getlist("accept"))
    ranges = dict(_range(part) for part in header.split(",") if part.strip())
    if not ranges:
        return offered[0]
    best = max(offered, key=lambda media_type: _quality(media_type, ranges))
    if _quality(best, ranges) <= 0:
        raise NotAcceptableError(
            f"Accept names nothing that this route makes; it makes {', '.join(offered)}"
        )
    return best


def _range(part: str) -> tuple[str, float]:
    name, *parameters = (piece.strip().lower() for piece in part.split(";"))
    quality = 1.0
    for parameter in parameters:
        if parameter.startswith("q="):
            try:
                quality = min(1.0, max(0.0, float(parameter[2:])))
            except ValueError:
                quality = 0.0
    return name, quality


def _quality(media_type: str, ranges: dict[str, float]) -> float:
    family = media_type.partition("/")[0]
    matching = (name for name in (media_type, f"{family}/*", "*/*") if name in ranges)
    return ranges.get(next(matching, ""), 0.0)
