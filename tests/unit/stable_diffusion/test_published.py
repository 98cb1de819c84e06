"""Published weights: only what is needed is fetched, and prepared ones need no network."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from benchmarks.gpu.networks import tiny_safety_checker
from models.parameters import ImageToImageParameters
from models.stable_diffusion import published
from models.stable_diffusion.checkpoint import load_pipeline, load_stable_diffusion
from models.stable_diffusion.config import (
    PUBLISHED_REVISION,
    StableDiffusionConfig,
    missing_parts,
    needed,
    variant_of,
)
from models.weights_manifest import WeightsError
from tests.unit.stable_diffusion.conftest import face
from tests.unit.stable_diffusion.hub import Hub, running_hub

pytestmark = pytest.mark.heavy

ROOT = Path(__file__).resolve().parents[3]
PARAMETERS = ImageToImageParameters("a face", "", 0.6, 3.0, 4)
REFUSED = """
import socket
def refuse(*arguments, **rest):
    raise OSError(101, "Network is unreachable")
socket.socket.connect = socket.socket.connect_ex = socket.getaddrinfo = refuse
"""
SILENT = """
import socket, time
def wait(*arguments, **rest):
    time.sleep(300)
socket.socket.connect = socket.socket.connect_ex = socket.getaddrinfo = wait
"""
LOAD = """
import logging, sys, time
import numpy as np
from models.stable_diffusion.checkpoint import load_stable_diffusion
logging.basicConfig(level=logging.INFO)
started = time.monotonic()
try:
    model = load_stable_diffusion(device="cpu", image_size_px=32, **OPTIONS)
except Exception as error:
    print("FAILED", type(error).__name__, error)
    print("SECONDS", time.monotonic() - started)
    sys.exit(3)
