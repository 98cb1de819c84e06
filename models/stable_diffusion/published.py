"""Fetches Stable Diffusion from the hub: the few files that are needed, in bounded time.

A repository on the hub holds the same weights many times over (pickles, checkpoints, other
frameworks, both precisions): Stable Diffusion v1.5 is over 40 GB there, of which 2.7 GB in half
precision or 5.5 GB in full are read.
"""

import json
import logging
import re
import shutil
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Thread
from typing import TypeVar

from huggingface_hub import HfApi, get_token, hf_hub_url, snapshot_download, try_to_load_from_cache
from huggingface_hub.errors import (
    HFValidationError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.hf_api import RepoSibling

from models.downloads import GitBlob, Identity, Sha256, fetch
from models.stable_diffusion.config import (
    ALL_PARTS,
    CORE_PARTS,
    INDEX_FILE,
    PUBLISHED_ID,
    PUBLISHED_REVISION,
    Precision,
    missing_in,
    missing_parts,
    needed,
)
from models.weights_manifest import SOURCE_FILE, WeightsError, remove_others

REACH_DEADLINE_S = 10.0
PARTIAL = ".partial"
LOGGER = logging.getLogger(__name__)

_COMMIT = re.compile("[0-9a-f]{40}")
_ELSEWHERE = (
    "prepare the weights on a machine with internet (`make weights`), copy the directory here and "
    "name it as `weights_dir`"
)
Answer = TypeVar("Answer")


def list_repository(repository: str, revision: str | None) -> list[RepoSibling]:
    """Ask the hub for a repository's files; returns or fails within `REACH_DEADLINE_S`.

    Raises:
        WeightsError: the hub knows no such repository or revision.
        ConnectionError: the hub cannot be reached.
    """
    api = HfApi()

    def ask() -> list[RepoSibling]:
        told = api.model_info(
            repository, revision=revision, timeout=REACH_DEADLINE_S, files_metadata=True
        )
        return told.siblings or []

    try:
        return _within(REACH_DEADLINE_S, ask)
    except (RepositoryNotFoundError, RevisionNotFoundError, HFValidationError) as error:
        raise WeightsError(
            f"{api.endpoint} knows no repository {repository!r} at revision {revision!r}, or does "
            "not show it to you: name another, or a directory in diffusers' layout"
        ) from error
    except Exception as error:  # whatever a network does
        raise ConnectionError(
            f"{api.endpoint} cannot be reached ({_one_line(error)}): {_ELSEWHERE}"
        ) from error


def fetch_snapshot(repository: str, revision: str | None, precision: Precision) -> Path:
    """Return a directory with a repository's checkpoint, from the hub's cache where it is there.

    A commit that was fetched before needs no network at all.

    Raises:
        WeightsError: there is nothing in the cache and nothing can be fetched; within 20 s where
            the network is away.
    """
    cached = _cached(repository, revision)
    if cached is not None and revision is not None and _COMMIT.fullmatch(revision):
        return cached
    try:
        files = list_repository(repository, revision)
    except ConnectionError as error:
        if cached is None:
            raise WeightsError(f"{repository} is not on this machine and {error}") from error
        LOGGER.warning("%s; using what was fetched before", error)
        return cached
    names = _needed_of(repository, files, precision, CORE_PARTS)
    try:
        return Path(snapshot_download(repository, revision=revision, allow_patterns=names))
    except Exception as error:  # whatever a network does
        raise WeightsError(_broken_off(repository, error)) from error


def prepare_published(directory: Path, precision: Precision = "float16") -> Path:
    """Fetch Stable Diffusion v1.5 at its pinned commit into a directory, each file proven.

    What is there already is kept, and a file that broke off goes on where it did (the hub's own
    client would start it anew). Everything else in the directory is removed.

    Args:
        directory: becomes a checkpoint in diffusers' layout.
        precision: "float16" fetches the files in half precision, others those in full.

    Returns:
        `directory`.

    Raises:
        WeightsError: the hub cannot be reached, or the disk is too full.
        DownloadError: a file cannot be fetched, or is not what the hub's commit says.
    """
    try:
        files = list_repository(PUBLISHED_ID, PUBLISHED_REVISION)
    except ConnectionError as error:
        raise WeightsError(str(error)) from error
    names = _needed_of(PUBLISHED_ID, files, precision, ALL_PARTS)
    wanted = [file for file in files if file.rfilename in names]
    directory.mkdir(parents=True, exist_ok=True)
    # Files in the other precision, for instance, which a loader might prefer.
    remove_others(directory, {*names, *(name + PARTIAL for name in names)})
    _check_disk(directory, wanted)
    # HF_ENDPOINT, HF_TOKEN and a login of the hub's own command are what its client takes them for.
    token = get_token()
    authorization = f"Bearer {token}" if token else None
    for file in wanted:  # one by one: a pool of threads would go on fetching after Ctrl-C
        url = hf_hub_url(PUBLISHED_ID, file.rfilename, revision=PUBLISHED_REVISION)
        target, identity = directory / file.rfilename, _identity_of(file)
        fetch(url, target, identity, _size_of(file), authorization=authorization)
    source = {"repository": PUBLISHED_ID, "revision": PUBLISHED_REVISION, "precision": precision}
    (directory / SOURCE_FILE).write_text(json.dumps(source, indent=2) + "\n")
    return directory


def source_of(directory: Path) -> dict[str, str]:
    """Read where prepared weights came from; empty where nothing says so."""
    file = directory / SOURCE_FILE
    return dict(json.loads(file.read_text())) if file.is_file() else {}


def _identity_of(file: RepoSibling) -> Identity:
    # Large files are stored by their sha256, small ones as git stores them; the commit fixes both.
    return Sha256(file.lfs.sha256) if file.lfs is not None else GitBlob(str(file.blob_id))


def _size_of(file: RepoSibling) -> int:
    return file.lfs.size if file.lfs is not None else file.size or 0


def _cached(repository: str, revision: str | None) -> Path | None:
    try:
        index = try_to_load_from_cache(repository, INDEX_FILE, revision=revision)
    except HFValidationError:
        return None  # said when the hub is asked
    if not isinstance(index, str) or missing_in(Path(index).parent):
        return None
    return Path(index).parent


def _needed_of(
    repository: str, files: Sequence[RepoSibling], precision: Precision, parts: Collection[str]
) -> list[str]:
    names = needed([file.rfilename for file in files], precision)
    if missing := missing_parts(names, parts):
        raise WeightsError(
            f"{repository} has no {', '.join(missing)}: name a repository in diffusers' layout "
            "with safetensors"
        )
    return names


def _broken_off(what: str, error: Exception) -> str:
    return (
        f"fetching {what} broke off ({_one_line(error)}): run it again, it goes on from there; or "
        f"{_ELSEWHERE}"
    )


def _check_disk(directory: Path, files: Sequence[RepoSibling]) -> None:
    needed_bytes = sum(_size_of(file) for file in files)
    present_bytes = sum(path.stat().st_size for path in directory.rglob("*.*") if path.is_file())
    free_bytes = shutil.disk_usage(directory).free
    if free_bytes < needed_bytes - present_bytes:
        raise WeightsError(
            f"{directory} has {free_bytes / 1e9:.1f} GB free and the weights need "
            f"{(needed_bytes - present_bytes) / 1e9:.1f} GB more: make room or choose another "
            "directory"
        )


def _within(seconds: float, call: Callable[[], Answer]) -> Answer:
    # A name server that is away blocks longer than any timeout of a request.
    answers: SimpleQueue[Answer | Exception] = SimpleQueue()

    def run() -> None:
        try:
            answers.put(call())
        except Exception as error:
            answers.put(error)

    Thread(target=run, daemon=True, name="asking the hub").start()
    try:
        answer = answers.get(timeout=seconds)
    except Empty:
        raise TimeoutError(f"no answer within {seconds:g} s") from None
    if isinstance(answer, Exception):
        raise answer
    return answer


def _one_line(error: Exception) -> str:
    text = str(error).strip() or type(error).__name__
    return text.splitlines()[0].rstrip(".:")[:200]
