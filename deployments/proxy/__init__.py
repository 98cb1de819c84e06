"""What Serve's proxy runs of ours.

Ray is started with `RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH=deployments.proxy:middlewares`.
"""

from deployments.proxy.middleware import middlewares

__all__ = ["middlewares"]
