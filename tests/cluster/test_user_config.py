"""serve_config.yaml on pretended cards, deployed as a user does, and changed under load."""

import copy
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from scripts.api_key import add_key
from scripts.check_configs import check_file
from tests.faults.cluster import BIN, Cluster, cluster
from tests.faults.conftest import traffic_for
from tests.faults.tally import Tally
from tests.faults.traffic import Traffic
from tests.support.services import ROOT, wait_for

Config = dict[str, Any]
DEPLOYMENTS = ("Ingress", "VAEDeployment", "StableDiffusionDeployment")
CARDS = 2
USERS = 4
OPTIONS = {
    "vae": {"fixed_s": 0.05, "image_step_s": 0.0},
    "stable_diffusion": {"fixed_s": 0.05, "step_s": 0.05, "image_step_s": 0.0},
}
FACTORIES = {"vae": "load_simulated_vae", "stable_diffusion": "load_simulated_diffusion"}

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def head() -> Iterator[Cluster]:
    """Return a Ray with two pretended cards."""
    with cluster(num_cpus=4, num_gpus=CARDS) as started:
        yield started


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Config:
    """Return serve_config.yaml with simulated models and a key; nothing else is changed."""
    keys = tmp_path_factory.mktemp("keys") / "api-keys"
    changed: Config = yaml.safe_load((ROOT / "serve_config.yaml").read_text())
    arguments = changed["applications"][0]["args"]
    for role, options in OPTIONS.items():
        factory = f"models.simulated:{FACTORIES[role]}"
        arguments[role] = {"factory": factory, "options": options}
    arguments["api_keys_file"] = str(keys)
    return {"key": add_key(keys, "caller"), "config": changed}


@pytest.fixture(scope="module")
def client(head: Cluster, config: Config) -> Iterator[httpx.Client]:
    """Return a client of the deployed service, which runs."""
    head.deploy(config["config"])
    head.wait_until_running(120)
    headers = {"authorization": f"Bearer {config['key']}"}
    url = f"http://127.0.0.1:{head.port}"
    with httpx.Client(base_url=url, headers=headers, timeout=60, trust_env=False) as one:
        wait_for(lambda: one.get("/readyz").status_code == 200, timeout_s=60)
        yield one


@pytest.fixture(scope="module")
def traffic(client: httpx.Client) -> Traffic:
    """Return traffic whose right answers were taken on the idle service."""
    return traffic_for(client)


def test_serve_status_shows_every_deployment_of_serve_config_healthy(
    head: Cluster, client: httpx.Client
) -> None:
    status = _serve_status(head)
    application = status["applications"]["twinset"]
    assert application["status"] == "RUNNING"
    assert {name: one["status"] for name, one in application["deployments"].items()} == {
        name: "HEALTHY" for name in DEPLOYMENTS
    }
    assert set(status["proxies"].values()) == {"HEALTHY"}
    assert client.get("/v1/models").json()["limits"]["request_timeout_s"] == 120


def test_a_user_config_under_load_restarts_nothing_and_fails_no_request(
    head: Cluster, config: Config, client: httpx.Client, traffic: Traffic
) -> None:
    before = _pids(head)
    with traffic.running(USERS, at_most_s=90) as tally:
        time.sleep(4)
        asked_s = time.monotonic()
        head.deploy(_with(config, {"request_timeout_s": 77, "max_admitted_requests": 50}))
        wait_for(lambda: _timeouts(client) == {77.0}, timeout_s=40)
        taken_s = time.monotonic() - asked_s
        time.sleep(4)
    after = _pids(head)
    _show(f"in force in both ingress replicas {taken_s:.1f} s after the command began", tally)
    assert after["Ingress"] == before["Ingress"]
    for name in DEPLOYMENTS:
        assert before[name] <= after[name], name  # autoscaling may have added some
    assert len(tally.answered) > 20
    assert not tally.wrong
    assert tally.share_right == 1
    too_long = client.post("/v1/pairs", data={"timeout_s": "78"}, files={"image": b"x"})
    assert too_long.status_code == 400


def test_a_typo_in_a_user_config_is_found_before_it_is_deployed(
    config: Config, tmp_path: Path
) -> None:
    path = tmp_path / "typo.yaml"
    path.write_text(yaml.safe_dump(_with(config, {"request_timeout": 5})))
    assert any("'request_timeout'" in str(problem) for problem in check_file(path))


def test_a_typo_that_is_deployed_all_the_same_is_named_and_the_right_one_brings_it_back(
    head: Cluster, config: Config, client: httpx.Client, traffic: Traffic
) -> None:
    before = _pids(head)
    with traffic.running(USERS, at_most_s=120) as tally:
        time.sleep(3)
        head.deploy(_with(config, {"request_timeout": 5}))
        time.sleep(15)
        status = _serve_status(head)["applications"]["twinset"]
        during = _pids(head)
        head.deploy(_with(config, {"request_timeout_s": 66}))
        wait_for(lambda: _timeouts(client) == {66.0}, timeout_s=60)
        well_s = time.monotonic()
        time.sleep(4)
    message = status["message"] + status["deployments"]["Ingress"]["message"]
    _show(
        f"15 s after the typo: {status['status']}, Ingress {status['deployments']['Ingress']}, "
        f"ingress pids {before['Ingress']} -> {during['Ingress']}",
        tally,
    )
    assert status["status"] == "DEPLOY_FAILED"
    assert "request_timeout" in message
    assert during["Ingress"] < before["Ingress"]  # one of the two is gone, the other serves on
    assert len(_pids(head)["Ingress"]) == 2
    assert tally.since(well_s).share_right == 1
    assert not tally.wrong


def _with(config: Config, user_config: dict[str, float]) -> Config:
    changed: Config = copy.deepcopy(config["config"])
    changed["applications"][0]["deployments"][0]["user_config"] = user_config
    return changed


def _serve_status(head: Cluster) -> dict[str, Any]:
    command = [str(BIN / "serve"), "status", "--address", head.dashboard]
    done = subprocess.run(
        command, env=head.environment, cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    status: dict[str, Any] = yaml.safe_load(done.stdout)
    return status


def _pids(head: Cluster) -> dict[str, set[int]]:
    deployments = head.application()["deployments"]
    return {
        name: {one["pid"] for one in deployments[name]["replicas"] if one["state"] == "RUNNING"}
        for name in DEPLOYMENTS
    }


def _timeouts(client: httpx.Client) -> set[float]:
    """Return the deadline that the ingress replicas tell; asked often enough to meet both."""
    answers = [client.get("/v1/models") for _ in range(10)]
    return {
        one.json()["limits"]["request_timeout_s"] if one.status_code == 200 else -1.0
        for one in answers
    }


def _show(what: str, tally: Tally) -> None:
    sys.stdout.write(f"\n{what}\n{tally}\n")
