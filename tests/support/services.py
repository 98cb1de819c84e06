"""Services to test: a real Ray, started as a user starts it, and what is asked of them."""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import httpx
import yaml

ROOT = Path(__file__).resolve().parents[2]
SAMPLE_FACE = ROOT / "models" / "demo" / "weights" / "sample-face.png"


@contextmanager
def serving(config: Path, num_gpus: int = 0) -> Iterator[httpx.Client]:
    """Serve a config on a free port while the context lasts, by the command of `make serve`."""
    command = [sys.executable, "-m", "scripts.serve", "--config", str(config), "--port", "0"]
    # In an empty home: the keys of whoever runs the tests are nobody's business.
    with tempfile.TemporaryFile("w+") as complaints, tempfile.TemporaryDirectory() as home:
        process = subprocess.Popen(
            [*command, "--num-gpus", str(num_gpus)],
            cwd=ROOT,
            env={**os.environ, "HOME": home},
            stdout=subprocess.PIPE,
            stderr=complaints,
            text=True,
        )
        try:
            url, key = _announced(process, complaints)
            headers = {"Authorization": f"Bearer {key}"} if key else {}
            with httpx.Client(
                base_url=url, timeout=120, trust_env=False, headers=headers
            ) as client:
                yield client
        finally:
            process.terminate()
            process.communicate(timeout=60)


def _announced(process: "subprocess.Popen[str]", complaints: IO[str]) -> tuple[str, str]:
    # The command gives up by itself after three minutes, which closes the pipe.
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("Twinset serves at "):
            after = process.stdout.readline()
            return line.split()[3], after.split()[-1] if "API key" in after else ""
    complaints.seek(0)
    raise RuntimeError(f"the service did not start:\n{complaints.read()}")


def post_pairs(client: httpx.Client, picture: bytes, **fields: Any) -> httpx.Response:
    """Send a multipart request as browsers and curl do."""
    return client.post("/v1/pairs", files={"image": ("face.png", picture)}, data=fields)


def wait_for(condition: Callable[[], bool], timeout_s: float) -> float:
    """Return after how many seconds the condition held; fail when it does not in time."""
    started = time.monotonic()
    while time.monotonic() - started < timeout_s:
        if condition():
            return time.monotonic() - started
        time.sleep(0.5)
    raise AssertionError(f"it did not happen within {timeout_s} s")


def running_replicas(client: httpx.Client) -> dict[str, int]:
    """Return the number of running replicas of each role, as `/v1/models` says."""
    cards = client.get("/v1/models").json()["data"]
    return {card["role"]: card["replicas"]["running"] for card in cards}


def changed_config(directory: Path, name: str, change: Callable[[dict[str, Any]], None]) -> Path:
    """Write a variant of one of our configs; `change` edits its application in place."""
    config = yaml.safe_load((ROOT / "configs" / name).read_text())
    change(config["applications"][0])
    path = directory / f"changed-{name}"
    path.write_text(yaml.safe_dump(config))
    return path


def read_events(lines: Iterator[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the events of a stream as the standard has them; a ping is ("", {})."""
    name, data = "", ""
    for line in lines:
        if line.startswith(":"):
            yield "", {}
        elif line.startswith("event: "):
            name = line.removeprefix("event: ")
        elif line.startswith("data: "):
            data += line.removeprefix("data: ")
        elif not line and data:
            yield name, json.loads(data) if data != "[DONE]" else {}
            name, data = "", ""
