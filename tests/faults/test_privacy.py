"""Pictures, prompts and keys reach no disk and no log, however a request ends."""

import base64
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from tests.faults.faulty_models import RAISING_STEPS, TALKING_STEPS
from tests.faults.planted import Planted
from tests.faults.processes import ServiceProcesses
from tests.faults.traces import files_below, files_since, find, open_files, written_bytes
from tests.support.services import ROOT, changed_config, post_pairs, wait_for

START_TIMEOUT_S = 170
STREAM = {"accept": "text/event-stream"}
QUICK = {"n": 1, "num_inference_steps": 4, "strength": 1.0}


@dataclass
class Run:
    """A service, what was hidden in its requests, and when it started."""

    client: httpx.Client
    output: Path
    planted: Planted = field(default_factory=Planted)
    started: float = field(default_factory=time.time)

    @property
    def processes(self) -> ServiceProcesses:
        return ServiceProcesses.behind(self.client)

    def found(self) -> list[str]:
        """Search all that the service may have written, while it runs: logs, disks, open files."""

        def places() -> Iterator[Path]:
            yield self.output
            yield from files_below(self.processes.directory)
            yield from open_files(self.processes.all())
            others = [tempfile.gettempdir(), "/var/tmp", Path.home() / ".ray", ROOT / "out"]
            yield from files_since(self.started, *map(Path, others), ROOT / ".run")

        return find(places(), self.planted.needles())


@contextmanager
def running(config: Path, output: Path, num_gpus: int = 0) -> Iterator[Run]:
    """Serve a config as `make serve` does, all that it says in a file."""
    command = [sys.executable, "-m", "scripts.serve", "--port", "0", "--config", str(config)]
    with output.open("w") as file:
        process = subprocess.Popen(
            [*command, "--num-gpus", str(num_gpus)], cwd=ROOT, stdout=file, stderr=file
        )
    try:
        wait_for(
            lambda: "-o pairs.json" in output.read_text() or process.poll() is not None,
            START_TIMEOUT_S,
        )
        said = output.read_text()
        key = said.partition("API key of this run: ")[2].partition("\n")[0]
        # What the command says to the person who started it, once, is no log.
        output.write_text(said.replace(key, "") if key else said)
        url = said.split("Twinset serves at ")[1].split()[0]
        headers = {"authorization": f"Bearer {key}"} if key else {}
        with httpx.Client(base_url=url, headers=headers, timeout=120, trust_env=False) as client:
            run = Run(client, output)
            token = psutil.Process(process.pid).environ().get("RAY_AUTH_TOKEN", "")
            replica = run.processes.replicas("Ingress")[0].environ()
            run.planted.secrets = [
                one for one in (key, token, replica.get("RAY_AUTH_TOKEN", "")) if one
            ]
            yield run
    finally:
        process.terminate()
        process.wait(timeout=60)


def _send_pictures(run: Run, *kinds: str) -> None:
    name, fields = f"{run.planted.name}.png", {**QUICK, "prompt": run.planted.prompt}
    pictures = run.planted.pictures()
    for kind in kinds or pictures:
        picture = pictures[kind]
        expected = 400 if kind in ("no picture at all", "a broken png") else 200
        encoded = base64.b64encode(picture).decode()
        for response in (
            run.client.post("/v1/pairs", files={"image": (name, picture)}, data=fields),
            run.client.post("/v1/pairs", json={"image": encoded, **fields}),
            run.client.post("/hf/image-to-image", content=picture),
        ):
            assert response.status_code == expected, (kind, response.text[:300])


