"""All wiring: the only file that binds deployments. Scaling numbers live in the Serve configs."""

from ray import serve
from ray.serve import Application
from ray.serve.config import RequestRouterConfig

from deployments.ingress import Ingress
from deployments.replica.model_replica import ModelReplica
from deployments.replica.stable_diffusion import StableDiffusionDeployment
from deployments.replica.vae import VAEDeployment
from deployments.settings import AppSettings
from models.roles import DIFFUSION, VAE, Role

DEPLOYMENTS: dict[Role, type[ModelReplica]] = {
    VAE: VAEDeployment,
    DIFFUSION: StableDiffusionDeployment,
}


# Serve finds the typed argument by its annotation: no `from __future__ import annotations` here,
# it would turn the class into a string and let a raw dictionary in unchecked.
def build_app(args: AppSettings) -> Application:
    """Compose the application that a Serve config names as `deployments.app:build_app`.

    Raises:
        pydantic.ValidationError: `args` has an unknown key or a value out of range.
    """
    routing = RequestRouterConfig(
        request_router_class="deployments.dispatch.request_router:LeastLoadedRouter"
    )
    handles = {
        role: serve.deployment(replica, name=replica.__name__, request_router_config=routing).bind(
            getattr(args, role)
        )
        for role, replica in DEPLOYMENTS.items()
    }
    names = {role: replica.__name__ for role, replica in DEPLOYMENTS.items()}
    ingress = serve.deployment(serve.ingress()(Ingress), name="Ingress")
    return ingress.bind(args, handles, names)
