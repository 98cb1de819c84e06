"""The published CelebA VAE: where it is, what it must be, how it becomes a directory of ours."""

import json
import os
import tempfile
from pathlib import Path

from models.celeba_vae.checkpoint import (
    CONFIG_FILE,
    LICENCE,
    MODEL_ID,
    WEIGHTS_FILE,
    load_network,
    read_network,
    read_source,
    save_network,
)
from models.celeba_vae.config import CelebAVAEConfig
from models.celeba_vae.network import CelebAVAE
from models.downloads import GitBlob, fetch
from models.weights_manifest import SOURCE_FILE, sha256_of

PUBLISHED_ID = MODEL_ID
PUBLISHED_LICENCE = LICENCE
PUBLISHED_COMMIT = "2323bec1d93cc0cb5076357f487c65997b5f241b"
PUBLISHED_FILE = "vae_model_20.pth"
PUBLISHED_URL = (
    "https://raw.githubusercontent.com/moshesipper/vae-torch-celeba/"
    f"{PUBLISHED_COMMIT}/{PUBLISHED_FILE}"
)
PUBLISHED_BLOB = GitBlob("f4bea6ff9fd99617d07d5eda0f8d1c40ca6168cf")
PUBLISHED_REVISION = f"git:{PUBLISHED_BLOB.sha1}"
PREPARED_FILES = (CONFIG_FILE, SOURCE_FILE, WEIGHTS_FILE)
PUBLISHED_LIMIT_BYTES = 64 * 2**20
"""Twice what 8,077,155 parameters of float32 take."""


def prepare_published(directory: Path, keep_download: bool = False) -> Path:
    """Make `directory` hold the published weights as `load_vae` reads them.

    Fetches the published file (about 32 MB), checks its identity before it is opened, and keeps
    `config.json`, `model.safetensors` and `source.json` of it. Does nothing when they are there
    and sound, and needs no network when `directory` holds the published file itself.

    Args:
        directory: where to; made when it is missing.
        keep_download: leave the published file beside them.

    Returns:
        `directory`.

    Raises:
        DownloadError: the file cannot be fetched, or is not the published one.
        CheckpointError: it is the published one, and this torch cannot read it.
        OSError: `directory` cannot be written.
        FileExistsError: `directory` holds other weights.
    """
    if _is_sound(directory):
        return directory
    _refuse_other_weights(directory)
    download = fetch(
        PUBLISHED_URL, directory / PUBLISHED_FILE, PUBLISHED_BLOB, PUBLISHED_LIMIT_BYTES
    )
    _install(read_network(download), directory)
    if not keep_download:
        download.unlink()
    return directory


def _is_sound(directory: Path) -> bool:
    try:
        source = read_source(directory)  # compares the digest of the weights
        fits = load_network(directory).config == CelebAVAEConfig()
    except (FileNotFoundError, ValueError):
        return False
    return fits and source is not None and source.revision == PUBLISHED_REVISION


def _refuse_other_weights(directory: Path) -> None:
    """Weights that do not say that they are the published ones may be somebody's only copy."""
    if not (directory / WEIGHTS_FILE).exists():
        return
    try:
        ours = json.loads((directory / SOURCE_FILE).read_text())["revision"] == PUBLISHED_REVISION
    except (OSError, ValueError, KeyError, TypeError):
        ours = False
    if not ours:
        raise FileExistsError(
            f"{directory} holds weights that are not the published ones: give another directory, "
            "or move them away"
        )


def _install(network: CelebAVAE, directory: Path) -> None:
    """Write beside, then rename; the weights last, without which nothing is loaded."""
    with tempfile.TemporaryDirectory(dir=directory, prefix=".converting-") as scratch:
        made = Path(scratch)
        save_network(network, made)
        source = {
            "id": PUBLISHED_ID,
            "revision": PUBLISHED_REVISION,
            "url": PUBLISHED_URL,
            "licence": PUBLISHED_LICENCE,
            "sha256": sha256_of(made / WEIGHTS_FILE),
        }
        (made / SOURCE_FILE).write_text(json.dumps(source, indent=2) + "\n")
        for name in PREPARED_FILES:
            os.replace(made / name, directory / name)