def _send_dialects(run: Run) -> None:
    picture, prompt = run.planted.pictures()["png pixels"], run.planted.prompt
    encoded = base64.b64encode(picture).decode()
    file = {"image": (run.planted.name, picture)}
    for accept in ("application/json", "application/zip", "image/png", "text/event-stream"):
        data = {**QUICK, "prompt": prompt, "negative_prompt": prompt}
        headers = {"accept": accept, "user-agent": run.planted.word}
        answer = run.client.post("/v1/pairs", files=file, data=data, headers=headers)
        assert answer.status_code == 200
        assert answer.headers["cache-control"] == "no-store"
    sent = [
        run.client.post(
            "/v1/images/edits", files=file, data={**QUICK, "prompt": prompt, "user": prompt}
        ),
        run.client.post("/v1/images/variations", files=file, data={"n": 1, "user": prompt}),
        run.client.post("/v1/sweep", files=file, data={"diversity_factors": "1", "n": 1}),
        run.client.post(
            "/sdapi/v1/img2img",
            json={"init_images": [encoded], "prompt": prompt, "steps": 4, "force_task_id": prompt},
        ),
        run.client.post(
            "/hf/image-to-image",
            json={"inputs": encoded, "parameters": {"prompt": prompt, "num_inference_steps": 4}},
        ),
    ]
    assert [one.status_code for one in sent] == [200] * len(sent), [one.text[:200] for one in sent]
    assert all(one.headers["cache-control"] == "no-store" for one in sent)


def _send_what_fails(run: Run) -> None:
    planted, picture = run.planted, run.planted.pictures()["png pixels"]
    file = {"image": (planted.name, picture)}
    wrong_key = "twinset-" + planted.word
    asks: list[tuple[str, dict[str, Any], int]] = [
        ("/v1/pairs", {"data": {planted.word: "1"}, "files": file}, 400),
        ("/v1/pairs", {"data": {"n": planted.word}, "files": file}, 400),
        ("/v1/pairs", {"data": {"crop": planted.word}, "files": file}, 400),
        ("/v1/pairs", {"data": {"prompt": planted.word * 5000}, "files": file}, 400),
        ("/v1/pairs", {"data": {"timeout_s": 0.05, "prompt": planted.prompt}, "files": file}, 504),
        ("/v1/pairs", {"content": b"{" + planted.marker, "headers": _JSON}, 400),
        ("/v1/pairs", {"content": planted.marker, "headers": _FORM}, 400),
        (f"/v1/pairs?prompt={planted.word}", {"files": file}, 400),
        (f"/v1/{planted.word}", {"files": file}, 404),
        ("/v1/inspect", {"files": file}, 400),
        ("/v1/images/edits", {"data": {"prompt": "x", "size": planted.word}, "files": file}, 400),
        ("/sdapi/v1/img2img", {"json": {"init_images": [planted.word]}}, 400),
        ("/v1/pairs", {"files": file, "headers": {"authorization": wrong_key}}, 0),
    ]
    for path, arguments, status in asks:
        response = run.client.post(path, **arguments)
        assert response.status_code == (status or response.status_code), (path, response.text[:200])


_JSON = {"content-type": "application/json"}
_FORM = {"content-type": "multipart/form-data; boundary=x"}


def _leave_and_kill(run: Run) -> None:
    """Leave a stream in the middle; then lose a model's replica and the ingress under requests."""
    picture = run.planted.pictures()["png over 1 MB"]
    slow = {"num_inference_steps": 150, "strength": 1.0, "prompt": run.planted.prompt}
    arguments: dict[str, Any] = {"files": {"image": (run.planted.name, picture)}, "data": slow}
    with run.client.stream("POST", "/v1/pairs", headers=STREAM, **arguments) as response:
        next(response.iter_lines())
    for deployment in ("StableDiffusionDeployment", "Ingress"):
        caller = threading.Thread(target=lambda: run.client.post("/v1/pairs", **arguments))
        caller.start()
        time.sleep(1.0)
        for replica in run.processes.replicas(deployment):
            replica.kill()
        caller.join(timeout=90)
    wait_for(lambda: post_pairs(run.client, picture, **QUICK).status_code == 200, timeout_s=60)