print("REVISION", model.info.revision)
from models.parameters import ImageToImageParameters
from tests.unit.stable_diffusion.conftest import face
parameters = ImageToImageParameters("a face", "", 0.6, 3.0, 4)
np.save(sys.argv[1], model.generate(face(32), [1, 2], parameters).pixels)
"""


@pytest.fixture
def hub(checked_directory: Path) -> Iterator[Hub]:
    files = {
        path.relative_to(checked_directory).as_posix(): path.read_bytes()
        for path in checked_directory.rglob("*.*")
        if path.is_file()
    }
    unused = [
        "v1-5-pruned.ckpt",
        "unet/diffusion_pytorch_model.bin",
        "text_encoder/flax_model.msgpack",
    ]
    with running_hub(files | {name: b"never needed" * 200 for name in unused}) as started:
        yield started


def _python(
    code: str, *arguments: str | Path, **environment: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=120,
    )


def _prepare(hub: Hub, directory: Path) -> None:
    command = [sys.executable, "-m", "scripts.weights", "--only", "stable_diffusion"]
    environment = {**os.environ, "HF_ENDPOINT": hub.url}
    command += ["--dir", str(directory)]
    assert subprocess.run(command, cwd=ROOT, env=environment).returncode == 0


def test_prepared_weights_load_with_every_socket_refused(
    hub: Hub, checked_directory: Path, tmp_path: Path
) -> None:
    weights_dir = tmp_path / "weights"
    _prepare(hub, weights_dir)
    assert not any(name.endswith((".bin", ".ckpt", ".msgpack")) for name in hub.fetched())
    code = REFUSED + LOAD.replace("OPTIONS", f"dict(weights_dir={str(weights_dir)!r})")
    done = _python(code, tmp_path / "made.npy", HF_HOME=str(tmp_path / "cache"))
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"REVISION {PUBLISHED_REVISION}" in done.stdout
    assert "INFO:models.weights_manifest:checked 0.00 GB of weights" in done.stderr
    plain = load_stable_diffusion(str(checked_directory), device="cpu", image_size_px=32)
    expected = plain.generate(face(32), [1, 2], PARAMETERS).pixels
    # Fetched in half precision, computed in float32.
    assert np.abs(np.load(tmp_path / "made.npy").astype(int) - expected).max() <= 4


@pytest.mark.parametrize(
    "network",
    [
        pytest.param(REFUSED, id="refused", marks=pytest.mark.slow),
        pytest.param(SILENT, id="silent", marks=pytest.mark.slow),
    ],
)
def test_without_weights_and_network_the_first_attempt_ends_with_what_to_do(
    network: str, tmp_path: Path
) -> None:
    code = network + LOAD.replace("OPTIONS", "{}")
    done = _python(code, tmp_path / "made.npy", HF_HOME=str(tmp_path / "cache"))
    assert done.returncode == 3, done.stdout + done.stderr
    failed, seconds = done.stdout.strip().splitlines()
    assert failed.startswith("FAILED WeightsError")
    assert "prepare the weights on a machine with internet (`make weights`)" in failed
    assert "name it as `weights_dir`" in failed
    assert float(seconds.split()[1]) < 20


@pytest.mark.parametrize("precision", ["float32", "float16"])
def test_every_tensor_of_the_published_layout_is_loaded(
    checked_directory: Path, tiny_directory: Path, precision: Any
) -> None:
    """Under the names of 2022, in both precisions, to the bit: none is left random."""
    names = {
        name
        for file in (checked_directory / "vae").glob("*.safetensors")
        for name in load_file(file)
    }
    assert any(".proj_attn." in name for name in names)
    loaded = load_pipeline(
        StableDiffusionConfig(str(checked_directory), None, 32, precision, "cpu")
    )
    made = load_pipeline(StableDiffusionConfig(str(tiny_directory), None, 32, "float32", "cpu"))
    made.safety_checker = tiny_safety_checker()
    tensors = 0
    for part in ("unet", "vae", "text_encoder", "safety_checker"):
        mine, theirs = getattr(loaded, part).state_dict(), getattr(made, part).state_dict()
        assert mine.keys() == theirs.keys()
        for name, value in theirs.items():
            expected = value.to(mine[name].dtype)
            assert torch.equal(mine[name], expected), (part, name)
            tensors += 1
    assert tensors > 150


def test_a_private_mirror_behind_a_proxy_is_asked_with_the_token(hub: Hub, tmp_path: Path) -> None:
    hub.token = "hf_secret"
    code = (
        "import sys; from pathlib import Path;"
        "from models.stable_diffusion.published import prepare_published;"
        "prepare_published(Path(sys.argv[1]))"
    )
    # The hub plays the proxy as well: it sees whether it is asked for another's address.
    environment = {
        "HF_ENDPOINT": "http://mirror.invalid",
        "http_proxy": hub.url,
        "no_proxy": "",
        "HF_HOME": str(tmp_path / "home"),
    }
    refused = _python(code, tmp_path / "refused", **environment)
    assert refused.returncode != 0
    assert "or does not show it to you" in refused.stderr
    done = _python(code, tmp_path / "weights", HF_TOKEN=hub.token, **environment)
    assert done.returncode == 0, done.stderr[-2000:]
    assert (tmp_path / "weights" / "unet").is_dir()
    assert all(one.startswith("http://mirror.invalid/") for one in hub.asked_through)
    assert len(hub.asked_through) > 5


def test_a_replica_fetches_what_it_needs_once(hub: Hub, tmp_path: Path) -> None:
    code = (
        "import sys; from models.stable_diffusion.published import *; "
        "print(fetch_snapshot(PUBLISHED_ID, PUBLISHED_REVISION, 'float16'))"
    )
    environment = {"HF_HOME": str(tmp_path), "HF_ENDPOINT": hub.url, "HF_HUB_DISABLE_XET": "1"}
    first = _python(code, **environment)
    assert first.returncode == 0, first.stderr
    assert sorted(hub.fetched()) == sorted(needed(list(hub.files), "float16"))
    # A commit that is there needs no network at all.
    again = _python(REFUSED + code.replace("; ", "\n"), **environment)
    assert again.stdout == first.stdout, again.stderr
    assert "cannot be reached" not in again.stderr
    # What broke off is no checkpoint: it is not taken for one.
    directory = Path(first.stdout.strip())
    (directory / "unet" / "diffusion_pytorch_model.fp16.safetensors").unlink()
    broken = _python(REFUSED + code.replace("; ", "\n"), **environment)
    assert broken.returncode == 1
    assert "is not on this machine" in broken.stderr


def test_a_repository_that_is_not_there_is_named(hub: Hub, tmp_path: Path) -> None:
    code = (
        "from models.stable_diffusion.published import *\n"
        "try: fetch_snapshot('nobody/nothing', 'main', 'float16')\n"
        "except WeightsError as error: print(error)"
    )
    done = _python(code, HF_HOME=str(tmp_path), HF_ENDPOINT=hub.url)
    assert "knows no repository 'nobody/nothing' at revision 'main'" in done.stdout, done.stderr


def test_damaged_weights_are_not_loaded(hub: Hub, tmp_path: Path) -> None:
    _prepare(hub, tmp_path)
    file = tmp_path / "stable-diffusion-v1-5" / "vae" / "diffusion_pytorch_model.fp16.safetensors"
    content = file.read_bytes()
    file.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(WeightsError, match=r"vae/diffusion_pytorch_model.fp16.safetensors was cha"):
        load_stable_diffusion(weights_dir=str(tmp_path), device="cpu", image_size_px=32)


def test_weights_and_weights_dir_exclude_each_other(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="give one of the two"):
        load_stable_diffusion("somewhere", weights_dir=str(tmp_path), device="cpu")


def test_a_directory_that_is_not_there_is_not_asked_of_the_hub() -> None:
    with pytest.raises(WeightsError, match="there is no such directory: prepare one with"):
        load_stable_diffusion("/no/such/directory", device="cpu")


def test_the_hub_is_given_up_in_time_whatever_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    assert published.REACH_DEADLINE_S <= 15
    monkeypatch.setattr(published, "REACH_DEADLINE_S", 0.2)
    monkeypatch.setattr(published.HfApi, "model_info", lambda *_, **__: time.sleep(5))
    started = time.monotonic()
    with pytest.raises(ConnectionError, match=r"cannot be reached \(no answer within 0.2 s\)"):
        published.list_repository("a/b", None)
    assert time.monotonic() - started < 2


NAMES = [
    "model_index.json",
    "v1-5-pruned.ckpt",
    "v1-5-pruned.safetensors",
    "unet/config.json",
    "unet/diffusion_pytorch_model.bin",
    "unet/diffusion_pytorch_model.safetensors",
    "unet/diffusion_pytorch_model.fp16.safetensors",
    "unet/diffusion_pytorch_model.non_ema.safetensors",
    "vae/diffusion_pytorch_model-00001-of-00002.safetensors",
    "vae/diffusion_pytorch_model.safetensors.index.json",
    "vae/pytorch_model.bin.index.json",
    "image_encoder/model.safetensors",
    "onnx/unet/model.safetensors",
]


@pytest.mark.parametrize("precision", ["float16", "float32", "bfloat16"])
def test_weights_are_chosen_once_and_as_safetensors(precision: str) -> None:
    half = ".fp16" if precision == "float16" else ""
    assert needed(NAMES, precision) == sorted(  # type: ignore[arg-type]
        [
            "model_index.json",
            "unet/config.json",
            f"unet/diffusion_pytorch_model{half}.safetensors",
            "vae/diffusion_pytorch_model-00001-of-00002.safetensors",
            "vae/diffusion_pytorch_model.safetensors.index.json",
        ]
    )
    assert missing_parts(needed(NAMES, "float16")) == [
        "text_encoder/*.safetensors",
        "scheduler/",
        "tokenizer/",
    ]


def test_a_directory_with_one_precision_is_read_in_that_one(
    checked_directory: Path, tmp_path: Path
) -> None:
    assert variant_of(checked_directory, "float16") == "fp16"
    assert variant_of(checked_directory, "float32") is None
    assert variant_of(checked_directory, "bfloat16") is None
    (tmp_path / "unet").mkdir()
    (tmp_path / "unet" / "model.fp16.safetensors").touch()
    assert variant_of(tmp_path, "float32") == "fp16"
    (tmp_path / "unet" / "model.fp16.safetensors").rename(tmp_path / "unet" / "model.safetensors")
    assert variant_of(tmp_path, "float16") is None


def test_bad_options_get_a_sentence() -> None:
    with pytest.raises(ValueError, match="multiple of 8"):
        StableDiffusionConfig(image_size_px=100)
