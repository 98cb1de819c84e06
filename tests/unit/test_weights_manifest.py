"""Every kind of damage to prepared weights is named, with what to do."""

import json
import logging
import os
from pathlib import Path

import pytest

from models import weights_manifest
from models.weights_manifest import (
    MANIFEST_FILE,
    FileFacts,
    WeightsError,
    checked_directory,
    damages,
    measure,
    read_manifest,
    write_manifest,
)

UNET = "stable-diffusion-v1-5/unet/model.safetensors"
VAE = "celeba-vae/model.safetensors"


@pytest.fixture
def prepared(tmp_path: Path) -> Path:
    for name in (UNET, "stable-diffusion-v1-5/model_index.json", VAE, "celeba-vae/config.json"):
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"what {name} holds")
    measured = {**measure(tmp_path, "vae"), **measure(tmp_path, "stable_diffusion")}
    write_manifest(tmp_path, measured)
    return tmp_path


def test_a_whole_directory_is_whole_and_the_log_says_how_long_it_took(
    prepared: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, logger="models.weights_manifest"):
        assert checked_directory(str(prepared), "vae") == prepared / "celeba-vae"
    (record,) = caplog.records
    assert "checked 0.00 GB of weights" in record.getMessage()
    assert record.getMessage().endswith(" s")
    assert list(damages(prepared)) == []
    assert len(read_manifest(prepared)) == 4


def test_a_missing_file_is_named(prepared: Path) -> None:
    (prepared / UNET).unlink()
    with pytest.raises(WeightsError, match=f"{UNET} is missing: prepare .* `make weights`"):
        checked_directory(prepared, "stable_diffusion")


