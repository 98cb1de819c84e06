"""The deployment behind HTTP: builds the service of one ingress replica and its application."""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from ray import serve
from ray.serve.handle import DeploymentHandle

from deployments.admission.admission import Admission
from deployments.admission.wait_estimate import WaitEstimate
from deployments.api.api_keys import ApiKeys
from deployments.api.application import build_application
from deployments.api.service import Service
from deployments.dispatch.model_client import ModelClient
from deployments.dispatch.pairing import Pairing
from deployments.dispatch.replica_counts import ReplicaCounts, places_of
from deployments.dispatch.splitting import Splitting
from deployments.heap import give_back_large_blocks
from deployments.metrics import IngressMetrics
from deployments.settings import AppSettings
from models.roles import FACTS, ROLES, Role


class Ingress:
    """Composes the two model deployments behind HTTP."""

    def __init__(
        self,
        settings: AppSettings,
        handles: Mapping[Role, DeploymentHandle],
        deployments: Mapping[Role, str],
    ) -> None:
        """Take the settings and, by role, the handles and the names of the deployments.

        Raises:
            ValueError: the file of API keys cannot be used.
        """
        give_back_large_blocks()
        self._settings = settings
        self._metrics = IngressMetrics()
        context = serve.get_replica_context()
        counts = ReplicaCounts(context.app_name, deployments)

        def share(name: str) -> Callable[[], float]:
            return lambda: counts.running(name) / counts.running(context.deployment)

        estimates = {role: WaitEstimate(share(deployments[role])) for role in ROLES}
        attempts = settings.ingress.max_attempts
        clients = {
            role: ModelClient(role, handles[role], attempts, self._metrics) for role in ROLES
        }
        splittings = {
            role: Splitting(
                clients[role],
                estimates[role],
                partial(places_of, handles[role]),
                partial(counts.running, context.deployment),
                settings.ingress.max_split if FACTS[role].may_be_split else 1,
                self._metrics,
            )
            for role in ROLES
        }
        keys_file = settings.api_keys_file
        self._service = Service(
            settings,
            None if keys_file is None else ApiKeys(Path(keys_file).expanduser()),
            Pairing(clients, splittings),
            counts,
            Admission(settings.ingress, estimates, self._metrics),
        )

    def __serve_build_asgi_app__(self) -> FastAPI:
        """Build the application; Serve calls this once, in the replica, after the constructor."""
        return build_application(self._service, self._metrics)

    def reconfigure(self, user_config: Mapping[str, Any]) -> None:
        """Change live settings, without a restart; requests under way keep their deadlines.

        Args:
            user_config: of this deployment in the Serve config: names and values of `LiveSettings`.
                What it does not name is as in `args`.

        Raises:
            pydantic.ValidationError: a key is unknown, or its value out of range.
        """
        ingress = self._settings.ingress.changed(user_config)
        self._service.configure(self._settings.model_copy(update={"ingress": ingress}))

    async def check_health(self) -> None:
        """Answer; asynchronous, so that it cannot starve behind requests."""
