"""Serve's own processes die: the controller, the HTTP proxy, the ingress. All come back."""

import contextlib
import sys
import threading
import time
from pathlib import Path
from typing import Any

import httpx
import psutil

from tests.faults.conftest import REPLICAS, light, traffic_for
from tests.faults.processes import ServiceProcesses
from tests.faults.tally import BROKEN, Tally
from tests.faults.traffic import Traffic
from tests.support.services import (
    ROOT,
    SAMPLE_FACE,
    changed_config,
    post_pairs,
    running_replicas,
    serving,
    wait_for,
)

USERS = 5
EVERYTHING = {"vae": REPLICAS, "stable_diffusion": REPLICAS}


def test_without_its_controller_the_service_goes_on_until_there_is_another(
    service: httpx.Client, processes: ServiceProcesses, traffic: Traffic
) -> None:
    (controller,) = processes.controllers()
    with traffic.running(USERS, at_most_s=150) as tally:
        time.sleep(3)
        controller.kill()
        restarted_s = wait_for(lambda: bool(_others(processes.controllers(), controller)), 60)
        fresh_s = restarted_s + wait_for(lambda: running_replicas(service) == EVERYTHING, 60)
        victim = processes.replicas("StableDiffusionDeployment")[0]
        victim.kill()
        noticed_s = wait_for(lambda: running_replicas(service) != EVERYTHING, 60)
        replaced_s = noticed_s + wait_for(lambda: running_replicas(service) == EVERYTHING, 60)
        time.sleep(3)
    _show(
        f"controller killed: another runs after {restarted_s:.1f} s, counts are fresh after "
        f"{fresh_s:.1f} s; a replica killed then is replaced after {replaced_s:.1f} s",
        tally,
    )
    assert len(tally.answered) > 30
    assert not tally.wrong
    assert tally.share_right == 1


def test_the_next_controller_scales_as_the_first_one_did() -> None:
    with serving(ROOT / "configs" / "simulated.yaml", num_gpus=1) as client:
        traffic = traffic_for(client, steps=50, pause_s=0.1)
        assert running_replicas(client)["stable_diffusion"] == 1
        (controller,) = ServiceProcesses.behind(client).controllers()
        controller.kill()
        with traffic.running(users=8, at_most_s=90, mix={"diffusion": 1}) as tally:
            two_s = wait_for(lambda: running_replicas(client)["stable_diffusion"] == 2, 60)
    _show(f"controller killed, then a flood: two replicas after {two_s:.1f} s", tally)
    assert tally.share_right == 1


def test_a_proxy_that_dies_breaks_its_connections_and_is_back_by_itself(
    service: httpx.Client, processes: ServiceProcesses, traffic: Traffic
) -> None:
    (proxy,) = processes.proxies()
    with traffic.running(USERS, at_most_s=120) as tally:
        time.sleep(3)
        proxy.kill()
        killed_s = time.monotonic()
        gone_s = wait_for(lambda: not _is_ready(service), 10)
        back_s = gone_s + wait_for(lambda: _is_ready(service), 60)
        ready_s = time.monotonic()
        time.sleep(5)
    _show(f"proxy killed: /readyz answers again after {back_s:.1f} s", tally)
    assert {one.code for one in tally.wrong} <= {BROKEN}
    broken = [one for one in tally.wrong if one.started_s < ready_s]
    assert len(broken) == len(tally.wrong)  # nobody after its return notices anything
    assert [one for one in broken if one.started_s < killed_s]  # those who were under way do
    assert len(tally.since(ready_s).answered) > 5
    assert tally.since(ready_s).share_right == 1


def test_nothing_works_on_for_callers_whose_proxy_died(tmp_path: Path) -> None:
    log = tmp_path / "steps.log"
    log.touch()

    def change(application: dict[str, Any]) -> None:
        light(application, replicas=1)
        application["args"]["stable_diffusion"] = {
            "factory": "tests.broken_models:load_logging_diffusion",
            "options": {"log": str(log), "step_s": 0.2},
        }

    face = SAMPLE_FACE.read_bytes()
    with serving(changed_config(tmp_path, "simulated.yaml", change), num_gpus=1) as client:
        quick = {"num_inference_steps": 2, "strength": 1.0}
        expected = post_pairs(client, face, seed=3, **quick).json()["pairs"]
        callers = [threading.Thread(target=_long_call, args=(client, face)) for _ in range(4)]
        for caller in callers:
            caller.start()
        wait_for(lambda: _steps(log) > 10, 20)
        (proxy,) = ServiceProcesses.behind(client).proxies()
        proxy.kill()
        still_s = wait_for(lambda: _stands_still(log), 30)
        for caller in callers:
            caller.join(timeout=30)
        back_s = still_s + wait_for(lambda: _is_ready(client), 60)
        response = post_pairs(client, face, seed=3, **quick)
    _show(f"proxy killed: no step any more after {still_s:.1f} s; back after {back_s:.1f} s")
    assert response.json()["pairs"] == expected
    assert response.elapsed.total_seconds() < 4  # nothing stands before it


def test_an_ingress_that_dies_is_an_honest_answer_and_is_back_by_itself(
    service: httpx.Client, processes: ServiceProcesses, traffic: Traffic
) -> None:
    (ingress,) = processes.replicas("Ingress")
    with traffic.running(USERS, at_most_s=120) as tally:
        time.sleep(3)
        ingress.kill()
        restarted_s = wait_for(lambda: bool(_others(processes.replicas("Ingress"), ingress)), 60)
        back_s = restarted_s + wait_for(lambda: _is_ready(service), 60)
        ready_s = time.monotonic()
        time.sleep(5)
    _show(
        f"ingress killed: another runs after {restarted_s:.1f} s, ready after {back_s:.1f} s", tally
    )
    assert not tally.wrong  # a 503 in the envelope, or an `error` event, for those who were in it
    assert tally.since(ready_s).share_right == 1


def _others(found: list[psutil.Process], before: psutil.Process) -> list[psutil.Process]:
    return [process for process in found if process.pid != before.pid]


def _is_ready(client: httpx.Client) -> bool:
    try:
        return client.get("/readyz", timeout=10).status_code == 200
    except httpx.TransportError:
        return False


def _long_call(client: httpx.Client, face: bytes) -> None:
    # 30 seconds each by the law: four of them, one after the other, outlast the test.
    with contextlib.suppress(httpx.TransportError):
        post_pairs(client, face, num_inference_steps=150, strength=1.0)


def _steps(log: Path) -> int:
    return len(log.read_text().splitlines())


def _stands_still(log: Path) -> bool:
    before = _steps(log)
    time.sleep(1.5)
    return _steps(log) == before


def _show(what: str, tally: Tally | str = "") -> None:
    sys.stdout.write(f"\n{what}\n{tally}\n")  # shown by `pytest -s`: figures for the document
