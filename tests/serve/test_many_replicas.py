"""Forty simulated diffusion replicas fit a machine of two cores and 24 GiB."""

import sys
import threading
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from tests.faults.processes import ServiceProcesses
from tests.support.services import changed_config, post_pairs, running_replicas, serving, wait_for

REPLICAS = 40
MIB = 2**20


def _forty(application: dict[str, Any]) -> None:
    del application["args"]["api_keys_file"]
    application["args"]["allow_anonymous"] = True
    diffusion = application["deployments"][2]
    del diffusion["autoscaling_config"]
    diffusion["num_replicas"] = REPLICAS
    diffusion["ray_actor_options"]["num_cpus"] = 0.02


@pytest.mark.slow
def test_forty_replicas_run_and_answer_on_a_small_machine(tmp_path: Path, face: bytes) -> None:
    config = changed_config(tmp_path, "rehearsal.yaml", _forty)
    free_before = psutil.virtual_memory().available
    with serving(config, num_gpus=REPLICAS // 2) as client:
        everything = {"vae": 1, "stable_diffusion": REPLICAS}
        waited_s = wait_for(lambda: running_replicas(client) == everything, timeout_s=150)
        answers: list[httpx.Response] = []
        users = [
            threading.Thread(target=lambda: answers.append(post_pairs(client, face, n=2, seed=5)))
            for _ in range(REPLICAS)
        ]
        for user in users:
            user.start()
        for user in users:
            user.join(timeout=100)
        processes = ServiceProcesses.behind(client)
        replicas = processes.replicas("StableDiffusionDeployment")
        own = [one.memory_full_info() for one in replicas]
        used = free_before - psutil.virtual_memory().available
        loads_torch = any("libtorch" in part.path for part in replicas[0].memory_maps())
    made_on = {
        one.json()["sets"]["stable_diffusion"]["replicas"][0]
        for one in answers
        if one.status_code == 200
    }
    sys.stdout.write(
        f"\n{len(replicas)} replicas ran {waited_s:.0f} s after the first; each has "
        f"{sum(one.rss for one in own) / len(own) / MIB:.0f} MiB resident, "
        f"{sum(one.uss for one in own) / len(own) / MIB:.0f} MiB of its own; the whole service "
        f"takes {used / 2**30:.1f} GiB; {len(answers)} pairs were made on {len(made_on)} of them\n"
    )
    assert [one.status_code for one in answers] == [200] * REPLICAS
    assert len({str(one.json()["pairs"]) for one in answers}) == 1
    assert len(made_on) > REPLICAS / 2
    assert len(replicas) == REPLICAS
    assert not loads_torch
    assert sum(one.uss for one in own) < 8 * 2**30
