"""Requests that were answered 429: counted, and logged once each with the reason.

`grep 'refused, reason'` in the logs of the ingress (and of Serve's proxy, which turns away what the
ingress has no room for) tells why callers got 429.
"""

import logging

from starlette.requests import Request

from deployments.errors import RefusedError
from deployments.metrics import IngressMetrics

_LOGGER = logging.getLogger("ray.serve")


class Refusals:
    """Counts and logs them."""

    def __init__(self, metrics: IngressMetrics) -> None:
        """Take the ingress's metrics."""
        self._metrics = metrics

    def note(self, outcome: object, request: Request) -> None:
        """Note a refusal; anything else is none."""
        if not isinstance(outcome, RefusedError):
            return
        self._metrics.refused.inc(tags={"reason": outcome.reason})
        _LOGGER.warning(
            "refused, reason %s, route %s, request_id %s",
            outcome.reason,
            getattr(request.scope.get("route"), "path", "none"),
            request.headers.get("x-request-id", "none"),
        )
