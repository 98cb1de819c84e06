"""Reads a checkpoint of any kind into checked tensors, without running what it says.

Three kinds: a whole module pickled by `torch.save(model)`, as the published file is; a state dict
saved by `torch.save`; safetensors. They are told apart by what is in them, not by their names.
"""

import zipfile
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.serialization import get_unsafe_globals_in_checkpoint, safe_globals

from models.celeba_vae.config import CelebAVAEConfig
from models.celeba_vae.network import CelebAVAE

ALLOWED_GLOBALS = (
    "vae.VAE",
    "torch.nn.modules.activation.LeakyReLU",
    "torch.nn.modules.activation.Sigmoid",
    "torch.nn.modules.batchnorm.BatchNorm2d",
    "torch.nn.modules.container.Sequential",
    "torch.nn.modules.conv.Conv2d",
    "torch.nn.modules.conv.ConvTranspose2d",
    "torch.nn.modules.linear.Linear",
)
"""All that a pickle may name beyond tensors: the published class and the layers it is made of."""

_FLOATS = frozenset({torch.float16, torch.bfloat16, torch.float32, torch.float64})
_SHOWN_KEYS = 3
_DEPTH = 3


class CheckpointError(ValueError):
    """A file is no checkpoint of this network; the sentence names it and what to do."""


class _Carrier:
    """Stands in for every allowed class: holds the attributes that a pickle sets, does nothing."""


def read_state_dict(file: Path, config: CelebAVAEConfig) -> dict[str, Tensor]:
    """Read the state dict of a network of the shape `config`, on the CPU.

    Args:
        file: the checkpoint.
        config: the widths and sizes that it must fit.

    Returns:
        The keys of `CelebAVAE(config).state_dict()`, with its shapes and dtypes (float32, counters
        int64), contiguous, all values finite. Half and double precision are converted.

    Raises:
        FileNotFoundError: there is no such file.
        CheckpointError: it is damaged, of another kind, asks for code, or does not fit.
    """
    if not file.is_file():
        raise FileNotFoundError(f"{file} is not a file: give the path of a checkpoint")
    with torch.device("meta"):  # shapes and dtypes only: no memory, no random numbers drawn
        expected = CelebAVAE(config).state_dict()
    entries = _read_entries(file)
    _check_keys(file, entries, expected)
    return {key: _checked(file, key, entries[key], meta) for key, meta in expected.items()}


def _read_entries(file: Path) -> Mapping[Any, Any]:
    with file.open("rb") as opened:
        head = opened.read(64)
    if head.startswith(b"PK\x03\x04"):
        return _read_archive(file)
    if head[8:9] == b"{":
        return _read_safetensors(file)
    raise CheckpointError(f"{file} is not a checkpoint: {_look_of(head)}")


def _look_of(head: bytes) -> str:
    if not head:
        return "it is empty; fetch it again"
    if head.lstrip().startswith(b"<"):
        return "it is a web page; look at it, and fetch the file itself"
    if head.startswith(b"\x80"):
        return (
            "it is a bare pickle, as torch wrote before 1.6, whose demands cannot be listed before "
            "it is loaded; save it again with a newer torch, or as safetensors"
        )
    return "it is neither an archive of torch.save nor safetensors; fetch it again"


def _read_safetensors(file: Path) -> Mapping[Any, Any]:
    try:
        return load_file(file)
    except (SafetensorError, OSError, RuntimeError) as error:
        raise CheckpointError(
            f"{file} cannot be read as safetensors ({error}): it is damaged; fetch or copy it again"
        ) from error


def _read_archive(file: Path) -> Mapping[Any, Any]:
    damaged = (
        f"{file} cannot be read as an archive of torch.save: it is damaged, cut short or of "
        "another kind; fetch it again, or save it again as safetensors"
    )
    try:
        _check_sums(file)
        asked = set(get_unsafe_globals_in_checkpoint(str(file)))
    except Exception as error:  # a torn pickle raises whatever its bytes happen to mean
        raise CheckpointError(damaged) from error
    foreign = sorted(asked.difference(ALLOWED_GLOBALS))
    if foreign:
        raise CheckpointError(
            f"{file} asks for {', '.join(foreign)}, which weights do not need and which could run "
            "foreign code: it was not loaded; take the file from its publisher, or a safetensors "
            "copy"
        )
    try:
        # cpu: the published tensors were saved on a GPU that is not here.
        with safe_globals([(_Carrier, name) for name in ALLOWED_GLOBALS]):
            loaded = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:
        raise CheckpointError(damaged) from error
    return _entries_of(file, loaded)


