"""The kit's own command-line options, as the users of a run see them."""

from __future__ import annotations

import argparse
from dataclasses import dataclass

from loadtests.checks import SEED_COUNT
from loadtests.mix import DEFAULT_MIX

# Odd, so that multiples of it run through all the seeds before one comes twice; large, so that
# the lists of two requests hardly ever overlap.
SEED_STRIDE = 2_654_435_761


@dataclass(frozen=True)
class Options:
    """The kit's options as read from the command line; times in seconds.

    `peak_users` and `worker_count` are set by Locust's master when a run starts.
    """

    pairs_n: int = 10
    mix: str = DEFAULT_MIX
    first_seed: int = 7
    same_parameters: bool = False
    leave_after_s: float = 1.0
    repeat_share: float = 0.1
    pixel_tolerance: int = 1
    accept_overload: bool = False
    iterations: int = 0
    request_timeout_s: float = 300.0
    num_inference_steps: int | None = None
    diversity_factor: float | None = None
    strength: float | None = None
    api_key: str | None = None
    arrival_rate: float = 0.0
    spacing: str = "poisson"
    max_in_flight: int = 1000
    shape: str = "constant"
    base_users: int = 1
    stairs: int = 4
    objectives: str = ""
    out: str = ""
    service_config: str = ""
    peak_users: int = 1
    worker_count: int = 1

    @property
    def is_open(self) -> bool:
        """Whether requests come at a rate, whatever the answers do."""
        return self.arrival_rate > 0

    def headers(self) -> dict[str, str]:
        """Return what every request carries."""
        return {"Authorization": f"Bearer {self.api_key}"} if self.api_key else {}

    def seed(self, number: int) -> int:
        """Return the seed of the request with this number; number 0 has `first_seed`."""
        return (self.first_seed + number * SEED_STRIDE) % SEED_COUNT


def read_options(namespace: argparse.Namespace) -> Options:
    """Pick the kit's options out of all that Locust parsed."""
    known = vars(namespace)
    return Options(**{name: known[name] for name in Options.__dataclass_fields__ if name in known})
