"""UNet and decoder compiled for a few sizes of batches, before a replica is ready."""

import logging
import os
import shutil
import stat
import sys
import sysconfig
import time
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from models.gpu_errors import is_out_of_memory
from models.interfaces import ImageToImageModel
from models.parameters import ImageToImageParameters
from models.roles import FACTS

DEFAULT_CACHE = "~/.cache/twinset/compile"
_LOGGER = logging.getLogger(__name__)


class SizedCall:
    """Calls a module: batches of the compiled sizes compiled, all others as it is.

    Each size is compiled by its first batch and never again: should torch find a later batch of
    that size different, it runs uncompiled too, and nobody waits for a compilation.

    Not thread-safe. One thread makes all calls, the first included: CUDA graphs belong to the
    thread that recorded them.
    """

    def __init__(
        self,
        plain: Callable[..., Any],
        compiled: Callable[..., Any],
        batches: Collection[int],
        layout: torch.memory_format,
    ) -> None:
        """Take both forms, what sizes are compiled, and the layout that they are compiled for."""
        self._plain = plain
        self._compiled = compiled
        self._batches = frozenset(batches)
        self._layout = layout
        self._done: set[int] = set()

    def __call__(self, batch: Tensor, *args: Any, **kwargs: Any) -> Any:
        """Call with (N, C, H, W) float and what else the module takes."""
        size = len(batch)
        if size not in self._batches:
            return self._plain(batch, *args, **kwargs)
        # Strides are part of what is compiled, and those of latents change from step to step.
        batch = batch.contiguous(memory_format=self._layout)
        stance: Any = "eager_on_recompile" if size in self._done else "default"
        with torch.compiler.set_stance(stance):
            result = self._compiled(batch, *args, **kwargs)
        self._done.add(size)
        return result


def compiled_unet(
    unet: Any, mode: str, images: Sequence[int], layout: torch.memory_format
) -> SizedCall:
    """Return the UNet, compiled for guided sets of these sizes: it sees each image twice."""
    # fullgraph: a part that torch cannot compile would make every step slower, unnoticed.
    compiled = torch.compile(unet, mode=mode, dynamic=False, fullgraph=True)

    def call(*args: Any, **kwargs: Any) -> tuple[Tensor, ...]:
        # A CUDA graph writes its next result over this one; a scheduler may keep several.
        return tuple(one.clone() for one in compiled(*args, **kwargs))

    return SizedCall(unet, call, {2 * count for count in images}, layout)


def compiled_decode(
    vae: Any, mode: str, images: Sequence[int], layout: torch.memory_format
) -> SizedCall:
    """Return the VAE's `decode`, compiled for sets of these sizes."""
    compiled = torch.compile(vae.decode, mode=mode, dynamic=False)
    return SizedCall(vae.decode, compiled, images, layout)


def keep_compiled(directory: str | None) -> Path:
    """Let torch keep what it compiles in a directory, for the next start to find it.

    Args:
        directory: made if it is not there; "~/.cache/twinset/compile" when None. What lies in it
            is run as code, so only this user may write there.

    Raises:
        ValueError: it cannot be made, or somebody else can write there.
    """
    path = Path(directory or DEFAULT_CACHE).expanduser().resolve()
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise ValueError(
            f"compile_cache is {str(path)!r}, which cannot be made ({error.strerror}): name a "
            "directory that this process may write to"
        ) from error
    if _others_can_write(path):
        raise ValueError(
            f"compile_cache is {str(path)!r}, where others than this user can write, and what lies "
            "in it is run as code: name a directory of your own, or `chmod go-w` it"
        )
    # torch takes this setting from nowhere else, and hands it to the processes that compile.
    os.environ["TORCHINDUCTOR_CACHE_DIR"] = str(path)  # noqa: TID251
    return path


def check_toolchain(device: torch.device) -> None:
    """Check that what torch compiles with is here: it would otherwise fail at the first set.

    Raises:
        ValueError: a compiler or Python's headers are missing; the sentence names the packages.
    """
    on_gpu = device.type == "cuda"
    named = os.environ.get("CC" if on_gpu else "CXX")  # noqa: TID251, as Triton and inductor do
    compilers = [named] if named else (["gcc", "clang"] if on_gpu else ["g++", "clang++"])
    if not any(shutil.which(one) for one in compilers):
        package = "gcc" if on_gpu else "g++"
        raise ValueError(
            f"compile needs a compiler and there is no {' or '.join(compilers)} here: install one "
            f"(`apt install {package}`, `dnf install gcc-c++`), or leave compile out"
        )
    if on_gpu and not (Path(sysconfig.get_path("include")) / "Python.h").is_file():
        version = f"{sys.version_info.major}.{sys.version_info.minor}"
        raise ValueError(
            "compile needs Python's headers and there is no Python.h here: install them "
            f"(`apt install python{version}-dev`, `dnf install python3-devel`), or leave it out"
        )


def _others_can_write(directory: Path) -> bool:
    """Say whether another user can write into a directory, or put another one in its place."""
    own = directory.stat()
    if own.st_uid != os.getuid() or own.st_mode & 0o022:
        return True
    for parent in directory.parents:
        status = parent.stat()
        is_open = status.st_mode & stat.S_IWOTH and not status.st_mode & stat.S_ISVTX
        if is_open or status.st_uid not in (0, os.getuid()):
            return True
    return False


def warm_up(model: ImageToImageModel, images: Sequence[int]) -> None:
    """Make one short guided set of each size, which compiles it; log how long that took.

    A set that does not fit into a GPU's memory is left to `models.gpu.fitted`, which comes next
    and says what would.
    """
    parameters = FACTS[model.info.role].largest(model.info.defaults)
    if not isinstance(parameters, ImageToImageParameters):
        raise TypeError(f"{model.info.id} has the role {model.info.role}, which is not compiled")
    grey = np.full((64, 64, 3), 128, dtype=np.uint8)
    for count in images:
        started = time.monotonic()
        try:
            model.generate(grey, range(count), parameters)
        except RuntimeError as error:
            if not is_out_of_memory(error):
                raise
        _LOGGER.info("compiled for %d images in %.1f s", count, time.monotonic() - started)
