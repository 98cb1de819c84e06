"""From the published file, over HTTP, to a directory that is served."""

import json
import os
from pathlib import Path

import pytest
import torch

from models import downloads
from models.celeba_vae import published as source
from models.celeba_vae.checkpoint import load_vae, save_network
from models.celeba_vae.network import CelebAVAE
from models.celeba_vae.pickled import CheckpointError
from models.celeba_vae.published import prepare_published
from models.downloads import DownloadError, GitBlob
from tests.unit.celeba_vae.conftest import SMALL, Published
from tests.unit.celeba_vae.file_server import FileServer, Reply, serving

pytestmark = pytest.mark.heavy

READY = ["config.json", "model.safetensors", "source.json"]


@pytest.fixture(autouse=True)
def _quick_and_direct(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(downloads, "WAITS_S", (0.0,) * (downloads.TRIES - 1))
    monkeypatch.setenv("NO_PROXY", "*")


@pytest.fixture
def blob(published: Published, monkeypatch: pytest.MonkeyPatch) -> GitBlob:
    """Let the stand-in be the published file."""
    blob = GitBlob.of(published.file)
    monkeypatch.setattr(source, "PUBLISHED_BLOB", blob)
    monkeypatch.setattr(source, "PUBLISHED_REVISION", f"git:{blob.sha1}")
    return blob


def _from(files: FileServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "PUBLISHED_URL", files.url)


def _names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def test_what_is_fetched_is_pinned() -> None:
    assert source.PUBLISHED_URL == (
        "https://raw.githubusercontent.com/moshesipper/vae-torch-celeba/"
        "2323bec1d93cc0cb5076357f487c65997b5f241b/vae_model_20.pth"
    )
    assert source.PUBLISHED_BLOB.sha1 == "f4bea6ff9fd99617d07d5eda0f8d1c40ca6168cf"
    assert source.PUBLISHED_REVISION == "git:f4bea6ff9fd99617d07d5eda0f8d1c40ca6168cf"
    assert source.PUBLISHED_ID == "celeba-vae"
    assert source.PUBLISHED_LIMIT_BYTES > 1.5 * 4 * 8_077_155


@torch.inference_mode()
def test_the_published_file_becomes_a_directory_that_is_served(
    published: Published, blob: GitBlob, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = published.file.read_bytes()
    directory = tmp_path / "weights" / "celeba-vae"
    with serving(content, Reply(drop_after=len(content) // 2)) as files:
        _from(files, monkeypatch)
        assert prepare_published(directory) == directory
        assert files.ranges == [None, f"bytes={len(content) // 2}-"]
        assert _names(directory) == READY
        assert prepare_published(directory) == directory
        assert len(files.ranges) == 2, "what is there and sound was fetched again"
    sampler = load_vae(str(directory))
    assert sampler.info.revision == f"git:{blob.sha1}"
    assert sampler.info.id == source.PUBLISHED_ID
    assert sampler.info.licence == source.PUBLISHED_LICENCE
    latents = torch.randn(1, 128)
    ours, theirs = sampler._network.decode(latents), published.model.decode(latents)
    assert torch.equal(ours, theirs)
    said = json.loads((directory / "source.json").read_text())
    assert said["url"] == files.url
    assert said["licence"] == source.PUBLISHED_LICENCE


@pytest.mark.usefixtures("blob", "offline")
def test_a_file_that_was_brought_by_hand_needs_no_network(
    published: Published, tmp_path: Path
) -> None:
    (tmp_path / source.PUBLISHED_FILE).write_bytes(published.file.read_bytes())
    prepare_published(tmp_path, keep_download=True)
    assert _names(tmp_path) == [*READY, source.PUBLISHED_FILE]
    for name in READY:
        (tmp_path / name).unlink()
    prepare_published(tmp_path)
    assert _names(tmp_path) == READY


@pytest.mark.usefixtures("blob")
@pytest.mark.parametrize("damage", ["weights", "config", "no source", "no weights"])
def test_what_is_not_sound_is_made_again(
    damage: str, published: Published, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / source.PUBLISHED_FILE).write_bytes(published.file.read_bytes())
    prepare_published(tmp_path, keep_download=True)
    whole = {name: (tmp_path / name).read_bytes() for name in READY}
    spoilt = whole["model.safetensors"][:-1] + b"\x7f"
    if damage == "weights":
        (tmp_path / "model.safetensors").write_bytes(spoilt)
    elif damage == "config":
        (tmp_path / "config.json").write_text("{")
    elif damage == "no weights":
        (tmp_path / "model.safetensors").unlink()
    else:
        (tmp_path / "model.safetensors").unlink()
        (tmp_path / "source.json").unlink()
    prepare_published(tmp_path)
    assert {name: (tmp_path / name).read_bytes() for name in READY} == whole


def test_other_weights_are_not_written_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_network(CelebAVAE(SMALL), tmp_path)
    before = (tmp_path / "model.safetensors").read_bytes()
    with serving(b"") as files:
        _from(files, monkeypatch)
        with pytest.raises(FileExistsError, match="not the published ones: give another"):
            prepare_published(tmp_path)
    assert files.ranges == []
    assert (tmp_path / "model.safetensors").read_bytes() == before


def _one_byte_changed(content: bytes) -> bytes:
    return content[:-1000] + bytes([content[-1000] ^ 1]) + content[-999:]


WRONG = {
    "one byte changed": _one_byte_changed,
    "cut short": lambda content: content[:-1],
    "a web page": lambda content: b"<!DOCTYPE html><title>Rate limit exceeded</title>",
    "empty": lambda content: b"",
}


@pytest.mark.usefixtures("blob")
@pytest.mark.parametrize("wrong", WRONG)
def test_anything_else_is_thrown_away_unopened(
    wrong: str, published: Published, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source, "read_network", lambda file: pytest.fail("it was opened"))
    with serving(WRONG[wrong](published.file.read_bytes())) as files:
        _from(files, monkeypatch)
        with pytest.raises(DownloadError, match=r"is git blob .*, not git blob .* thrown away"):
            prepare_published(tmp_path)
    assert _names(tmp_path) == []


def test_a_hostile_file_of_the_right_identity_runs_nothing_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    marker, hostile = tmp_path / "ran", tmp_path / "hostile.pth"

    class Command:
        def __reduce__(self) -> object:
            return os.system, (f"touch {marker}",)

    torch.save(Command(), hostile)
    monkeypatch.setattr(source, "PUBLISHED_BLOB", GitBlob.of(hostile))
    with serving(hostile.read_bytes()) as files:
        _from(files, monkeypatch)
        with pytest.raises(CheckpointError, match=r"asks for posix\.system"):
            prepare_published(tmp_path / "weights")
    assert not marker.exists()
    assert not set(_names(tmp_path / "weights")) & set(READY)


@pytest.mark.usefixtures("blob")
def test_a_crash_while_writing_leaves_nothing_that_loads(
    published: Published, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / source.PUBLISHED_FILE).write_bytes(published.file.read_bytes())

    def crash(network: CelebAVAE, directory: Path) -> None:
        save_network(network, directory)
        with (directory / "model.safetensors").open("r+b") as file:
            file.truncate(1000)
        raise KeyboardInterrupt

    monkeypatch.setattr(source, "save_network", crash)
    with pytest.raises(KeyboardInterrupt):
        prepare_published(tmp_path)
    assert _names(tmp_path) == [source.PUBLISHED_FILE]


@pytest.mark.usefixtures("blob")
def test_a_crash_between_the_files_leaves_the_weights_for_last(
    published: Published, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / source.PUBLISHED_FILE).write_bytes(published.file.read_bytes())
    replaced: list[str] = []
    replace = os.replace
    monkeypatch.setattr(
        "os.replace", lambda old, new: (replaced.append(Path(new).name), replace(old, new))
    )
    prepare_published(tmp_path)
    assert replaced[-1] == "model.safetensors"
    assert sorted(replaced) == READY
