"""The deployment behind HTTP: builds the service of one ingress replica and its application."""

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
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
from deployments.cards import places_of
from deployments.dispatch.model_client import ModelClient
from deployments.dispatch.pairing import Pairing
from deployments.dispatch.replica_counts import ReplicaCounts
from deployments.dispatch.splitting import Splitting
from deployments.metrics import IngressMetrics
from deployments.settings import AppSettings
from models.interfaces import ROLES, Role


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
        self._settings = settings
        self._http: FastAPI | None = None
        self._metrics = IngressMetrics()
        context = serve.get_replica_context()
        counts = ReplicaCounts(context.app_name)

        def share(name: str) -> Callable[[], float]:
            return lambda: counts.running(name) / counts.running(context.deployment)

        estimates = {role: WaitEstimate(share(deployments[role])) for role in ROLES}
        attempts = settings.ingress.max_attempts
        calls = {role: ModelClient(role, handles[role], attempts, self._metrics) for role in ROLES}
        # A VAE's set is made in no time: cut in two it would take as long.
        splits = {"vae": 1, "stable_diffusion": settings.ingress.max_split}
        splittings = {
            role: Splitting(
                calls[role],
                estimates[role],
                partial(places_of, handles[role]),
                partial(counts.running, context.deployment),
                splits[role],
                self._metrics,
            )
            for role in ROLES
        }
        keys_file = settings.api_keys_file
        self._service = Service(
            settings=settings,
            limits=settings.limits.picture_limits(),
            keys=None if keys_file is None else ApiKeys(Path(keys_file).expanduser()),
            pairing=Pairing(calls, splittings),
            admission=Admission(settings.ingress, estimates, self._metrics),
            decoders=ThreadPoolExecutor(settings.ingress.max_decoding, "decode"),
            counts=counts,
            deployments=deployments,
        )

    def __serve_build_asgi_app__(self) -> FastAPI:
        """Build the application; Serve calls this once, in the replica, after the constructor."""
        self._http = build_application(self._service, self._metrics)
        return self._http

    def reconfigure(self, user_config: Mapping[str, Any]) -> None:
        """Change live settings, without a restart; requests under way keep their deadlines.

        Args:
            user_config: of this deployment in the Serve config: names and values of `LiveSettings`.
                What it does not name is as in `args`.

        Raises:
            pydantic.ValidationError: a key is unknown, or its value out of range.
        """
        ingress = self._settings.ingress.changed(user_config)
        self._service.admission.limit(ingress)
        settings = self._settings.model_copy(update={"ingress": ingress})
        self._service = replace(self._service, settings=settings)
        if self._http is not None:
            self._http.state.service = self._service

    async def check_health(self) -> None:
        """Answer; asynchronous, so that it cannot starve behind requests."""
