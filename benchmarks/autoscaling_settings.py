"""The settings that `benchmarks.autoscaling` compares: differences from the rehearsal."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Setting:
    """Differences from configs/rehearsal.yaml; None takes a key away, so that Ray's default counts.

    Attributes:
        name: in the table.
        diffusion: of its `autoscaling_config`.
        vae: of its `autoscaling_config`.
    """

    name: str
    diffusion: Mapping[str, Any] = field(default_factory=dict)
    vae: Mapping[str, Any] = field(default_factory=dict)


_RAYS = dict.fromkeys(
    (
        "target_ongoing_requests",
        "upscale_delay_s",
        "downscale_delay_s",
        "look_back_period_s",
        "aggregation_function",
        "metrics_interval_s",
    )
)
_AS_DIFFUSION = {
    "max_replicas": 20,
    "target_ongoing_requests": 1,
    "upscale_delay_s": 1,
    "look_back_period_s": 3,
}
_LIST = (
    Setting("chosen"),
    Setting("mean of 5 s", {"look_back_period_s": 5}),
    Setting("mean of 11 s", {"look_back_period_s": 11}),
    Setting("most of 11 s", {"look_back_period_s": 11, "aggregation_function": "max"}),
    Setting("delay 5 s", {"upscale_delay_s": 5}),
    Setting("target 2", {"target_ongoing_requests": 2}),
    # The environment of the ingress still says 1 s; more than 10 s have to be looked back upon.
    Setting(
        "pushed by environment",
        {"metrics_interval_s": None, "look_back_period_s": 11},
        {"metrics_interval_s": None},
    ),
    Setting("VAE as diffusion", vae=_AS_DIFFUSION),
    Setting("Ray's defaults", _RAYS, _RAYS),
)
SETTINGS: Mapping[str, Setting] = {one.name: one for one in _LIST}
