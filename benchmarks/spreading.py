"""What it brings to cut a set over idle replicas, and what it costs under load.

    python -m benchmarks.spreading          about 17 minutes, no GPU

Three services run side by side, each with simulated diffusion that takes a fixed time per set, step
and image: one replica, two replicas that never split (`max_split: 1`), and two that do. They are
asked in turns: one user alone, then more users than replicas. Every answer is checked against what
the idle service gave for the same seed. The result is `benchmarks/results/spreading.json`.
"""

import argparse
import copy
import json
import statistics
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from tqdm import tqdm

from benchmarks.circumstances import circumstances
from benchmarks.closed_loop import Answer, ClosedLoop
from benchmarks.rehearsal import Config, rehearsal, serving, with_replicas
from models.roles import DIFFUSION
from models.time_law import TimeLaw
from scripts.signals import stop_on_signals

RESULT = Path(__file__).parent / "results" / "spreading.json"
LAW = {"fixed_s": 0.1, "step_s": 0.01, "image_step_s": 0.01}
STEPS = 30
SERVICES = {"one replica": (1, 1), "two, unsplit": (2, 1), "two, split": (2, 2)}
"""Replicas and `max_split` of each."""
ALONE, BUSY = 1, 6
MOST_ALONE, LEAST_BUSY = 0.6, 0.95
_CALM_S = 4.0
"""Longer than what the ingress remembers of load."""
_START_S = 5.0
"""Users who come all at once are no steady load yet."""


def main() -> int:
    """Serve, ask, print, and say by the exit status whether both targets are met."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=4, help="of asking all three in turns")
    parser.add_argument("--seconds", type=float, default=25.0, help="of load in each round")
    arguments = parser.parse_args()
    stop_on_signals()
    with ExitStack() as stack:
        urls = {
            name: stack.enter_context(serving(_config(*numbers), num_gpus=1))
            for name, numbers in SERVICES.items()
        }
        document = _asked(urls, arguments.rounds, arguments.seconds)
    RESULT.write_text(json.dumps(document, indent=1) + "\n")
    print(_table(document))
    print(f"written to {RESULT.name} in benchmarks/results")
    return 0 if document["alone_ratio"] <= MOST_ALONE and _is_kept(document) else 1


def _config(replicas: int, max_split: int) -> Config:
    config = with_replicas(copy.deepcopy(rehearsal()), replicas)
    arguments = config["applications"][0]["args"]
    arguments["ingress"] = {**arguments.get("ingress", {}), "max_split": max_split}
    arguments[DIFFUSION]["options"] = dict(LAW)
    return config


def _asked(urls: dict[str, str], rounds: int, seconds: float) -> dict[str, Any]:
    found: dict[str, dict[str, list[float]]] = {
        name: {"alone_s": [], "sets_a_minute": []} for name in urls
    }
    wrong = 0
    turns = [(users, name) for turn in range(rounds) for users in (ALONE, BUSY) for name in urls]
    for users, name in tqdm(turns, desc="turns", disable=None):
        time.sleep(_CALM_S)
        with _users(urls[name], users) as loop:
            time.sleep(_START_S)
            since = time.monotonic()
            time.sleep(seconds if users == BUSY else seconds / 2)
            until = time.monotonic()
        wrong += sum(1 for one in loop.answers if one.problem)
        right = [one for one in loop.answers if not one.problem]
        if users == ALONE:
            found[name]["alone_s"] += [one.taken_s for one in right]
        else:
            found[name]["sets_a_minute"].append(_rate(right, since, until))
    return _document(found, wrong)


@contextmanager
def _users(url: str, users: int) -> Iterator[ClosedLoop]:
    loop = ClosedLoop(url, models=DIFFUSION, num_inference_steps=STEPS, strength=1.0)
    time.sleep(_CALM_S)
    loop.set_users(users)
    with loop.running():
        yield loop


def _rate(answers: list[Answer], since: float, until: float) -> float:
    """Return sets a minute within a window, each counted by the share of its time within it.

    To count answers instead would favour replicas that finish in step: a window holds a few dozen.
    """
    within = (min(one.done_s, until) - max(one.asked_s, since) for one in answers)
    shares = (max(0.0, part) / one.taken_s for part, one in zip(within, answers, strict=True))
    return 60 * sum(shares) / (until - since)


def _document(found: dict[str, dict[str, list[float]]], wrong: int) -> dict[str, Any]:
    alone = {name: statistics.median(one["alone_s"]) for name, one in found.items()}
    busy = {name: statistics.mean(one["sets_a_minute"]) for name, one in found.items()}
    return {
        "law": LAW,
        "law_s": TimeLaw(**LAW).seconds(10, STEPS),
        "users": BUSY,
        "services": found,
        "alone_s": alone,
        "sets_a_minute": busy,
        "alone_ratio": alone["two, split"] / alone["one replica"],
        "busy_ratio": busy["two, split"] / busy["two, unsplit"],
        "wrong_answers": wrong,
        **circumstances(),
    }


def _is_kept(document: dict[str, Any]) -> bool:
    return document["busy_ratio"] >= LEAST_BUSY and document["wrong_answers"] == 0


def _table(document: dict[str, Any]) -> str:
    lines = [f"a set of ten takes {document['law_s']:.2f} s on one replica, by the law"]
    for name in SERVICES:
        spread = document["services"][name]["sets_a_minute"]
        lines.append(
            f"{name:13}: alone {document['alone_s'][name]:.2f} s, {BUSY} users "
            f"{document['sets_a_minute'][name]:.1f} sets a minute "
            f"({min(spread):.1f} to {max(spread):.1f})"
        )
    lines.append(
        f"alone: split takes {document['alone_ratio']:.3f} of one replica's time (at most "
        f"{MOST_ALONE}); under load {document['busy_ratio']:.3f} of the unsplit throughput (at "
        f"least {LEAST_BUSY}); wrong answers {document['wrong_answers']}"
    )
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
