"""A config is deployed again under load, as an operator does it: who is served meanwhile."""

import copy
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import yaml

from tests.faults.cluster import Cluster, cluster
from tests.faults.conftest import light, traffic_for
from tests.faults.tally import Tally
from tests.faults.traffic import Traffic
from tests.support.services import ROOT, SAMPLE_FACE, post_pairs, wait_for

Config = dict[str, Any]
DEPLOYMENTS = ("Ingress", "VAEDeployment", "StableDiffusionDeployment")
USERS = 5
LOADS_S = 10.0
"""Seconds that a model takes to load where a test is about waiting for one."""


@pytest.fixture(scope="module")
def head() -> Iterator[Cluster]:
    """Return a Ray with room for two replicas of each model on one pretended GPU."""
    with cluster(num_cpus=4, num_gpus=1) as started:
        yield started


@pytest.fixture(scope="module")
def client(head: Cluster) -> Iterator[httpx.Client]:
    """Return a client of what runs on that Ray; nothing does at first."""
    with httpx.Client(base_url=f"http://127.0.0.1:{head.port}", timeout=60, trust_env=False) as one:
        yield one


@pytest.fixture(scope="module")
def traffic(head: Cluster, client: httpx.Client) -> Traffic:
    """Return traffic whose right answers are those of the first version on an idle service."""
    _settle(head, client, _config())
    return traffic_for(client)


@pytest.mark.slow
def test_with_two_replicas_a_rollout_fails_no_request(
    head: Cluster, client: httpx.Client, traffic: Traffic
) -> None:
    before = _config(replicas=2, ingresses=2)
    tally = _rolled_out(head, client, traffic, before)
    assert len(tally.answered) > 20
    assert not tally.wrong
    assert tally.share_right == 1


@pytest.mark.slow
def test_with_one_replica_and_room_for_a_spare_nobody_waits_for_the_next_to_load(
    head: Cluster, client: httpx.Client, traffic: Traffic
) -> None:
    before = _config(surge_percent=100, loads_s=LOADS_S)
    tally = _rolled_out(head, client, traffic, before)
    assert len(tally.answered) > 20
    assert not tally.wrong
    assert tally.share_right == 1
    assert max(one.taken_s for one in tally.finished) < LOADS_S


@pytest.mark.slow
def test_with_one_replica_and_no_room_requests_wait_or_are_told_when_to_come_back(
    head: Cluster, client: httpx.Client, traffic: Traffic
) -> None:
    before = _config(gpu_share=0.5, loads_s=LOADS_S)
    tally = _rolled_out(head, client, traffic, before)
    assert len(tally.answered) > 20
    assert not tally.wrong  # a 503 has Retry-After and stands in the envelope, or it is wrong
    assert {one.status for one in tally.answered if not one.is_right} <= {503}
    assert tally.share_right > 0.5


@pytest.mark.slow
def test_a_long_request_under_way_ends_on_the_version_that_began_it(
    head: Cluster, client: httpx.Client
) -> None:
    before = _config(gpu_share=0.5)
    _settle(head, client, before)
    old = _running(head)["StableDiffusionDeployment"]
    answers: list[httpx.Response] = []
    face = SAMPLE_FACE.read_bytes()
    steps = {"num_inference_steps": 150, "strength": 1.0}  # 12 seconds by the law
    user = threading.Thread(target=lambda: answers.append(post_pairs(client, face, **steps)))
    user.start()
    time.sleep(1)
    head.deploy(_changed(before))
    user.join(timeout=60)
    assert answers[0].status_code == 200
    assert set(answers[0].json()["sets"]["stable_diffusion"]["replicas"]) == old


@pytest.mark.slow
def test_a_spare_that_finds_no_room_leaves_the_old_version_serving_until_told_otherwise(
    head: Cluster, client: httpx.Client, traffic: Traffic
) -> None:
    _settle(head, client, _config(gpu_share=0.5))
    old = _running(head)
    with traffic.running(USERS, at_most_s=150) as tally:
        head.deploy(_changed(_config(gpu_share=0.5, surge_percent=100)))
        time.sleep(30)
        models = {name: ids for name, ids in old.items() if name != "Ingress"}
        assert {name: _running(head)[name] for name in models} == models
        stuck = tally.share_right
        # The way out: the same version without a spare.
        head.deploy(_changed(_config(gpu_share=0.5)))
        rolled_s = _wait_for_new(head, old)
        time.sleep(5)
    _show(f"without room nothing moved for 30 s; without surge it took {rolled_s:.1f} s", tally)
    assert stuck == 1
    assert not tally.wrong


def _config(
    replicas: int = 1,
    ingresses: int = 1,
    gpu_share: float = 0.1,
    surge_percent: int = 0,
    loads_s: float = 0.0,
) -> Config:
    """Return the simulation for anybody, with so many replicas that take so much of a GPU."""
    config: Config = yaml.safe_load((ROOT / "configs" / "simulated.yaml").read_text())
    application = config["applications"][0]
    light(application, replicas)
    del application["args"]["api_keys_file"]
    application["args"]["allow_anonymous"] = True
    for role, factory in (("vae", "load_slow_vae"), ("stable_diffusion", "load_slow_diffusion")):
        application["args"][role]["factory"] = f"tests.faults.faulty_models:{factory}"
        application["args"][role]["options"]["loads_s"] = loads_s
    ingress, *models = application["deployments"]
    ingress["num_replicas"] = ingresses
    for model in models:
        model["ray_actor_options"] = {"num_cpus": 0.1, "num_gpus": gpu_share}
        model["max_surge_percent"] = surge_percent
    return config


def _changed(config: Config) -> Config:
    """Return the next version: a factory's option that no image depends on."""
    changed = copy.deepcopy(config)
    changed["applications"][0]["args"]["vae"]["options"]["fixed_s"] += 0.01
    return changed


def _settle(head: Cluster, client: httpx.Client, config: Config) -> None:
    """Deploy a config and wait until it alone runs."""
    head.deploy(config)
    wanted = {one["name"]: one["num_replicas"] for one in config["applications"][0]["deployments"]}
    time.sleep(2)
    head.wait_until_running(120)
    wait_for(lambda: {name: len(ids) for name, ids in _running(head).items()} == wanted, 60)
    wait_for(lambda: client.get("/readyz").status_code == 200, 30)


def _rolled_out(head: Cluster, client: httpx.Client, traffic: Traffic, before: Config) -> Tally:
    """Deploy the next version in the middle of traffic; return what its callers saw."""
    _settle(head, client, before)
    old = _running(head)
    with traffic.running(USERS, at_most_s=150) as tally:
        time.sleep(3)
        head.deploy(_changed(before))
        rolled_s = _wait_for_new(head, old)
        time.sleep(5)
    _show(f"rolled out in {rolled_s:.1f} s", tally)
    return tally


def _wait_for_new(head: Cluster, old: dict[str, set[str]]) -> float:
    def is_new() -> bool:
        running = _running(head)
        return all(running[name] and not running[name] & old[name] for name in DEPLOYMENTS)

    waited_s = wait_for(is_new, 120)
    return waited_s + head.wait_until_running(60)


def _running(head: Cluster) -> dict[str, set[str]]:
    return {name: head.replica_ids(name) for name in DEPLOYMENTS}


def _show(what: str, tally: Tally) -> None:
    sys.stdout.write(f"\n{what}\n{tally}\n")  # shown by `pytest -s`: figures for the document
