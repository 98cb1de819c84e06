"""The manifest of a directory of prepared weights: what it holds, and whether that is still whole.

`make weights` writes one directory with a folder for each model and `manifest.json`, the size and
sha256 of every file. A replica checks the files of its own model before it loads them, so that a
copy that broke off or a file that somebody exchanged is a sentence and not a strange picture. It
finds damage and mistakes; whoever may write there may write the manifest as well.
"""

import hashlib
import json
import logging
import os
import re
import stat
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath

from models.roles import FACTS, ROLES, Role

MANIFEST_FILE = "manifest.json"
SOURCE_FILE = "source.json"
FORMAT = 1
LOGGER = logging.getLogger(__name__)

OnBytes = Callable[[int], object]
"""Called with the number of bytes that were read since the last call."""

_BLOCK_BYTES = 4 * 1024**2
_SHA256 = re.compile("[0-9a-f]{64}")
# What a loader may pick up by itself: such a file changes the model without being asked for.
_LOADED = re.compile(
    r"\.(safetensors|bin|ckpt|pt|pth|pkl|h5|msgpack|onnx|json|txt|model|py)", re.IGNORECASE
)
_AGAIN = "prepare the directory again with `make weights`, or copy it again"


class WeightsError(RuntimeError):
    """Weights are missing, changed or cannot be fetched; the sentence says what to do."""


@dataclass(frozen=True)
class FileFacts:
    """What the manifest says of one file.

    Attributes:
        sha256: of its bytes, 64 hexadecimal digits.
        size_bytes: of the file.
    """

    sha256: str
    size_bytes: int


def ignore_bytes(count: int) -> None:
    """Do nothing: the progress callback of a caller who shows none."""


def sha256_of(file: Path, on_bytes: OnBytes = ignore_bytes) -> str:
    """Return the hexadecimal sha256 of a file, read block by block."""
    digest = hashlib.sha256()
    with file.open("rb") as opened:
        while block := opened.read(_BLOCK_BYTES):
            digest.update(block)
            on_bytes(len(block))
    return digest.hexdigest()


def paths_under(directory: Path) -> list[Path]:
    """List in order what lies below a directory, hidden things too, and follow no link there.

    The directory itself may be a link. Directories below it are not listed, links to some are.

    Raises:
        WeightsError: a directory cannot be read, so that nobody knows what lies there.
    """

    def fail(error: OSError) -> None:
        raise WeightsError(f"{error.filename} cannot be read ({error.strerror}): mend its rights")

    found = []
    for above, directories, files in os.walk(directory, onerror=fail):
        links = [name for name in directories if Path(above, name).is_symlink()]
        found += [Path(above, name) for name in (*files, *links)]
    return sorted(found)


def files_under(directory: Path) -> list[Path]:
    """List the files of a directory in order of their names; links are none."""
    return [path for path in paths_under(directory) if _is_regular(path)]


def remove_others(directory: Path, names: Collection[str]) -> None:
    """Remove what lies below a directory and is no file of these names; directories stay."""
    for path in paths_under(directory):
        if not _is_regular(path) or path.relative_to(directory).as_posix() not in names:
            path.unlink()


def _is_regular(path: Path) -> bool:
    return stat.S_ISREG(path.lstat().st_mode)


def measure(
    weights_dir: Path, role: Role, on_bytes: OnBytes = ignore_bytes
) -> dict[str, FileFacts]:
    """Return the facts of a model's files by their path under `weights_dir`."""
    return {
        path.relative_to(weights_dir).as_posix(): FileFacts(
            sha256_of(path, on_bytes), path.stat().st_size
        )
        for path in files_under(weights_dir / FACTS[role].weights_folder)
    }


def write_manifest(weights_dir: Path, files: Mapping[str, FileFacts]) -> None:
    """Write the manifest in one step: a reader sees the old one or the new one, never half."""
    entries = {name: asdict(facts) for name, facts in sorted(files.items())}
    partial = weights_dir / f".{MANIFEST_FILE}.partial"
    with partial.open("w") as opened:
        opened.write(json.dumps({"format": FORMAT, "files": entries}, indent=2) + "\n")
        opened.flush()
        os.fsync(opened.fileno())
    partial.rename(weights_dir / MANIFEST_FILE)


def read_manifest(weights_dir: Path) -> dict[str, FileFacts]:
    """Read the facts of all files, by their path under `weights_dir`.

    Raises:
        WeightsError: there is no directory, no manifest, or it is not one of ours.
    """
    if not weights_dir.is_dir():
        raise WeightsError(
            f"there is no directory {weights_dir.absolute()}: prepare it with `make weights`, or "
            "copy one that was prepared elsewhere"
        )
    file = weights_dir / MANIFEST_FILE
    if not file.is_file():
        raise WeightsError(
            f"{weights_dir.absolute()} has no {MANIFEST_FILE}, so its preparation was not "
            "finished: run `make weights` again, or copy the whole directory"
        )
    try:
        content = json.loads(file.read_text())
        if content["format"] != FORMAT:
            raise ValueError(f"its format is {content['format']!r}, not {FORMAT}")
        files = {name: _facts(name, entry) for name, entry in content["files"].items()}
        if len({name.casefold() for name in files}) < len(files):
            raise ValueError("two names differ in case alone, and some disks hold one of them")
        return files
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise WeightsError(f"{file.absolute()} is no manifest ({error}): {_AGAIN}") from error


