"""How long to wait when a service says that it is full."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

DEFAULT_S = 1.0
LONGEST_S = 60.0


def retry_after_s(header: str | None) -> float:
    """Return the seconds that a Retry-After header asks for, at most a minute.

    The header holds seconds or a date (RFC 9110, 10.2.3); without one, or with neither in it,
    the answer is one second.
    """
    if header is None:
        return DEFAULT_S
    text = header.strip()
    # Only digits: "nan" and "-1" are no waiting times.
    seconds = float(text) if text.isascii() and text.isdigit() else seconds_until(text)
    return min(max(seconds, 0.0), LONGEST_S)


def seconds_until(date: str) -> float:
    """Return the seconds from now to an HTTP date."""
    try:
        moment = parsedate_to_datetime(date)
    except ValueError:
        return DEFAULT_S
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return (moment - datetime.now(UTC)).total_seconds()
