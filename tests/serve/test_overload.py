"""A full service says so at once; a model that raises keeps its secrets."""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.faults.processes import ServiceProcesses
from tests.support.services import changed_config, post_pairs, serving

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def narrow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """Return a client of a service that admits three requests and whose diffusion model raises."""

    def change(application: dict[str, Any]) -> None:
        arguments = application["args"]
        del arguments["api_keys_file"]
        arguments["allow_anonymous"] = True  # nobody's share: all three places may be taken
        arguments["ingress"]["max_admitted_requests"] = 3
        application["args"]["stable_diffusion"] = {
            "factory": "tests.broken_models:load_raising_diffusion"
        }

    with serving(
        changed_config(tmp_path_factory.mktemp("narrow"), "simulated.yaml", change), num_gpus=1
    ) as client:
        yield client


def test_too_many_at_once_are_turned_away_at_once(narrow: httpx.Client, face: bytes) -> None:
    responses: list[httpx.Response] = []
    users = [
        threading.Thread(
            target=lambda: responses.append(post_pairs(narrow, face, models="vae", n=10))
        )
        for _ in range(12)
    ]
    for user in users:
        user.start()
    for user in users:
        user.join()
    statuses = [response.status_code for response in responses]
    assert set(statuses) == {200, 429}
    for refused in (response for response in responses if response.status_code == 429):
        assert refused.json()["error"]["code"] == "overloaded"
        assert int(refused.headers["retry-after"]) >= 1
    assert post_pairs(narrow, face, models="vae", n=1).status_code == 200


def test_a_model_that_raises_is_an_error_without_its_prompt(
    narrow: httpx.Client, face: bytes
) -> None:
    response = post_pairs(narrow, face, n=1, prompt="xylophone secret")
    assert response.status_code == 500
    assert response.json()["error"]["code"] == "model_failed"
    assert "xylophone" not in response.text
    partial = post_pairs(narrow, face, n=1, prompt="xylophone", allow_partial="true")
    assert partial.status_code == 200
    assert partial.json()["pairs"][0]["stable_diffusion"]["status"] == "failed"
    directory = _log_directory(narrow)
    logs = [path for path in directory.rglob("*") if path.is_file() and path.stat().st_size]
    assert any(b"SecretError" in path.read_bytes() for path in logs)
    assert not [path for path in logs if b"xylophone" in path.read_bytes()]


def _log_directory(client: httpx.Client) -> Path:
    return ServiceProcesses.behind(client).session / "logs"


@pytest.mark.slow
def test_a_model_that_cannot_be_loaded_ends_the_start_with_its_sentence(tmp_path: Path) -> None:
    def change(application: dict[str, Any]) -> None:
        application["args"]["vae"] = {"factory": "tests.broken_models:load_nothing"}

    config = changed_config(tmp_path, "simulated.yaml", change)
    with pytest.raises(RuntimeError, match="prepare them first"), serving(config, num_gpus=1):
        pass