@pytest.fixture(scope="module")
def talking(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """Return a simulated service with a model that can be made to give its prompt away."""
    directory = tmp_path_factory.mktemp("talking")

    def change(application: dict[str, Any]) -> None:
        factory = "tests.faults.faulty_models:load_talking_diffusion"
        application["args"]["stable_diffusion"] = {"factory": factory}

    config = changed_config(directory, "simulated.yaml", change)
    with running(config, directory / "output", num_gpus=1) as run:
        yield run


def test_nothing_is_left_of_what_callers_sent_to_the_simulation(talking: Run) -> None:
    _send_pictures(talking)
    _send_dialects(talking)
    _send_what_fails(talking)
    picture = talking.planted.pictures()["png pixels"]
    data = {**QUICK, "num_inference_steps": RAISING_STEPS, "prompt": talking.planted.prompt}
    raised = post_pairs(talking.client, picture, **data)
    assert raised.status_code == 500
    assert talking.planted.word not in raised.text
    _leave_and_kill(talking)
    assert talking.found() == []


def test_uploads_are_not_spooled_to_a_disk(talking: Run) -> None:
    picture = talking.planted.pictures()["png over 5 MB"]
    processes = talking.processes.all()
    before = written_bytes(processes)
    for _ in range(10):
        assert post_pairs(talking.client, picture, models="vae", n=1).status_code == 200
    written = written_bytes(processes) - before
    print(f"{written} bytes written while {10 * len(picture)} were uploaded")
    assert written < len(picture)


def test_bytes_in_a_file_without_a_name_would_be_counted() -> None:
    ours = [psutil.Process(os.getpid())]
    before = written_bytes(ours)
    with tempfile.TemporaryFile() as spooled:
        spooled.write(bytes(30_000_000))
        spooled.flush()
        assert written_bytes(ours) - before > 25_000_000


def test_what_a_careless_model_logs_is_found(talking: Run) -> None:
    """The search can find something; last of this service, for it leaves traces."""
    picture = talking.planted.pictures()["png pixels"]
    data = {**QUICK, "num_inference_steps": TALKING_STEPS, "prompt": talking.planted.prompt}
    assert post_pairs(talking.client, picture, **data).status_code == 200

    def is_found() -> bool:
        found = {one.partition(" in ")[0] for one in talking.found()}
        return {"the prompt", "the picture, escaped"} <= found

    wait_for(is_found, timeout_s=20)  # Serve's log is written in batches


@pytest.mark.parametrize("shift", range(3))
def test_base64_of_a_picture_is_found_wherever_it_starts(tmp_path: Path, shift: int) -> None:
    planted = Planted()
    log = tmp_path / "log"
    log.write_bytes(b"x" * 5_000_000 + base64.b64encode(b"." * shift + planted.marker + b"..."))
    found = find(iter([log]), planted.needles())
    assert found == [f"the picture in base64, {shift} in {log}"]


@pytest.mark.slow
def test_nothing_is_left_of_what_callers_sent_to_the_demo(tmp_path: Path) -> None:
    with running(ROOT / "configs" / "demo.yaml", tmp_path / "output") as run:
        _send_pictures(run, "png over 5 MB", "jpeg comment", "a broken png")
        _send_dialects(run)
        _send_what_fails(run)
        assert run.found() == []


def test_what_ray_has_no_room_for_stays_in_memory(tmp_path: Path) -> None:
    planted = Planted()
    with tempfile.TemporaryDirectory(prefix="ray-", dir="/tmp") as directory:
        code = _SPILLING.format(directory=directory, marker=planted.marker)
        process = subprocess.Popen(
            [sys.executable, "-c", code],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None
        assert process.stdout.readline() == "spilled\n"
        memory = Path("/dev/shm") / Path(directory).name
        in_memory = find(files_below(memory), planted.needles())
        on_disk = find(files_below(Path(directory)), planted.needles())
        process.communicate("\n", timeout=60)
    assert in_memory
    assert on_disk == []
    assert not memory.exists()


_SPILLING = """
import sys
from pathlib import Path
from scripts.local_ray import isolate_environment, ray_directory, remove_files
directory = Path({directory!r})
isolate_environment(directory)
import numpy as np, ray
ray.init(address="local", num_cpus=1, object_store_memory=80 * 2**20, include_dashboard=False,
         log_to_driver=False, logging_level="ERROR", _temp_dir=str(ray_directory(directory)))
blocks = [ray.put(np.frombuffer({marker!r} * 2**17, np.uint8)) for _ in range(30)]
print("spilled", flush=True)
sys.stdin.readline()
ray.shutdown()
remove_files(directory)
"""
