"""How many replicas each deployment has, asked of Serve at most once a second."""

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Mapping
from typing import Any

from ray.serve.context import _get_global_client
from ray.serve.handle import DeploymentHandle

from deployments.cards import places
from models.roles import Role

_AGE_S = 1.0
_PATIENCE_S = 1.0
_LOGGER = logging.getLogger("ray.serve")


class ReplicaCounts:
    """Counts replicas by state; nobody waits long for an answer that Serve's controller owes.

    While the controller is away, what was known last stays the answer.
    """

    def __init__(self, application: str, deployments: Mapping[Role, str]) -> None:
        """Take the names of the application and, by role, of the models' deployments."""
        self._application = application
        self._deployments = deployments
        self._answered = float("-inf")
        self._asking: asyncio.Task[None] | None = None
        self._counts: dict[str, dict[str, int]] = {}

    async def of(self, role: Role) -> dict[str, int]:
        """Return counts of replicas by state, such as {"running": 2, "starting": 1, "target": 3}.

        `running` is always in; `target` is what autoscaling, or the config, wants.
        """
        asking = self._renew()
        if asking is not None:  # those who ask at the same time share one answer
            await asyncio.wait({asking}, timeout=_PATIENCE_S)
        return self._known(self._deployments[role])

    def running(self, deployment: str) -> int:
        """Return how many run, as known last, at least 1; what is old is asked for meanwhile."""
        self._renew()
        return max(1, self._known(deployment)["running"])

    def _known(self, deployment: str) -> dict[str, int]:
        return {"running": 0, **self._counts.get(deployment, {})}

    def _renew(self) -> "asyncio.Task[None] | None":
        if self._asking is None and time.monotonic() - self._answered > _AGE_S:
            self._asking = asyncio.create_task(self._ask())
        return self._asking

    async def _ask(self) -> None:
        try:
            self._counts = await asyncio.to_thread(self._status)
        except Exception as error:  # whatever a controller that is away makes of the question
            _LOGGER.warning("Serve does not say how many replicas run: %s", type(error).__name__)
        finally:
            self._answered = time.monotonic()
            self._asking = None

    def _status(self) -> dict[str, dict[str, int]]:
        # `serve.status()` leaves the targets out of the details that it asks for (Ray 2.60).
        details = _get_global_client().get_serve_details()
        application = details["applications"].get(self._application, {"deployments": {}})
        return {name: _counted(one) for name, one in application["deployments"].items()}


def _counted(deployment: Mapping[str, Any]) -> dict[str, int]:
    states = (str(replica["state"]) for replica in deployment["replicas"])
    counts = Counter(state.rpartition(".")[2].lower() for state in states)
    return {**counts, "target": deployment["target_num_replicas"]}


def places_of(handle: DeploymentHandle) -> int:
    """Return on how many cards the replicas of a deployment compute, at least 1.

    Ray has no public name for it: as in `deployments/proxy/middleware.py` (2.60).
    """
    try:
        router = handle._init_router()._asyncio_router._request_router
        replicas = list(router.curr_replicas.values())
    except AttributeError:
        return 1
    return max(1, places(replica.replica_metadata for replica in replicas))
