"""Requests counted by route and status."""

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from deployments.metrics import IngressMetrics


class RequestCounting:
    """ASGI middleware: counts answers; paths that are no routes count as one."""

    def __init__(self, app: ASGIApp, metrics: IngressMetrics) -> None:
        """Take the application and its metrics."""
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on and count its answer."""

        async def send_counted(message: Message) -> None:
            if message["type"] == "http.response.start":
                route = getattr(scope.get("route"), "path", "none")
                tags = {"route": route, "status": str(message["status"])}
                self._metrics.requests.inc(tags=tags)
            await send(message)

        await self._app(scope, receive, send_counted)
