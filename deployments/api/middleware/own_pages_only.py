"""Where anybody may call without a key, other pages in the same browser may not.

A page elsewhere can send requests to a service on this machine, and by DNS rebinding, where its own
name suddenly leads here, read the answers, too. Browsers say where a request comes from: in `Host`,
`Origin` (RFC 6454) and `Sec-Fetch-Site` (W3C, Fetch Metadata); other clients send what is true.
"""

import ipaddress
import re
from collections.abc import Collection

from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from deployments.errors import ForbiddenError, http_status

_HOST = re.compile(r"(?P<name>\[[0-9a-f:.]+\]|[^\[\]:]+)(:[0-9]{1,5})?")


class OwnPagesOnly:
    """ASGI middleware: refuses what another page sends, and names that are not this machine's."""

    def __init__(self, app: ASGIApp, hosts: Collection[str] = ()) -> None:
        """Take the application, and names besides those of the loopback interface."""
        self._app = app
        self._hosts = frozenset(host.lower().rstrip(".") for host in hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it before its body is read."""
        error = self._refusal(scope) if scope["type"] == "http" else None
        if error is None:
            await self._app(scope, receive, send)
            return
        headers = {"Cache-Control": "no-store", "Connection": "close"}
        await JSONResponse(error.envelope(), http_status(error), headers)(scope, receive, send)

    def _refusal(self, scope: Scope) -> ForbiddenError | None:
        headers = Headers(scope=scope)
        hosts, origins = headers.getlist("host"), headers.getlist("origin")
        if not all(self._is_ours(host) for host in hosts) or len(hosts) > 1:
            return ForbiddenError(
                "without API keys the service is called by a name of this machine: use "
                "http://127.0.0.1, or list the name in anonymous_hosts"
            )
        sites = {site.strip().lower() for site in headers.getlist("sec-fetch-site")}
        is_link = scope["method"] in ("GET", "HEAD") and headers.get("sec-fetch-mode") == "navigate"
        is_elsewhere = not sites <= {"same-origin", "none"} and not is_link
        if is_elsewhere or any(not _is_of(origin, hosts) for origin in origins):
            return ForbiddenError(
                "without API keys the service answers no other page: open its own page, or call it "
                "from a program"
            )
        return None

    def _is_ours(self, host: str) -> bool:
        match = _HOST.fullmatch(host.strip().lower())
        if match is None:
            return False
        name = match["name"].strip("[]").rstrip(".")
        return name in self._hosts or name.split(".")[-1] == "localhost" or _is_loopback(name)


def _is_loopback(name: str) -> bool:
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return bool((mapped or address).is_loopback)


def _is_of(origin: str, hosts: Collection[str]) -> bool:
    """Say whether an origin is the service's own: the same name and port, behind TLS or not."""
    scheme, _, host = origin.strip().lower().partition("://")
    return scheme in ("http", "https") and host in {name.strip().lower() for name in hosts}
