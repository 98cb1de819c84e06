"""The command line of the kit: its options beside Locust's own."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from loadtests.mix import DEFAULT_MIX, KINDS, checked_mix
from loadtests.objectives import checked_objectives
from loadtests.shapes import SHAPES

# Importing Locust patches the standard library of the whole process, a test's too.
if TYPE_CHECKING:
    from locust.argument_parser import LocustArgumentParser

OBJECTIVES_FILE = Path(__file__).with_name("objectives.yaml")


def positive_integer(text: str) -> int:
    """Read an integer of 1 or more from the command line."""
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not an integer of 1 or more")
    return int(text)


def number(text: str) -> float:
    """Read a finite number of 0 or more from the command line."""
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of 0 or more")
    return value


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
    add_load_options(parser)
    add_request_options(parser)
    add_model_options(parser)
    add_checking_options(parser)
    add_ending_options(parser)


def add_load_options(parser: LocustArgumentParser) -> None:
    """Add the options that say how much is asked for, and when."""
    parser.add_argument(
        "--shape",
        choices=tuple(SHAPES),
        default="constant",
        help="how the load changes over --run-time: "
        + "; ".join(f"{name}: {words}" for name, words in SHAPES.items())
        + " (default constant)",
    )
    parser.add_argument(
        "--base-users", type=positive_integer, default=1, help="users beside a spike (default 1)"
    )
    parser.add_argument(
        "--stairs", type=positive_integer, default=4, help="steps of a staircase (default 4)"
    )
    parser.add_argument(
        "--arrival-rate",
        type=number,
        default=0.0,
        include_in_web_ui=False,
        help="open loop: this many requests a second arrive, whatever the answers do, and times "
        "count from when each was due; at the height of the shape, over all workers. "
        "0 (default): closed loop, each user waits for its answer",
    )
    parser.add_argument(
        "--spacing",
        choices=("poisson", "even"),
        default="poisson",
        help="open loop: gaps between arrivals at random (default poisson), or all the same",
    )
    parser.add_argument(
        "--max-in-flight",
        type=positive_integer,
        default=1000,
        help="open loop: arrivals beyond so many open requests per process are not sent, and "
        "counted as dropped, a failure (default 1000)",
    )


def add_request_options(parser: LocustArgumentParser) -> None:
    """Add the options that say what is asked for."""
    parser.add_argument(
        "--mix",
        type=checked_mix,
        default=DEFAULT_MIX,
        help="kinds of callers and their weights (default "
        + f"{DEFAULT_MIX}); "
        + "; ".join(f"{kind}: {words}" for kind, words in KINDS.items()),
    )
    parser.add_argument(
        "--pairs-n", type=positive_integer, default=10, help="images per set (default 10)"
    )
    parser.add_argument(
        "--first-seed", type=int, default=7, help="seed of the first request (default 7)"
    )
    parser.add_argument(
        "--leave-after-s",
        type=number,
        default=1.0,
        help="when callers of the kind `cancel` leave, on average (default 1)",
    )
    parser.add_argument(
        "--api-key",
        env_var="TWINSET_API_KEY",
        is_secret=True,
        help="sent as a Bearer token; better set in the environment",
    )


def add_model_options(parser: LocustArgumentParser) -> None:
    """Add the models' own parameters, which are varied unless they are given."""
    kinds: dict[str, Callable[[str], float]] = {
        "--num-inference-steps": int,
        "--diversity-factor": float,
        "--strength": float,
    }
    # Locust's web form would send an empty one as text, so these stay on the command line.
    for flag, kind in kinds.items():
        parser.add_argument(flag, type=kind, include_in_web_ui=False, help="the same for all")
    parser.add_argument(
        "--same-parameters",
        action="store_true",
        help="leave all that is not given to the service's defaults instead of varying it",
    )


def add_checking_options(parser: LocustArgumentParser) -> None:
    """Add the options that say how the answers and the run are judged."""
    parser.add_argument(
        "--objectives",
        type=checked_objectives,
        default=str(OBJECTIVES_FILE),
        include_in_web_ui=False,
        help="YAML file of what the run must reach (default loadtests/objectives.yaml)",
    )
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
    """Add the options that say when a request or a run is over, and what is written then."""
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
    parser.add_argument(
        "--out",
        default="",
        include_in_web_ui=False,
        help="new folder for the report (HTML, PNG) and the raw data (CSV, JSON)",
    )
    parser.add_argument(
        "--service-config",
        default="",
        include_in_web_ui=False,
        help="Serve config of the service, to be kept with the raw data",
    )
