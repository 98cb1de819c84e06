"""Preparing a directory of weights: whole or not there, resumed, never twice."""

import fcntl
import hashlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from models.celeba_vae import published as vae_published
from models.weights_manifest import WeightsError, damages, read_manifest
from scripts import weights
from scripts.weights import check, prepare
from tests.unit.stable_diffusion.hub import Hub, running_hub

pytestmark = pytest.mark.heavy

ROOT = Path(__file__).resolve().parents[3]
SETTINGS = [
    "model_index.json",
    "feature_extractor/preprocessor_config.json",
    "safety_checker/config.json",
    "scheduler/scheduler_config.json",
    "text_encoder/config.json",
    "tokenizer/merges.txt",
    "tokenizer/special_tokens_map.json",
    "tokenizer/tokenizer_config.json",
    "tokenizer/vocab.json",
    "unet/config.json",
    "vae/config.json",
]
STEMS = [
    "safety_checker/model",
    "text_encoder/model",
    "unet/diffusion_pytorch_model",
    "vae/diffusion_pytorch_model",
]
HALF = [f"{stem}.fp16.safetensors" for stem in STEMS]
FULL = [f"{stem}.safetensors" for stem in STEMS]
UNUSED = [
    "README.md",
    ".gitattributes",
    "v1-5-pruned.ckpt",
    "v1-5-pruned-emaonly.safetensors",
    "v1-inference.yaml",
    "safety_checker/pytorch_model.bin",
    "text_encoder/pytorch_model.fp16.bin",
    "text_encoder/flax_model.msgpack",
    "unet/diffusion_pytorch_model.non_ema.safetensors",
    "unet/diffusion_pytorch_model.fp16.bin",
]
FOLDER = "stable-diffusion-v1-5"


def _content(name: str) -> bytes:
    large = name.endswith((".safetensors", ".bin", ".ckpt"))
    return (f"{name} " * 400).encode() if large else f"what {name} holds".encode()


@pytest.fixture
def hub() -> Iterator[Hub]:
    files = {name: _content(name) for name in [*SETTINGS, *HALF, *FULL, *UNUSED]}
    with running_hub(files) as started:
        yield started


def _command(*options: str | Path) -> list[str]:
    return [sys.executable, "-m", "scripts.weights", *map(str, options)]


def _environment(url: str) -> dict[str, str]:
    return {**os.environ, "HF_ENDPOINT": url, "NO_PROXY": "127.0.0.1"}


def _run(url: str, *options: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        _command(*options),
        cwd=ROOT,
        env=_environment(url),
        capture_output=True,
        text=True,
        timeout=60,
    )


def _prepare(hub: Hub, directory: Path, *options: str) -> subprocess.CompletedProcess[str]:
    return _run(hub.url, "--only", "stable_diffusion", "--dir", directory, *options)


def _names(directory: Path) -> list[str]:
    found = [path for path in directory.rglob("*") if path.is_file()]
    return sorted(path.relative_to(directory).as_posix() for path in found)


def test_the_files_of_one_precision_are_fetched_and_nothing_else(hub: Hub, tmp_path: Path) -> None:
    done = _prepare(hub, tmp_path)
    assert done.returncode == 0, done.stderr
    assert f"weights_dir: {tmp_path}" in done.stdout
    assert sorted(hub.fetched()) == sorted([*SETTINGS, *HALF])
    assert _names(tmp_path / FOLDER) == sorted([*SETTINGS, *HALF, "source.json"])
    manifest = read_manifest(tmp_path)
    assert len(manifest) == len(SETTINGS) + len(HALF) + 1
    for name in [*SETTINGS, *HALF]:
        facts = manifest[f"{FOLDER}/{name}"]
        assert facts.sha256 == hashlib.sha256(_content(name)).hexdigest()
        assert facts.size_bytes == len(_content(name))
    source = json.loads((tmp_path / FOLDER / "source.json").read_text())
    assert source["revision"] == "451f4fe16113bff5a5d2269ed5ad43b0592e9a14"
    assert {path.name for path in tmp_path.iterdir()} == {FOLDER, "manifest.json", ".preparing"}
    # Again: nothing is asked for, nothing changes.
    hub.gets.clear()
    again = _prepare(hub, tmp_path)
    assert again.returncode == 0
    assert hub.gets == []
    assert "already there, and whole" in again.stderr
    assert read_manifest(tmp_path) == manifest


def test_another_precision_replaces_the_first(hub: Hub, tmp_path: Path) -> None:
    assert _prepare(hub, tmp_path).returncode == 0
    hub.liar = FULL[2]
    assert _prepare(hub, tmp_path, "--precision", "float32").returncode == 1
    assert list(damages(tmp_path)) == [], "what was there serves until the other is whole"
    hub.liar = None
    assert _prepare(hub, tmp_path, "--precision", "float32").returncode == 0
    assert _names(tmp_path / FOLDER) == sorted([*SETTINGS, *FULL, "source.json"])
    assert list(damages(tmp_path)) == []


