"""Prepares a directory with the published weights, or checks one: what `make weights` runs."""

import argparse
import fcntl
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from tqdm import tqdm

from models.downloads import DownloadError
from models.roles import FACTS, ROLES, VAE, Role
from models.stable_diffusion.config import PUBLISHED_REVISION
from models.weights_manifest import (
    MANIFEST_FILE,
    SOURCE_FILE,
    FileFacts,
    OnBytes,
    WeightsError,
    damages,
    files_under,
    measure,
    read_manifest,
    remove_others,
    sha256_of,
    write_manifest,
)
from scripts.signals import stop_on_signals

PROFILES = ("published",)
StoredPrecision = Literal["float16", "float32"]
PRECISIONS: tuple[StoredPrecision, ...] = ("float16", "float32")
LOCK_FILE = ".preparing"


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse the command line; prepare or check."""
    options = _parser().parse_args(arguments)
    stop_on_signals()
    roles = ROLES if options.only is None else (options.only,)
    try:
        if options.check is not None:
            return check(options.check.expanduser(), options.only)
        directory = options.dir.expanduser().absolute()
        prepare(directory, roles, options.precision)
    except KeyboardInterrupt:
        sys.stderr.write("\ntwinset: stopped; the same command goes on from here\n")
        return 130
    except (WeightsError, DownloadError, OSError, ValueError) as error:
        sys.stderr.write(f"twinset: {error}\n")
        return 1
    sys.stdout.write(
        f"Prepared in {directory}: {', '.join(FACTS[role].weights_folder for role in roles)}\n"
        f"Serve them with `weights_dir: {directory}` in the options of both models; the directory "
        "can be copied to other machines as it is.\n"
    )
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m scripts.weights", description=__doc__)
    parser.add_argument("--profile", choices=PROFILES, default="published", help="which weights")
    parser.add_argument(
        "--dir", type=Path, default=Path("~/.cache/twinset/weights"), help="where (%(default)s)"
    )
    parser.add_argument("--only", choices=ROLES, help="one of the two models; both by default")
    parser.add_argument(
        "--precision",
        choices=PRECISIONS,
        default="float16",
        help="of Stable Diffusion's files: float16 (2.7 GB) for GPUs, float32 (5.5 GB) for CPUs "
        "(%(default)s)",
    )
    parser.add_argument(
        "--check", type=Path, metavar="DIR", help="prepare nothing, compare DIR with its manifest"
    )
    return parser


def check(weights_dir: Path, role: Role | None) -> int:
    """Compare a directory with its manifest; returns 0 if it is whole, 1 with a line a damage.

    Raises:
        WeightsError: there is no manifest to compare with.
    """
    files = read_manifest(weights_dir)
    with _reading("checking", sum(facts.size_bytes for facts in files.values())) as on_bytes:
        found = list(damages(weights_dir, role, on_bytes))
    for sentence in found:
        sys.stderr.write(f"twinset: {sentence}\n")
    if not found:
        sys.stdout.write(f"{weights_dir} is whole: {len(files)} files as {MANIFEST_FILE} says\n")
    return 1 if found else 0


def prepare(weights_dir: Path, roles: Sequence[Role], precision: StoredPrecision) -> None:
    """Make `weights_dir` hold the given models, whole, with a manifest; what is whole stays.

    A model is fetched into a hidden directory, takes its name when it is complete, and is entered
    into the manifest last: whatever happens in between, a replica refuses what is not whole, and
    the same command goes on from there.

    Raises:
        WeightsError: something cannot be fetched, another process prepares this directory, or it
            holds a model that this command did not make.
        DownloadError: the VAE cannot be fetched.
    """
    weights_dir.mkdir(parents=True, exist_ok=True)
    with _alone(weights_dir):
        for role in roles:
            folder = FACTS[role].weights_folder
            _refuse_foreign(weights_dir / folder)
            whole = _is_whole(weights_dir, role)
            if whole and _is_wanted(weights_dir / folder, role, precision):
                sys.stderr.write(f"{folder}: already there, and whole\n")
                continue
            draft = weights_dir / f".{folder}.part"
            if not whole:
                _save_good_files(weights_dir, role, draft)
            draft.mkdir(exist_ok=True)
            sys.stderr.write(f"{folder}: fetching\n")
            _fetch(role, draft, precision)
            _enter(weights_dir, role, draft)


def _refuse_foreign(directory: Path) -> None:
    # It would be replaced, and may be somebody's only copy.
    if not directory.exists() or (directory / SOURCE_FILE).is_file():
        return
    if any(directory.iterdir()) and directory.name not in _manifest_folders(directory.parent):
        raise WeightsError(
            f"{directory} was not made by this command: move it away, or choose another --dir"
        )


def _manifest_folders(weights_dir: Path) -> set[str]:
    return {name.split("/")[0] for name in _manifest_or_empty(weights_dir)}


def _is_whole(weights_dir: Path, role: Role) -> bool:
    directory = weights_dir / FACTS[role].weights_folder
    if not directory.is_dir():
        return False
    with _reading(f"checking {directory.name}", _bytes_under(directory)) as on_bytes:
        try:
            return next(damages(weights_dir, role, on_bytes), None) is None
        except WeightsError:
            return False


def _is_wanted(directory: Path, role: Role, precision: StoredPrecision) -> bool:
    if role == VAE:
        return True
    from models.stable_diffusion.published import source_of

    source = source_of(directory)
    return (source.get("revision"), source.get("precision")) == (PUBLISHED_REVISION, precision)


def _save_good_files(weights_dir: Path, role: Role, draft: Path) -> None:
    """Move a damaged model's good files to where it is fetched anew."""
    directory = weights_dir / FACTS[role].weights_folder
    if draft.exists() or not directory.is_dir():
        return
    known = _manifest_or_empty(weights_dir)
    for path in files_under(directory):
        facts = known.get(path.relative_to(weights_dir).as_posix())
        # The VAE is small and one conversion: its files are only good together.
        if facts is not None and (role == VAE or sha256_of(path) != facts.sha256):
            path.unlink()
    directory.rename(draft)


