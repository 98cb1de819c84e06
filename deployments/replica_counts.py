"""How many replicas each deployment has, asked of Serve at most once a second."""

import asyncio
import time

from ray import serve

_AGE_S = 1.0


class ReplicaCounts:
    """Counts replicas by state; a call within a second of the last repeats its answer."""

    def __init__(self, application: str) -> None:
        """Take the name of the application whose deployments are counted."""
        self._application = application
        self._asked = float("-inf")
        self._lock = asyncio.Lock()
        self._counts: dict[str, dict[str, int]] = {}

    async def of(self, deployment: str) -> dict[str, int]:
        """Return counts by state in lower case, such as {"running": 2}; `running` is always in."""
        async with self._lock:  # those who ask at the same time share one answer
            if time.monotonic() - self._asked > _AGE_S:
                self._counts = await asyncio.to_thread(self._ask)
                self._asked = time.monotonic()
        return {"running": 0, **self._counts.get(deployment, {})}

    def _ask(self) -> dict[str, dict[str, int]]:
        application = serve.status().applications.get(self._application)
        if application is None:
            return {}
        return {
            name: {
                str(state).rpartition(".")[2].lower(): count
                for state, count in one.replica_states.items()
            }
            for name, one in application.deployments.items()
        }
