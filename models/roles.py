"""The two roles that a model can have, a row for each: all that tells them apart.

Another checkpoint of the same kind needs nothing here: a factory and its options in the Serve
config name it. Another kind of model in a role needs its parameters in `models/parameters.py`, a
package beside `celeba_vae` and `stable_diffusion`, and its row here.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from models.parameters import ImageToImageParameters, Parameters, VariationParameters

Role = Literal["vae", "stable_diffusion"]
VAE: Role = "vae"
DIFFUSION: Role = "stable_diffusion"


@dataclass(frozen=True)
class RoleFacts:
    """What is particular to a role.

    Attributes:
        public_ids: names of the role in requests, beside its own.
        title: for people, such as above its images.
        queue: what waits in its queue, for a sentence.
        parameters: of one set; a set's defaults and a caller's fields are put into it.
        shown: the parameters that a picture of the set is captioned with.
        largest: returns parameters that take as much memory as any, in as few steps as show it,
            of the defaults that the weights are served with.
        weights_folder: below a directory of prepared weights.
        may_be_split: a set may be cut over several replicas.
    """

    public_ids: tuple[str, ...]
    title: str
    queue: str
    parameters: type[Parameters]
    shown: tuple[str, ...]
    largest: Callable[[Mapping[str, Any]], Parameters]
    weights_folder: str
    may_be_split: bool


def _largest_diffusion(defaults: Mapping[str, Any]) -> Parameters:
    # With guidance the UNet sees each image twice; further steps take no more memory.
    prompt = str(defaults.get("prompt", ""))
    return ImageToImageParameters(
        prompt=prompt, strength=1.0, guidance_scale=7.5, num_inference_steps=2
    )


FACTS: Mapping[Role, RoleFacts] = {
    VAE: RoleFacts(
        public_ids=("celeba-vae",),
        title="VAE",
        queue="VAE sets alone",
        parameters=VariationParameters,
        shown=("diversity_factor",),
        largest=lambda _: VariationParameters(),
        weights_folder="celeba-vae",
        may_be_split=False,  # it is made in no time: cut in two it would take as long
    ),
    DIFFUSION: RoleFacts(
        public_ids=("stable-diffusion-v1-5",),
        title="Stable Diffusion",
        queue="diffusion",
        parameters=ImageToImageParameters,
        shown=("strength", "guidance_scale", "num_inference_steps"),
        largest=_largest_diffusion,
        weights_folder="stable-diffusion-v1-5",
        may_be_split=True,
    ),
}
"""In the order in which sets are listed, the quicker one first."""

ROLES: tuple[Role, ...] = tuple(FACTS)

ROLE_OF: Mapping[str, Role] = {
    **{role: role for role in ROLES},
    **{public_id: role for role in ROLES for public_id in FACTS[role].public_ids},
}
"""The roles by all names that a request may give them."""


def slowest(roles: Collection[Role]) -> Role:
    """Return the role whose set takes longest, of at least one."""
    return next(role for role in reversed(ROLES) if role in roles)
