"""The HTTP application of a Serve config in this process, behind uvicorn, without a Ray.

Everything between HTTP and the handles is the real thing, and so are the models; what is missing is
Ray Serve: one replica of each role, called directly.
"""

import asyncio
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import uvicorn
import yaml
from starlette.datastructures import Headers, MutableHeaders

from deployments.admission.admission import Admission
from deployments.admission.wait_estimate import WaitEstimate
from deployments.api.api_keys import ApiKeys
from deployments.api.application import build_application
from deployments.api.service import Service
from deployments.app import DEPLOYMENTS
from deployments.dispatch.pairing import Pairing
from deployments.dispatch.splitting import Splitting
from deployments.jobs import Deadline, PairMaker, SetJob, SetResult, StepDone
from deployments.metrics import IngressMetrics
from deployments.proxy.middleware import around_the_proxy
from deployments.replica.model_replica import ModelReplica
from deployments.settings import AppSettings
from models.roles import ROLES, Role
from scripts.api_key import add_key


class LocalModel:
    """Calls a replica in this process as `ModelClient` calls one through Serve."""

    def __init__(self, replica: ModelReplica) -> None:
        """Take the replica."""
        self._replica = replica

    async def call(self, method: str, *arguments: object, budget_s: float) -> Any:
        """Await a method."""
        async with asyncio.timeout(budget_s):
            return await getattr(self._replica, method)(*arguments)

    async def generate(
        self, job: SetJob, deadline: Deadline, watch: Callable[[StepDone], None] | None
    ) -> SetResult:
        """Await a set."""
        sent = replace(job, budget_s=deadline.left_s())
        if watch is None:
            return await self._replica.generate(sent)
        async for item in self._replica.generate_watched(sent):
            if isinstance(item, SetResult):
                return item
            watch(item)
        raise RuntimeError("the stream ended before its result")


class _OneReplica:
    async def of(self, role: Role) -> dict[str, int]:
        """Say that one replica runs."""
        return {"running": 1, "target": 1}


@contextmanager
def answering(
    config: Path, num_gpus: int = 0, pairs: PairMaker | None = None
) -> Iterator[httpx.Client]:
    """Answer on a free port while the context lasts; the client has a key where one is needed.

    Args:
        config: a Serve config with one application.
        num_gpus: as for `services.serving`; nobody looks at it here.
        pairs: makes the sets, in the place of the config's models.

    Raises:
        RuntimeError: the application cannot be built; the sentence is the cause's.
    """
    (configured,) = yaml.safe_load(config.read_text())["applications"]
    with tempfile.TemporaryDirectory() as directory:
        arguments, headers = _with_key(configured["args"], Path(directory))
        try:
            app, service = application(AppSettings.model_validate(arguments), pairs)
        except Exception as error:
            raise RuntimeError(str(error)) from error
        with (
            closing(service),
            _listening(app) as url,
            httpx.Client(base_url=url, timeout=120, trust_env=False, headers=headers) as client,
        ):
            yield client


def _with_key(arguments: dict[str, Any], directory: Path) -> tuple[dict[str, Any], dict[str, str]]:
    """Give the run a key where the config names a file of keys that is not there."""
    named = arguments.get("api_keys_file")
    if named is None or Path(named).is_absolute():
        return arguments, {}
    keys = directory / "api-keys"
    key = add_key(keys, "this-run")
    return {**arguments, "api_keys_file": str(keys)}, {"Authorization": f"Bearer {key}"}


def application(settings: AppSettings, pairs: PairMaker | None = None) -> tuple[Any, Service]:
    """Return the application of some settings as Serve's proxy answers it; close its service."""
    metrics = IngressMetrics()
    estimates = {role: WaitEstimate(lambda: 1.0) for role in ROLES}
    keys_file = settings.api_keys_file
    service = Service(
        settings,
        None if keys_file is None else ApiKeys(Path(keys_file)),
        pairs or _pairs(settings, estimates, metrics),
        _OneReplica(),
        Admission(settings.ingress, estimates, metrics),
    )
    app: Any = _with_request_id(build_application(service, metrics))
    for middleware in around_the_proxy():  # as Serve: the last one is the outermost
        app = middleware.cls(app, *middleware.args, **middleware.kwargs)
    return app, service


def _pairs(
    settings: AppSettings, estimates: dict[Role, WaitEstimate], metrics: IngressMetrics
) -> Pairing:
    clients: dict[Role, Any] = {
        role: LocalModel(replica(getattr(settings, role))) for role, replica in DEPLOYMENTS.items()
    }
    splittings = {
        role: Splitting(clients[role], estimates[role], lambda: 1, lambda: 1, 1, metrics)
        for role in ROLES
    }
    return Pairing(clients, splittings)


def _with_request_id(app: Any) -> Any:
    """Send a request's id back, as Serve's proxy does."""

    async def answer(scope: Any, receive: Any, send: Any) -> None:
        async def send_with_id(message: Any) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers["X-Request-ID"] = Headers(scope=scope)["X-Request-ID"]
            await send(message)

        await app(scope, receive, send_with_id)

    return answer


@contextmanager
def _listening(app: Any) -> Iterator[str]:
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", lifespan="off"))
    thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = server.force_exit = True
        thread.join(timeout=10)