def _fetch(role: Role, draft: Path, precision: StoredPrecision) -> None:
    # Imported here: checking a directory needs neither torch nor the hub.
    if role == VAE:
        from models.celeba_vae.published import PREPARED_FILES
        from models.celeba_vae.published import prepare_published as prepare_vae

        prepare_vae(draft)
        remove_others(draft, PREPARED_FILES)  # as the other one does
        return
    from models.stable_diffusion.published import prepare_published

    prepare_published(draft, precision)


def _enter(weights_dir: Path, role: Role, draft: Path) -> None:
    """Give a fetched model its name and enter it into the manifest."""
    for path in files_under(draft):
        path.chmod(path.stat().st_mode | 0o444)  # a replica may be another user
    directory = weights_dir / FACTS[role].weights_folder
    replaced = weights_dir / f".{directory.name}.old"
    shutil.rmtree(replaced, ignore_errors=True)
    if directory.exists():
        directory.rename(replaced)
    draft.rename(directory)
    with _reading(f"hashing {directory.name}", _bytes_under(directory)) as on_bytes:
        measured = measure(weights_dir, role, on_bytes)
    others = {
        name: facts
        for name, facts in _manifest_or_empty(weights_dir).items()
        if not name.startswith(f"{directory.name}/")
    }
    write_manifest(weights_dir, {**others, **measured})
    shutil.rmtree(replaced, ignore_errors=True)


def _manifest_or_empty(weights_dir: Path) -> dict[str, FileFacts]:
    try:
        return read_manifest(weights_dir)
    except WeightsError:
        return {}


def _bytes_under(directory: Path) -> int:
    return sum(path.stat().st_size for path in files_under(directory))


@contextmanager
def _alone(weights_dir: Path) -> Iterator[None]:
    with (weights_dir / LOCK_FILE).open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise WeightsError(
                f"another process prepares {weights_dir}: wait for it, or choose another --dir"
            ) from error
        yield


@contextmanager
def _reading(what: str, total_bytes: int) -> Iterator[OnBytes]:
    with tqdm(
        desc=what, total=total_bytes, unit="B", unit_scale=True, leave=False, delay=0.5
    ) as bar:
        update: Callable[[int], object] = bar.update
        yield update


if __name__ == "__main__":
    sys.exit(main())
