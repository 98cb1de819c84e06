"""The deployment that repaints a face from noise towards a prompt."""

from deployments.replica.model_replica import ModelReplica


class StableDiffusionDeployment(ModelReplica):
    """Serves a `models.interfaces.ImageToImageModel`."""

    role = "stable_diffusion"
