"""The compared arms do the same job: same pixels, counted calls, two threads each."""

import asyncio
import base64
import json
import re
import subprocess
import sys
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import yaml
from PIL import Image

from benchmarks.comparison import clients
from benchmarks.comparison.arms import _covered_s, _File
from benchmarks.comparison.in_process import ARMS, environment_of
from benchmarks.comparison.job import DiffusionJob, demo_job
from benchmarks.comparison.pictures import png, png_in_base64
from benchmarks.comparison.pipeline import CallCounts, batched, load_pipeline, one
from benchmarks.comparison.servers import NAMES, serving
from benchmarks.paths import ROOT

pytestmark = pytest.mark.heavy

SEEDS = (3, 5)


@pytest.fixture(scope="module")
def pipeline() -> Any:
    return load_pipeline()


def _pixels(image: Image.Image) -> np.ndarray:
    return np.asarray(image).astype(int)


def _child(arm: str, out: Path, *lines: str) -> list[dict[str, Any]]:
    command = [sys.executable, "-m", "benchmarks.comparison.in_process", arm, "--out", str(out)]
    done = subprocess.run(
        command, cwd=ROOT, input="".join(lines), capture_output=True, text=True, timeout=200
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_the_job_is_the_demos_own() -> None:
    job = demo_job(SEEDS)
    assert (job.prompt, job.strength, job.guidance_scale) == ("a portrait of a person", 0.7, 7.5)
    assert (job.num_inference_steps, job.seeds) == (20, SEEDS)
    with pytest.raises(ValueError, match="one seed an image"):
        replace(job, seeds=())


def test_single_calls_and_the_batched_call_make_the_same_images(pipeline: Any) -> None:
    job = replace(demo_job(SEEDS), num_inference_steps=5)
    with CallCounts(pipeline) as single:
        images = [one(pipeline, job, seed) for seed in SEEDS]
    with CallCounts(pipeline) as together:
        batch = batched(pipeline, job)
    assert (single.unet, single.encoder) == (6, 2)
    assert (together.unet, together.encoder) == (3, 2)
    for image, other in zip(images, batch, strict=True):
        assert np.abs(_pixels(image) - _pixels(other)).max() <= 1
    assert np.abs(_pixels(batch[0]) - _pixels(batch[1])).max() > 20
    one(pipeline, job, 1)
    assert together.unet == 3, "counted after the context had ended"


@pytest.mark.slow
def test_every_thread_computes_with_two_as_under_ray() -> None:
    code = """
import threading, torch
from benchmarks.comparison.pipeline import load_pipeline
before = torch.get_num_threads()
load_pipeline()
seen = [before, torch.get_num_threads()]
thread = threading.Thread(target=lambda: seen.append(torch.get_num_threads()))
thread.start(); thread.join(); print(seen)
"""
    command = ["env", "OMP_NUM_THREADS=1", sys.executable, "-c", code]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=200)
    assert done.stdout.strip() == "[1, 2, 2]", done.stderr


@pytest.mark.slow
def test_the_three_arms_of_one_process_agree_and_count_their_calls(tmp_path: Path) -> None:
    line = json.dumps({"seeds": SEEDS}) + "\n"
    said = {arm: _child(arm, tmp_path / arm, line) for arm in ARMS}
    images = {}
    for arm, (ready, made) in said.items():
        assert (ready["ready"], ready["torch_threads"]) == (True, 2)
        images[arm] = np.stack([_pixels(Image.open(file)) for file in made["files"]])
        assert made["bytes"] == sum(Path(file).stat().st_size for file in made["files"])
        assert 0 < made["encode_s"] < made["first_image_s"] <= made["seconds"]
        assert made["peak_rss_mib"] > 200
    calls = {arm: (made["unet_calls"], made["encoder_calls"]) for arm, (_, made) in said.items()}
    assert calls == {"notebook": (28, 2), "diffusers": (14, 2), "twinset": (14, 1)}
    for arm in ("notebook", "twinset"):
        assert np.abs(images[arm] - images["diffusers"]).max() <= 1
    notebook = said["notebook"][1]
    assert notebook["first_image_s"] < 0.95 * notebook["seconds"], "its images come one by one"


def test_the_environment_is_that_of_the_served_application() -> None:
    config = yaml.safe_load((ROOT / "configs" / "demo.yaml").read_text())
    (diffusion,) = (
        one
        for one in config["applications"][0]["deployments"]
        if one["name"] == "StableDiffusionDeployment"
    )
    own = diffusion["ray_actor_options"]["runtime_env"]["env_vars"]
    assert environment_of("twinset") == {"HF_HUB_OFFLINE": "1", **own}
    assert own
    assert environment_of("notebook") == environment_of("diffusers") == {}


def test_files_written_at_once_are_not_counted_twice() -> None:
    files = [_File(b"", 1.0, 3.0, 1.0), _File(b"", 2.0, 4.0, 1.0), _File(b"", 6.0, 7.0, 1.0)]
    assert _covered_s(files) == pytest.approx(4.0)
    assert _covered_s([_File(b"", 1.0, 5.0, 1.0), _File(b"", 2.0, 3.0, 1.0)]) == pytest.approx(4.0)


def test_the_experts_png_holds_the_same_pixels() -> None:
    image = Image.fromarray(np.arange(48 * 64 * 3, dtype=np.uint32).reshape(48, 64, 3).astype("u1"))
    quick = base64.b64decode(png_in_base64(image))
    assert np.array_equal(_pixels(Image.open(BytesIO(quick))), _pixels(image))
    assert quick != png(image)


def _ask(ask: Any, answer: Any, job: DiffusionJob) -> clients.Answer:
    async def run() -> clients.Answer:
        transport = httpx.MockTransport(answer)
        async with httpx.AsyncClient(base_url="http://there", transport=transport) as client:
            made: clients.Answer = await ask(client, job)
            return made

    return asyncio.run(run())


async def _late_for_early_seeds(request: httpx.Request) -> httpx.Response:
    body = (await request.aread()).decode(errors="replace")
    found = re.search(r'name="seed"\r\n\r\n(\d+)', body)
    assert found
    await asyncio.sleep(0.05 if found[1] == "3" else 0)
    return httpx.Response(200, content=found[1].encode())


def test_images_of_single_requests_come_in_the_order_of_the_seeds() -> None:
    answer = _ask(clients.documented_set, _late_for_early_seeds, demo_job(SEEDS))
    assert answer.images == (b"3", b"5")
    assert answer.bytes_received == 2


@pytest.mark.parametrize(
    "ask", [clients.documented_set, clients.expert_set, clients.twinset_set, clients.twinset_pair]
)
def test_an_error_is_no_answer(ask: Any) -> None:
    with pytest.raises(httpx.HTTPStatusError):
        _ask(ask, lambda request: httpx.Response(500), demo_job(SEEDS))


def test_an_unknown_server_gets_the_names_of_the_known() -> None:
    with pytest.raises(ValueError, match="fastapi_expert"), serving("flask"):
        pass
    directory = ROOT / "benchmarks" / "comparison"
    assert all((directory / f"{name}.py").is_file() for name in NAMES if name != "twinset")
