"""Logs: one JSON object a line, found by the request's id, with nothing in it that is private."""

import json
from pathlib import Path
from typing import Any

import httpx

from tests.faults.processes import ServiceProcesses
from tests.support.services import post_pairs, wait_for

PROMPT = "zanzibar quokka"
FILENAME = "gerda-at-the-beach.png"


def _logs(client: httpx.Client) -> Path:
    return ServiceProcesses.behind(client).session / "logs"


def _replica_lines(client: httpx.Client) -> list[dict[str, Any]]:
    """Return the lines of all replicas' logs; each has to be a JSON object."""
    return [
        json.loads(line)
        for path in sorted((_logs(client) / "serve").glob("replica_*.log"))
        for line in path.read_text().splitlines()
        if line
    ]


def _lines_of(client: httpx.Client, request_id: str) -> list[dict[str, Any]]:
    return [line for line in _replica_lines(client) if line.get("request_id") == request_id]


def test_an_answer_is_found_by_its_id_with_route_and_status(
    simulated: httpx.Client, face: bytes
) -> None:
    answer = post_pairs(simulated, face, n=1)
    request_id = answer.headers["X-Request-ID"]
    # The answer itself, whose key it was, and the set of each model.
    wait_for(lambda: len(_lines_of(simulated, request_id)) >= 4, timeout_s=20)
    by_deployment = {line["deployment"]: line for line in _lines_of(simulated, request_id)}
    assert set(by_deployment) == {
        "twinset_Ingress",
        "twinset_VAEDeployment",
        "twinset_StableDiffusionDeployment",
    }
    assert {line["route"] for line in by_deployment.values()} == {"/v1/pairs"}
    used, answered = (
        line["message"]
        for line in _lines_of(simulated, request_id)
        if line["deployment"] == "twinset_Ingress"
    )
    assert used == f"key this-run, POST /v1/pairs 200, request_id {request_id}"
    method, route, status, taken = answered.split()
    assert (method, route, status) == ("POST", "/v1/pairs", "200")
    assert float(taken.removesuffix("ms")) > 100


def test_a_refusal_is_found_as_well(simulated: httpx.Client) -> None:
    answer = simulated.post("/v1/pairs", headers={"X-Request-ID": "mine-42"})
    assert answer.headers["X-Request-ID"] == "mine-42"
    wait_for(lambda: len(_lines_of(simulated, "mine-42")) >= 2, timeout_s=20)
    used, answered = (line["message"] for line in _lines_of(simulated, "mine-42"))
    assert used == "key this-run, POST /v1/pairs 400, request_id mine-42"
    assert answered.startswith("POST /v1/pairs 400 ")


def test_no_log_holds_a_prompt_a_key_or_a_file_name(simulated: httpx.Client, face: bytes) -> None:
    key = simulated.headers["Authorization"].removeprefix("Bearer ")
    good = {"files": {"image": (FILENAME, face)}, "data": {"n": "1", "prompt": PROMPT}}
    bad = {"files": {"image": (FILENAME, b"no picture")}, "data": {"prompt": PROMPT}}
    answers = [simulated.post("/v1/pairs", **one) for one in (good, bad)]  # type: ignore[arg-type]
    answers.append(simulated.get("/v1/models", headers={"Authorization": f"Bearer {key}wrong"}))
    assert [answer.status_code for answer in answers] == [200, 400, 401]
    last = answers[-1].headers["X-Request-ID"]
    wait_for(lambda: bool(_lines_of(simulated, last)), timeout_s=20)
    files = [path for path in _logs(simulated).rglob("*") if path.is_file()]
    assert len(files) > 10
    for secret in (PROMPT, "quokka", FILENAME, key):
        assert not [path for path in files if secret.encode() in path.read_bytes()], secret
