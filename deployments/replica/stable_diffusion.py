"""The deployment that repaints a face from noise towards a prompt."""

from deployments.replica.model_replica import ModelReplica
from models.roles import DIFFUSION


class StableDiffusionDeployment(ModelReplica):
    """Serves a `models.interfaces.ImageToImageModel`."""

    role = DIFFUSION