def test_a_file_that_was_cut_is_found_by_its_size_before_anything_is_hashed(
    prepared: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    size = (prepared / UNET).stat().st_size
    (prepared / UNET).write_text("short")
    monkeypatch.setattr(weights_manifest, "sha256_of", lambda *_: pytest.fail("it was hashed"))
    with pytest.raises(WeightsError, match=f"{UNET} has 5 bytes, {MANIFEST_FILE} says {size}"):
        checked_directory(prepared, "stable_diffusion")


def test_a_changed_file_of_the_same_size_is_named(prepared: Path) -> None:
    content = (prepared / UNET).read_bytes()
    (prepared / UNET).write_bytes(content[:-1] + b"X")
    with pytest.raises(WeightsError, match=f"{UNET} was changed: its sha256 is"):
        checked_directory(prepared, "stable_diffusion")


@pytest.mark.parametrize(
    "extra",
    [
        "unet/model.fp16.safetensors",
        "unet/pytorch_model.BIN",
        "vae/config.json",
        "unet/.model.safetensors",
        ".cache/old.safetensors",
        "unet/CONFIG.JSON",
        "UNET/model.safetensors",
    ],
)
def test_a_file_that_a_loader_might_read_is_named(extra: str, prepared: Path) -> None:
    file = prepared / "stable-diffusion-v1-5" / extra
    file.parent.mkdir(exist_ok=True)
    file.write_text("stowaway")
    with pytest.raises(WeightsError, match=f"{extra} is not in {MANIFEST_FILE}.*remove it"):
        checked_directory(prepared, "stable_diffusion")


def test_what_no_loader_reads_may_stay(prepared: Path) -> None:
    (prepared / "stable-diffusion-v1-5" / "README.md").write_text("notes")
    leftovers = prepared / "stable-diffusion-v1-5" / ".cache" / "huggingface" / "download"
    leftovers.mkdir(parents=True)  # of the hub's own command, and of a fetch that broke off
    for name in ("config.json.metadata", "config.json.lock", "model.safetensors.partial"):
        (leftovers / name).write_text("?")
    # Beside the models `make weights` keeps what it is about to do.
    for name in (".preparing", ".celeba-vae.part/model.safetensors", ".manifest.json.partial"):
        (prepared / name).parent.mkdir(exist_ok=True)
        (prepared / name).write_text("?")
    assert list(damages(prepared)) == []


def test_links_below_a_model_are_named(
    prepared: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    folder = prepared / "stable-diffusion-v1-5"
    (elsewhere / "model.safetensors").write_bytes((prepared / UNET).read_bytes())
    (elsewhere / "stowaway.safetensors").write_text("?")
    (prepared / UNET).unlink()
    (folder / "unet").rmdir()
    (folder / "unet").symlink_to(elsewhere)  # all that the manifest names is there, and more
    with pytest.raises(WeightsError, match="stable-diffusion-v1-5/unet is a link"):
        checked_directory(prepared, "stable_diffusion")
    (folder / "unet").unlink()
    (folder / "unet").mkdir()
    (prepared / UNET).symlink_to(elsewhere / "model.safetensors")
    (folder / "notes.md").symlink_to("nowhere")
    told = list(damages(prepared))
    assert [one.split()[0] for one in told] == ["stable-diffusion-v1-5/notes.md", UNET]
    assert all("is a link" in one for one in told)


def test_what_is_neither_a_file_nor_a_directory_is_named_and_not_opened(prepared: Path) -> None:
    os.mkfifo(prepared / "stable-diffusion-v1-5" / "unet" / "notes")
    with pytest.raises(WeightsError, match="unet/notes is neither a file nor a directory: remove"):
        checked_directory(prepared, "stable_diffusion")


def test_the_directory_and_a_models_folder_may_be_links(
    prepared: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    links = tmp_path_factory.mktemp("links")
    (links / "weights").symlink_to(prepared)
    other_disk = links / "celeba-vae"
    (prepared / "celeba-vae").rename(other_disk)
    (prepared / "celeba-vae").symlink_to(other_disk)
    assert checked_directory(links / "weights", "vae") == links / "weights" / "celeba-vae"
    assert list(damages(links / "weights")) == []
    (other_disk / ".x.pkl").write_text("?")
    assert len(list(damages(links / "weights"))) == 1


def test_a_replica_checks_its_own_model_alone(prepared: Path) -> None:
    (prepared / UNET).unlink()
    assert checked_directory(prepared, "vae") == prepared / "celeba-vae"
    assert [one.split()[0] for one in damages(prepared)] == [UNET]


def test_all_damages_are_told_not_only_the_first(prepared: Path) -> None:
    (prepared / UNET).unlink()
    (prepared / VAE).write_text("short")
    (prepared / "stray.ckpt").write_text("?")
    told = [one.split()[0] for one in damages(prepared)]
    assert sorted(told) == sorted([UNET, VAE, "stray.ckpt"])


def test_a_directory_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"no directory .*/nowhere: prepare it with"):
        checked_directory(tmp_path / "nowhere", "vae")


def test_an_unfinished_preparation_is_named(prepared: Path) -> None:
    (prepared / MANIFEST_FILE).unlink()
    with pytest.raises(WeightsError, match=r"has no manifest.json.*run `make weights` again"):
        checked_directory(prepared, "vae")


def test_a_model_that_was_not_prepared_is_named(prepared: Path) -> None:
    write_manifest(prepared, measure(prepared, "vae"))
    with pytest.raises(WeightsError, match="knows no stable-diffusion-v1-5: run `make weights`"):
        checked_directory(prepared, "stable_diffusion")


@pytest.mark.parametrize(
    "content",
    [
        "{",
        "[]",
        "{}",
        '{"format": 2, "files": {}}',
        '{"format": 1, "files": []}',
        '{"format": 1, "files": {"a": {"sha256": "12", "size_bytes": 1}}}',
        json.dumps({"format": 1, "files": {"a": {"sha256": "0" * 64, "size_bytes": "1"}}}),
        json.dumps({"format": 1, "files": {"../a": {"sha256": "0" * 64, "size_bytes": 1}}}),
        *(
            json.dumps(
                {"format": 1, "files": {n: {"sha256": "0" * 64, "size_bytes": 1} for n in names}}
            )
            for names in (
                ["/etc/a"],
                ["vae/../../a"],
                ["./a"],
                ["a//b"],
                [""],
                ["a\nb"],
                ["a\\..\\b"],
                ["unet/model.json", "unet/Model.json"],
            )
        ),
    ],
)
def test_what_is_no_manifest_is_refused(content: str, prepared: Path) -> None:
    (prepared / MANIFEST_FILE).write_text(content)
    with pytest.raises(WeightsError, match=r"manifest.json is no manifest \(.*make weights"):
        read_manifest(prepared)


def test_a_manifest_is_replaced_in_one_step(
    prepared: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = read_manifest(prepared)

    def break_off(file: int) -> None:
        raise OSError("the disk is gone")

    monkeypatch.setattr(weights_manifest.os, "fsync", break_off)
    with pytest.raises(OSError, match="the disk is gone"):
        write_manifest(prepared, {"a": FileFacts("0" * 64, 1)})
    assert read_manifest(prepared) == before
