"""All wiring: the only file that binds deployments. Scaling numbers live in the Serve configs."""

from ray import serve
from ray.serve import Application
from ray.serve.config import RequestRouterConfig

from deployments.ingress import Ingress
from deployments.replica.stable_diffusion import StableDiffusionDeployment
from deployments.replica.vae import VAEDeployment
from deployments.settings import AppSettings
from models.interfaces import Role

DEPLOYMENTS: dict[Role, str] = {
    "vae": VAEDeployment.__name__,
    "stable_diffusion": StableDiffusionDeployment.__name__,
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
    vae = serve.deployment(VAEDeployment, name=DEPLOYMENTS["vae"], request_router_config=routing)
    diffusion = serve.deployment(
        StableDiffusionDeployment,
        name=DEPLOYMENTS["stable_diffusion"],
        request_router_config=routing,
    )
    ingress = serve.deployment(serve.ingress()(Ingress), name="Ingress")
    handles = {"vae": vae.bind(args.vae), "stable_diffusion": diffusion.bind(args.stable_diffusion)}
    return ingress.bind(args, handles, DEPLOYMENTS)