def _facts(name: str, entry: Mapping[str, object]) -> FileFacts:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts:
        raise ValueError(f"{name!r} leads out of the directory")
    if str(path) != name or not name.isprintable() or "\\" in name:
        raise ValueError(f"{name!r} is no plain name of a file")
    sha256, size_bytes = entry["sha256"], entry["size_bytes"]
    if not isinstance(sha256, str) or not _SHA256.fullmatch(sha256):
        raise ValueError(f"the sha256 of {name!r} is {sha256!r}")
    if not isinstance(size_bytes, int):
        raise ValueError(f"the size of {name!r} is {size_bytes!r}")
    return FileFacts(sha256, size_bytes)


def damages(
    weights_dir: Path, role: Role | None = None, on_bytes: OnBytes = ignore_bytes
) -> Iterator[str]:
    """Yield a sentence for each thing wrong with a model's files, or with all; quick ones first.

    Raises:
        WeightsError: there is no manifest to compare with, or it knows nothing of the model.
    """
    files = _entries(weights_dir, role)
    whole: list[str] = []
    for name, facts in files.items():
        if (sentence := _wrong_size(weights_dir / name, name, facts)) is None:
            whole.append(name)
        else:
            yield sentence
    yield from _extras(weights_dir, role, files)
    for name in whole:
        actual = sha256_of(weights_dir / name, on_bytes)
        if actual != files[name].sha256:
            yield (
                f"{name} was changed: its sha256 is {actual[:12]}..., {MANIFEST_FILE} says "
                f"{files[name].sha256[:12]}...; {_AGAIN}"
            )


def _entries(weights_dir: Path, role: Role | None) -> dict[str, FileFacts]:
    files = read_manifest(weights_dir)
    if role is None:
        return files
    folder = FACTS[role].weights_folder
    own = {name: facts for name, facts in files.items() if name.startswith(f"{folder}/")}
    if not own:
        raise WeightsError(
            f"{(weights_dir / MANIFEST_FILE).absolute()} knows no {folder}: run `make weights` "
            "for this model as well"
        )
    return own


def _wrong_size(path: Path, name: str, facts: FileFacts) -> str | None:
    if not path.is_file():  # what stands there instead is named with the extras
        return f"{name} is missing: {_AGAIN}"
    size = path.stat().st_size
    if size != facts.size_bytes:
        return f"{name} has {size} bytes, {MANIFEST_FILE} says {facts.size_bytes}: {_AGAIN}"
    return None


def _extras(weights_dir: Path, role: Role | None, files: Mapping[str, FileFacts]) -> Iterator[str]:
    for path in _looked_at(weights_dir, role):
        name = path.relative_to(weights_dir).as_posix()
        if path.is_symlink():
            yield (
                f"{name} is a link, and what it leads to is not checked: put that in its place, "
                f"or {_AGAIN}"
            )
        elif not _is_regular(path):
            yield f"{name} is neither a file nor a directory: remove it"
        elif name not in files and _LOADED.fullmatch(path.suffix):
            yield (
                f"{name} is not in {MANIFEST_FILE}, and a loader might read it: remove it, or "
                f"{_AGAIN}"
            )


def _looked_at(weights_dir: Path, role: Role | None) -> Iterator[Path]:
    """Yield all in the folders of one model or of both, and for both what lies beside them.

    Beside them `make weights` keeps hidden things of its own, which no loader reads; the folders
    themselves may be links, as where they lie on another disk.
    """
    for one in ROLES if role is None else (role,):
        folder = weights_dir / FACTS[one].weights_folder
        yield from paths_under(folder) if folder.is_dir() else ()
    if role is None:
        beside = (path for path in sorted(weights_dir.iterdir()) if not path.is_dir())
        yield from (path for path in beside if path.name[0] != "." and path.name != MANIFEST_FILE)


def checked_directory(weights_dir: str | Path, role: Role) -> Path:
    """Return the directory of one model's prepared weights once its files are known to be whole.

    Takes the time of reading them: 2.7 GB are a few seconds from a page cache.

    Raises:
        WeightsError: a file is missing, has changed, or is one too many; the first such.
    """
    root = Path(weights_dir).expanduser()
    started = time.perf_counter()
    read_bytes = 0

    def count(block_bytes: int) -> None:
        nonlocal read_bytes
        read_bytes += block_bytes

    for sentence in damages(root, role, count):
        raise WeightsError(f"{root.absolute()}: {sentence}")
    directory = root / FACTS[role].weights_folder
    LOGGER.info(
        "checked %.2f GB of weights in %s against %s in %.1f s",
        read_bytes / 1e9,
        directory,
        MANIFEST_FILE,
        time.perf_counter() - started,
    )
    return directory
