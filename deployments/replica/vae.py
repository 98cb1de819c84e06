"""The deployment that varies a face in a VAE's latent space."""

from deployments.replica.model_replica import ModelReplica


class VAEDeployment(ModelReplica):
    """Serves a `models.interfaces.VariationModel`."""

    role = "vae"
