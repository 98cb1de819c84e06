"""The deployment that varies a face in a VAE's latent space."""

from deployments.replica.model_replica import ModelReplica
from models.roles import VAE


class VAEDeployment(ModelReplica):
    """Serves a `models.interfaces.VariationModel`."""

    role = VAE
