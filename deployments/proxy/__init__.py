"""What Serve's proxy runs of ours.

Ray is started with `RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH=deployments.proxy:middlewares`.
"""

from starlette.middleware import Middleware

from deployments.heap import give_back_large_blocks
from deployments.proxy.middleware import around_the_proxy

__all__ = ["middlewares"]


def middlewares() -> list[Middleware]:
    """Return what Serve's proxy puts around itself; called by Serve, in the proxy's process."""
    give_back_large_blocks()
    return around_the_proxy()
