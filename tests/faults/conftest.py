"""Services that can lose parts, and traffic that notices."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.faults.processes import ServiceProcesses
from tests.faults.references import References
from tests.faults.traffic import Traffic
from tests.support.services import changed_config, running_replicas, serving, wait_for

REPLICAS = 4
# Long enough that most kills hit a set under way, short enough for hundreds of requests.
LIGHT_VAE = {"fixed_s": 0.4, "image_step_s": 0.02}
LIGHT_DIFFUSION = {"fixed_s": 0.05, "step_s": 0.08, "image_step_s": 0.0}


def light(application: dict[str, Any], replicas: int) -> None:
    """Make a simulated application of so many replicas of each model, which do not scale."""
    application["args"]["vae"]["options"] = dict(LIGHT_VAE)
    application["args"]["stable_diffusion"]["options"] = dict(LIGHT_DIFFUSION)
    for deployment in application["deployments"][1:]:
        deployment.pop("autoscaling_config", None)
        deployment["num_replicas"] = replicas
        deployment["ray_actor_options"] = {"num_cpus": 0.1, "num_gpus": 0.1}


@pytest.fixture(scope="module")
def light_config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a config with four light replicas of each model."""
    directory = tmp_path_factory.mktemp("light")
    return changed_config(directory, "simulated.yaml", lambda one: light(one, REPLICAS))


@pytest.fixture(scope="module")
def service(light_config: Path) -> Iterator[httpx.Client]:
    """Return a client of a service with four light replicas of each model, all running."""
    with serving(light_config, num_gpus=1) as client:
        everything = {"vae": REPLICAS, "stable_diffusion": REPLICAS}
        wait_for(lambda: running_replicas(client) == everything, timeout_s=60)
        yield client


@pytest.fixture(scope="module")
def processes(service: httpx.Client) -> ServiceProcesses:
    """Return the processes of that service."""
    return ServiceProcesses.behind(service)


@pytest.fixture(scope="module")
def traffic(service: httpx.Client) -> Traffic:
    """Return traffic for that service, with its right answers taken while it is idle."""
    return traffic_for(service)


def traffic_for(client: httpx.Client, steps: int = 10, **options: Any) -> Traffic:
    """Return traffic for a service that is idle at this moment."""
    headers = {name: client.headers[name] for name in ("authorization",) if name in client.headers}
    url = str(client.base_url)
    return Traffic(url, headers, References.taken(url, headers, steps), **options)