def test_what_was_begun_in_another_precision_does_not_stay(hub: Hub, tmp_path: Path) -> None:
    hub.liar = FULL[3]
    assert _prepare(hub, tmp_path, "--precision", "float32").returncode == 1
    assert list(tmp_path.rglob(Path(FULL[2]).name)), "something had come"
    hub.liar = None
    assert _prepare(hub, tmp_path).returncode == 0
    assert _names(tmp_path / FOLDER) == sorted([*SETTINGS, *HALF, "source.json"])


def test_an_interrupted_preparation_goes_on_where_it_stopped(hub: Hub, tmp_path: Path) -> None:
    hub.slow = 10_000  # more than a buffer of the file that is written
    running = subprocess.Popen(
        _command("--only", "stable_diffusion", "--dir", tmp_path),
        cwd=ROOT,
        env=_environment(hub.url),
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 60
    # Not of a small file: that one may be complete before the signal comes.
    while not any(path.stat().st_size for path in tmp_path.rglob("*.safetensors.partial")):
        assert time.monotonic() < deadline, "nothing was ever fetched"
        time.sleep(0.05)
    running.send_signal(signal.SIGINT)
    _, told = running.communicate(timeout=10)
    assert running.returncode == 130
    assert "the same command goes on from here" in told
    assert "Traceback" not in told
    assert not (tmp_path / "manifest.json").exists()
    assert not (tmp_path / FOLDER).exists()
    partial = next(tmp_path.rglob("*.partial"))
    kept_bytes = partial.stat().st_size
    interrupted = hub.gets[-1][0]
    before = hub.fetched()[:-1]
    hub.slow = None
    hub.gets.clear()
    assert _prepare(hub, tmp_path).returncode == 0
    assert (interrupted, kept_bytes) == hub.gets[0]
    assert not set(before) & set(hub.fetched()), "what had come was fetched again"
    assert list(damages(tmp_path)) == []


@pytest.mark.parametrize("kind", ["changed", "missing", "no manifest"])
def test_a_damaged_file_alone_is_fetched_again(kind: str, hub: Hub, tmp_path: Path) -> None:
    assert _prepare(hub, tmp_path).returncode == 0
    file = tmp_path / FOLDER / HALF[2]
    if kind == "changed":
        file.write_bytes(bytes(file.stat().st_size))
    elif kind == "missing":
        file.unlink()
    else:
        (tmp_path / "manifest.json").unlink()
    hub.gets.clear()
    assert _prepare(hub, tmp_path).returncode == 0
    assert hub.fetched() == ([] if kind == "no manifest" else [HALF[2]])
    assert list(damages(tmp_path)) == []


def test_a_file_that_is_not_the_commits_is_refused(hub: Hub, tmp_path: Path) -> None:
    hub.liar = HALF[1]
    done = _prepare(hub, tmp_path)
    assert done.returncode == 1
    assert HALF[1] in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "manifest.json").exists()
    hub.liar = None
    assert _prepare(hub, tmp_path).returncode == 0


def test_a_repository_that_lacks_a_part_is_named(hub: Hub, tmp_path: Path) -> None:
    for name in [HALF[2], FULL[2], UNUSED[8]]:
        del hub.files[name]
    done = _prepare(hub, tmp_path)
    assert done.returncode == 1
    assert "has no unet/*.safetensors" in done.stderr
    assert hub.gets == []


def test_without_a_network_the_sentence_says_what_to_do(tmp_path: Path) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))  # bound and not listening: refused
        url = f"http://127.0.0.1:{unused.getsockname()[1]}"
        started = time.monotonic()
        done = _run(url, "--only", "stable_diffusion", "--dir", tmp_path)
    assert time.monotonic() - started < 20
    assert done.returncode == 1
    (line,) = done.stderr.strip().splitlines()[1:]
    assert f"{url} cannot be reached" in line
    assert "on a machine with internet (`make weights`), copy the directory here" in line