def _check_sums(file: Path) -> None:
    """Compare the archive's checksums, which torch itself does not look at.

    torch.save stores without compression, so a small file that swells is none of its making.
    """
    with zipfile.ZipFile(file) as archive:
        if any(member.compress_type != zipfile.ZIP_STORED for member in archive.infolist()):
            raise zipfile.BadZipFile("compressed")
        torn = archive.testzip()
    if torn is not None:
        raise zipfile.BadZipFile(torn)


def _entries_of(file: Path, loaded: object) -> Mapping[Any, Any]:
    if type(loaded) in (dict, OrderedDict):
        return loaded  # type: ignore[return-value]
    if type(loaded) is not _Carrier:
        raise CheckpointError(
            f"{file} holds a {type(loaded).__name__}: save the model or its state dict"
        )
    entries: dict[str, Any] = {}
    for key, value in _walk(file, loaded, "", set()):
        if key in entries:
            raise CheckpointError(f"{file} names {key} twice: save the model's state dict")
        entries[key] = value
    return entries


def _walk(file: Path, module: object, prefix: str, seen: set[int]) -> Iterator[tuple[str, Any]]:
    """Read what `nn.Module.state_dict` would, from the attributes alone: no method is called."""
    # A module inside itself would have no end, a thousand inside each other exhaust the stack.
    if type(module) is not _Carrier or id(module) in seen or prefix.count(".") > _DEPTH:
        raise _misfit(file, f"{prefix[:80]} is no module of its own, or too deep inside others")
    seen.add(id(module))
    attributes = vars(module)
    for name in ("_parameters", "_buffers"):
        for key, value in _items(attributes.get(name)):
            if value is not None:
                yield f"{prefix}{key}", value
    for key, child in _items(attributes.get("_modules")):
        if child is not None:
            yield from _walk(file, child, f"{prefix}{key}.", seen)


def _items(mapping: object) -> list[tuple[Any, Any]]:
    return list(mapping.items()) if type(mapping) in (dict, OrderedDict) else []  # type: ignore


def _check_keys(file: Path, entries: Mapping[Any, Any], expected: Mapping[str, Tensor]) -> None:
    missing = [key for key in expected if key not in entries]
    extra = [key for key in entries if key not in expected]
    if missing or extra:
        found = [f"it lacks {_some(missing)}"] if missing else []
        found += [f"it has {_some(extra)} too many"] if extra else []
        raise _misfit(file, " and ".join(found))


def _some(keys: list[Any]) -> str:
    shown = ", ".join(str(key)[:80] for key in keys[:_SHOWN_KEYS])
    more = len(keys) - _SHOWN_KEYS
    return f"{shown} and {more} more" if more > 0 else shown


def _checked(file: Path, key: str, value: object, expected: Tensor) -> Tensor:
    if type(value) not in (Tensor, nn.Parameter):
        raise _misfit(file, f"{key} is a {type(value).__name__}, not a tensor")
    # Through the class: a pickle can hang attributes on a tensor, named like its methods.
    plain = Tensor.detach(value)  # type: ignore[arg-type]
    if plain.layout is not torch.strided or plain.device.type != "cpu":
        raise _misfit(file, f"{key} is a {plain.layout} tensor on {plain.device}, without values")
    wanted = _FLOATS if expected.is_floating_point() else {expected.dtype}
    if plain.dtype not in wanted:
        names = " or ".join(sorted(str(dtype) for dtype in wanted))
        raise _misfit(file, f"{key} is {plain.dtype} in place of {names}")
    if plain.shape != expected.shape:
        raise _misfit(file, f"{key} is {tuple(plain.shape)} in place of {tuple(expected.shape)}")
    tensor = plain.to(expected.dtype, copy=True, memory_format=torch.contiguous_format)
    if not torch.isfinite(tensor).all():
        raise CheckpointError(
            f"{file} has values in {key} that are infinite or not a number: take a copy of an "
            "epoch before the training failed"
        )
    return tensor


def _misfit(file: Path, found: str) -> CheckpointError:
    return CheckpointError(
        f"{file} does not fit the network: {found}; it must have the shape of the config.json "
        "beside it, or the published shape where a file alone is given"
    )
