"""`make deploy` on a Ray that is started as an operator does."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from scripts.api_key import add_key
from tests.faults.cluster import Cluster, cluster
from tests.support.services import ROOT

pytestmark = pytest.mark.slow

READY_S = 120


@pytest.fixture(scope="module")
def head() -> Iterator[Cluster]:
    with cluster(num_cpus=4, num_gpus=1) as one:
        yield one


def _deploy(
    head: Cluster, config: Path, *options: str, **environment: str
) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "scripts.deploy", "--config", str(config)]
    return subprocess.run(
        [*command, "--address", head.dashboard, "--timeout-s", str(READY_S), *options],
        cwd=ROOT,
        env={**head.environment, **environment},
        capture_output=True,
        text=True,
        timeout=200,
    )


def _config(head: Cluster, change: Callable[[dict[str, Any]], None] = lambda _: None) -> Path:
    """Write the simulation's config for this Ray, with a key, changed."""
    config = yaml.safe_load((ROOT / "configs" / "simulated.yaml").read_text())
    config["http_options"]["port"] = head.port
    keys = head.directory / "api-keys"
    if not keys.exists():
        (head.directory / "key").write_text(add_key(keys, "me"))
    config["applications"][0]["args"]["api_keys_file"] = str(keys)
    change(config)
    path = head.directory / "config.yaml"
    path.write_text(yaml.safe_dump(config))
    return path


def _serves(head: Cluster) -> bool:
    key = (head.directory / "key").read_text()
    response = httpx.get(
        f"http://127.0.0.1:{head.port}/v1/models",
        headers={"Authorization": f"Bearer {key}"},
        timeout=30,
        trust_env=False,
    )
    return response.status_code == 200


def _mistyped(config: dict[str, Any]) -> None:
    config["applications"][0]["deployments"][0]["num_replica"] = 1


def _without_keys(config: dict[str, Any]) -> None:
    config["applications"][0]["args"]["api_keys_file"] = "~/no-such-keys"


def _without_weights(config: dict[str, Any]) -> None:
    vae = config["applications"][0]["args"]["vae"]
    vae["factory"] = "models.celeba_vae.checkpoint:load_vae"
    vae["options"] = {"weights_dir": "/no/such/weights"}


def test_a_config_is_deployed_and_mistakes_leave_it_running(head: Cluster) -> None:
    done = _deploy(head, _config(head))
    assert done.returncode == 0, done.stderr
    assert f"is healthy on port {head.port}" in done.stdout
    assert _serves(head)
    before = head.application()["last_deployed_time_s"]
    missing = _deploy(head, head.directory / "serve_confg.yaml")
    assert "there is no file" in missing.stderr
    mistakes = {
        "unknown key 'num_replica'; did you mean 'num_replicas'?": _mistyped,
        "no-such-keys cannot be read": _without_keys,
        "weights_dir /no/such/weights is not there": _without_weights,
    }
    for sentence, mistake in mistakes.items():
        failed = _deploy(head, _config(head, mistake))
        assert failed.returncode == 1
        assert sentence in failed.stderr
        assert "Traceback" not in failed.stderr
    assert head.application()["last_deployed_time_s"] == before
    assert _serves(head)


@pytest.mark.slow
def test_an_application_that_cannot_start_is_told_with_its_reason(head: Cluster) -> None:
    def broken(config: dict[str, Any]) -> None:
        config["applications"][0]["args"]["vae"]["options"] = {"fixed_s": "long"}

    failed = _deploy(head, _config(head, broken))
    assert failed.returncode == 1
    assert "the application does not run" in failed.stderr
    assert "VAEDeployment" in failed.stderr


def test_who_cannot_reach_the_ray_gets_a_sentence(head: Cluster) -> None:
    config = _config(head)
    for stranger in ({"RAY_AUTH_TOKEN": "wrong"}, {"RAY_AUTH_MODE": "disabled"}):
        refused = _deploy(head, config, **stranger)
        assert refused.returncode == 1
        assert "does not take this shell's token" in refused.stderr
    nobody = _deploy(head, config, "--address", "http://127.0.0.1:9")
    assert nobody.returncode == 1
    assert "no Ray answers at http://127.0.0.1:9" in nobody.stderr
    assert "Traceback" not in nobody.stderr + refused.stderr


def test_make_deploys_what_it_is_told_to(head: Cluster) -> None:
    done = subprocess.run(
        ["make", "deploy", "CONFIG=nowhere.yaml"],
        cwd=ROOT,
        env={**os.environ, "RAY_DASHBOARD_ADDRESS": head.dashboard},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 2
    assert "there is no file nowhere.yaml: set CONFIG" in done.stderr
