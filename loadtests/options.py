"""The kit's own command-line options, beside Locust's."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from typing import TYPE_CHECKING

from loadtests.checks import SEED_COUNT, Expected

# Importing Locust patches the standard library of the whole process, a test's too.
if TYPE_CHECKING:
    from locust.argument_parser import LocustArgumentParser

SETS = ("vae", "stable_diffusion")

# Odd, so that multiples of it run through all the seeds before one comes twice; large, so that
# the lists of two requests hardly ever overlap.
SEED_STRIDE = 2_654_435_761


@dataclass(frozen=True)
class Options:
    """The kit's options as read from the command line; times in seconds."""

    pairs_n: int
    models: str
    first_seed: int
    repeat_share: float
    pixel_tolerance: int
    accept_overload: bool
    iterations: int
    request_timeout_s: float
    num_inference_steps: int | None
    diversity_factor: float | None
    strength: float | None
    api_key: str | None = None

    def headers(self) -> dict[str, str]:
        """Return what every request carries."""
        return {"Authorization": f"Bearer {self.api_key}"} if self.api_key else {}

    def seed(self, number: int) -> int:
        """Return the seed of the request with this number; number 0 has `first_seed`."""
        return (self.first_seed + number * SEED_STRIDE) % SEED_COUNT

    def fields(self, seed: int) -> dict[str, str]:
        """Return the form fields of one request; what was not chosen is not sent."""
        chosen = {
            "n": self.pairs_n,
            "seed": seed,
            "models": None if self.models == "both" else self.models,
            "num_inference_steps": self.num_inference_steps,
            "diversity_factor": self.diversity_factor,
            "strength": self.strength,
        }
        return {name: str(value) for name, value in chosen.items() if value is not None}

    def expected(self, seed: int) -> Expected:
        """Return what the answer to one request must show."""
        sets = SETS if self.models == "both" else (self.models,)
        return Expected(self.pairs_n, seed, sets, self.diversity_factor, self.pixel_tolerance)


def read_options(namespace: argparse.Namespace) -> Options:
    """Pick the kit's options out of all that Locust parsed."""
    return Options(**{name: getattr(namespace, name) for name in Options.__dataclass_fields__})


def positive_integer(text: str) -> int:
    """Read an integer of 1 or more from the command line."""
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not an integer of 1 or more")
    return int(text)


def share(text: str) -> float:
    """Read a share between 0 and 1 from the command line."""
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a share from 0 to 1")
    return value


def add_options(parser: LocustArgumentParser) -> None:
    """Add the kit's options to Locust's command line."""
    # Not through an argument group: Locust hands only the parser's own options on to workers.
    add_request_options(parser)
    add_model_options(parser)
    add_checking_options(parser)
    add_ending_options(parser)


def add_request_options(parser: LocustArgumentParser) -> None:
    """Add the options that say what is asked for."""
    parser.add_argument(
        "--pairs-n", type=positive_integer, default=10, help="pairs per request (default 10)"
    )
    parser.add_argument(
        "--models", choices=("both", *SETS), default="both", help="which sets (default both)"
    )
    parser.add_argument(
        "--first-seed", type=int, default=7, help="seed of the first request (default 7)"
    )
    parser.add_argument(
        "--api-key",
        env_var="TWINSET_API_KEY",
        is_secret=True,
        help="sent as a Bearer token; better set in the environment",
    )


def add_model_options(parser: LocustArgumentParser) -> None:
    """Add the models' own parameters, sent only where one is given."""
    # Locust's web form would send an empty one as text, so these stay on the command line.
    for flag, kind in (
        ("--num-inference-steps", int),
        ("--diversity-factor", float),
        ("--strength", float),
    ):
        parser.add_argument(
            flag, type=kind, include_in_web_ui=False, help="default: the service's own"
        )


def add_checking_options(parser: LocustArgumentParser) -> None:
    """Add the options that say how the answers are judged."""
    parser.add_argument(
        "--repeat-share",
        type=share,
        default=0.1,
        help="share of requests sent twice to compare their pixels, 0 to 1 (default 0.1)",
    )
    parser.add_argument(
        "--pixel-tolerance",
        type=int,
        default=1,
        help="8-bit levels at which pixels still count as the same (default 1)",
    )
    parser.add_argument(
        "--accept-overload",
        action="store_true",
        help="count a 429 or 503 as a success of its own name, not as a failure",
    )


def add_ending_options(parser: LocustArgumentParser) -> None:
    """Add the options that say when a request or a run is over."""
    parser.add_argument(
        "--request-timeout-s",
        type=float,
        default=300.0,
        help="seconds of silence after which a request has failed (default 300)",
    )
    parser.add_argument(
        "--iterations",
        type=int,
        default=0,
        help="requests per user, repeats apart; 0 (default): until the run time is over",
    )
