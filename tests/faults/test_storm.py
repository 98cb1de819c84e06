"""Replicas are killed one after the other, under load: callers hardly notice."""

import itertools
import random
import sys
import time

import httpx
import pytest

from tests.faults.conftest import REPLICAS
from tests.faults.processes import ServiceProcesses
from tests.faults.traffic import Traffic
from tests.support.services import running_replicas, wait_for

EVERY_S = 10.0
STORM_S = 120.0
USERS = 8
DEPLOYMENTS = ("StableDiffusionDeployment", "VAEDeployment")


@pytest.mark.slow
def test_a_storm_of_kills_costs_at_most_a_few_honest_answers(
    service: httpx.Client, processes: ServiceProcesses, traffic: Traffic
) -> None:
    dice = random.Random(8)
    deployments = itertools.cycle(DEPLOYMENTS)
    started, killed = time.monotonic(), []
    with traffic.running(USERS, at_most_s=STORM_S) as tally:
        while time.monotonic() - started < STORM_S - EVERY_S / 2:
            time.sleep(EVERY_S)
            victim = dice.choice(processes.replicas(next(deployments)))
            victim.kill()
            killed.append(victim.pid)
    sys.stdout.write(f"\n{len(killed)} replicas killed in {STORM_S:.0f} s\n{tally}\n")
    assert len(killed) >= 11
    assert len(tally.answered) >= 400
    assert not tally.wrong
    assert tally.share_right >= 0.995
    everything = {"vae": REPLICAS, "stable_diffusion": REPLICAS}

    def all_are_back() -> bool:
        # Serve notices a dead replica at its next health check; its process is gone before.
        counts = [len(processes.replicas(name)) for name in DEPLOYMENTS]
        return counts == [REPLICAS, REPLICAS] and running_replicas(service) == everything

    back_s = wait_for(all_are_back, timeout_s=60)
    sys.stdout.write(f"all replicas are back {back_s:.1f} s after the storm\n")