def test_check_tells_whole_from_damaged_without_torch(hub: Hub, tmp_path: Path) -> None:
    assert _prepare(hub, tmp_path).returncode == 0
    code = (
        "import sys; from scripts.weights import main; code = main(sys.argv[1:]); "
        "sys.exit(99 if 'torch' in sys.modules else code)"
    )
    whole = subprocess.run(
        [sys.executable, "-c", code, "--check", str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert whole.returncode == 0, whole.stderr
    assert "is whole: 16 files" in whole.stdout
    (tmp_path / FOLDER / HALF[0]).unlink()
    (tmp_path / FOLDER / HALF[1]).write_bytes(b"short")
    damaged = _run(hub.url, "--check", tmp_path)
    assert damaged.returncode == 1
    lines = damaged.stderr.strip().splitlines()
    assert len(lines) == 2
    assert f"{HALF[0]} is missing" in lines[0]
    assert f"{HALF[1]} has 5 bytes" in lines[1]
    (tmp_path / "manifest.json").unlink()
    assert _run(hub.url, "--check", tmp_path).returncode == 1
    assert _run(hub.url, "--check", tmp_path / "nowhere").returncode == 1


@pytest.fixture
def vae_calls(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Stand in for the VAE's download, which is tested where it is."""
    calls: list[Path] = []

    def prepare_vae(directory: Path) -> Path:
        calls.append(directory)
        for name in ("config.json", "model.safetensors", "source.json"):
            (directory / name).write_text(f"the VAE's {name}")
        (directory / "model.safetensors").chmod(0o600)
        return directory

    monkeypatch.setattr(vae_published, "prepare_published", prepare_vae)
    return calls


def test_both_models_share_one_manifest(hub: Hub, tmp_path: Path, vae_calls: list[Path]) -> None:
    assert _prepare(hub, tmp_path).returncode == 0
    before = read_manifest(tmp_path)
    prepare(tmp_path, ["vae"], "float16")
    prepare(tmp_path, ["vae", "stable_diffusion"], "float16")
    assert len(vae_calls) == 1
    manifest = read_manifest(tmp_path)
    assert set(manifest) - set(before) == {
        "celeba-vae/config.json",
        "celeba-vae/model.safetensors",
        "celeba-vae/source.json",
    }
    assert (tmp_path / "celeba-vae" / "model.safetensors").stat().st_mode & 0o444 == 0o444
    assert check(tmp_path, None) == 0
    (tmp_path / "celeba-vae" / "config.json").write_text("{}")
    assert check(tmp_path, "vae") == 1
    assert check(tmp_path, "stable_diffusion") == 0
    prepare(tmp_path, ["vae"], "float16")
    assert len(vae_calls) == 2
    assert check(tmp_path, None) == 0


def test_what_somebody_put_beside_the_weights_is_never_entered_into_the_manifest(
    hub: Hub, tmp_path: Path, vae_calls: list[Path], tmp_path_factory: pytest.TempPathFactory
) -> None:
    assert _prepare(hub, tmp_path).returncode == 0
    prepare(tmp_path, ["vae"], "float16")
    names, elsewhere = _names(tmp_path), tmp_path_factory.mktemp("elsewhere")
    for folder in (tmp_path / FOLDER, tmp_path / "celeba-vae"):
        (folder / ".converting-x").mkdir()  # of a preparation that was killed
        (folder / ".converting-x" / "model.safetensors").write_text("?")
        (folder / "stray.json").write_text("?")
        (folder / "linked").symlink_to(elsewhere)
        os.mkfifo(folder / "pipe")
    assert check(tmp_path, None) == 1
    assert _prepare(hub, tmp_path).returncode == 0
    prepare(tmp_path, ["vae"], "float16")
    assert _names(tmp_path) == names
    assert check(tmp_path, None) == 0


def test_a_preparation_that_fails_leaves_what_was_there(
    tmp_path: Path, vae_calls: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare(tmp_path, ["vae"], "float16")

    def fail(*arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(weights, "_fetch", fail)
    with pytest.raises(KeyboardInterrupt):
        prepare(tmp_path, ["vae", "stable_diffusion"], "float16")
    assert check(tmp_path, None) == 0


def test_somebody_elses_directory_is_not_replaced(tmp_path: Path, vae_calls: list[Path]) -> None:
    mine = tmp_path / "celeba-vae" / "model.safetensors"
    mine.parent.mkdir()
    mine.write_text("my only copy")
    with pytest.raises(WeightsError, match="was not made by this command: move it away"):
        prepare(tmp_path, ["vae"], "float16")
    assert mine.read_text() == "my only copy"
    assert vae_calls == []


def test_two_preparations_of_one_directory_do_not_meet(
    tmp_path: Path, vae_calls: list[Path]
) -> None:
    with (tmp_path / ".preparing").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(WeightsError, match="another process prepares"):
            prepare(tmp_path, ["vae"], "float16")
    prepare(tmp_path, ["vae"], "float16")
    assert len(vae_calls) == 1


def test_a_full_disk_is_said_before_anything_is_fetched(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub.hf_api import RepoSibling

    from models.stable_diffusion import published

    def tiny(path: Path) -> shutil._ntuple_diskusage:
        return shutil._ntuple_diskusage(10**9, 10**9, 10**9)

    names = [*SETTINGS, *HALF]
    files = [RepoSibling(name, size=10**9, blob_id="0" * 40) for name in names]
    monkeypatch.setattr(published, "list_repository", lambda *_: files)
    monkeypatch.setattr(published.shutil, "disk_usage", tiny)
    monkeypatch.setattr(published, "fetch", lambda *_: pytest.fail("it was fetched"))
    with pytest.raises(WeightsError, match=r"1\.0 GB free and the weights need 15\.0 GB more"):
        published.prepare_published(tmp_path / "draft")
